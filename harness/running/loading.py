"""Finds scenarios in Python files and reads the runbooks they name. Nothing is started."""

import hashlib
import importlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from harness.errors import InputError, Problem
from harness.model.source import Source
from harness.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Loaded:
    """A scenario with its name (`folder/file`, plus `:variable` where the file has several) and its file."""

    name: str
    scenario: Scenario
    path: Path

    @property
    def runbook(self) -> Path:
        """The runbook it is written for."""
        return self.path.parent / self.scenario.runbook


def load(arguments: Sequence[str]) -> tuple[Loaded, ...]:
    """The scenarios of files, folders (all files below them) and `file.py:variable`. InputError with every problem."""
    found: list[Loaded] = []
    problems: list[Problem] = []
    for argument in arguments:
        path, _, variable = argument.partition(":")
        try:
            found.extend(_of(Path(path), variable))
        except InputError as error:
            problems.extend(error.problems)
    if problems:
        raise InputError(problems)
    return tuple({loaded.name: loaded for loaded in found}.values())


def _of(path: Path, variable: str) -> Iterator[Loaded]:
    if path.is_dir():
        loaded = [one for file in sorted(path.rglob("*.py")) if _is_scenario_file(file) for one in _in_file(file)]
    elif path.is_file():
        loaded = list(_in_file(path))
    else:
        raise InputError(
            Problem(f"{path}: no such file or folder", None, "give a scenario's Python file, or a folder of them")
        )
    chosen = [one for one in loaded if not variable or one.name.endswith(f":{variable}") or one.name == variable]
    if not chosen:
        names = ", ".join(one.name for one in loaded) or "none"
        raise InputError(
            Problem(f"{path}: no scenario{f' `{variable}`' if variable else ''} in it (it has: {names})", None)
        )
    yield from chosen


def _is_scenario_file(file: Path) -> bool:
    return not file.name.startswith(("_", "conftest"))


def _in_file(file: Path) -> Iterator[Loaded]:
    module = _imported(file)
    scenarios = {
        name: value for name, value in vars(module).items() if isinstance(value, Scenario) and not name.startswith("_")
    }
    base = f"{file.resolve().parent.name}/{file.stem}"
    for name, scenario in scenarios.items():
        yield Loaded(base if len(scenarios) == 1 else f"{base}:{name}", scenario, file)


def _imported(file: Path) -> ModuleType:
    """The file as a module of a package that is its folder, so that scenarios share a description by `from .system import …`."""
    folder = file.resolve().parent
    package = f"_rundrill_{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    if package not in sys.modules:
        sys.modules[package] = ModuleType(package)
        sys.modules[package].__path__ = [str(folder)]
    if not file.stem.isidentifier() or file.suffix != ".py":
        raise InputError(
            Problem(f"{file}: not a Python file that can be imported", None, "scenarios are Python files: name.py")
        )
    try:
        return importlib.import_module(f"{package}.{file.stem}")
    except InputError:
        raise
    except Exception as error:
        raise InputError(Problem(f"does not load: {type(error).__name__}: {error}", _place(file, error))) from error


def _place(file: Path, error: Exception) -> Source:
    """The line of the file that was being executed."""
    line = 1
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file.resolve()):
            line = trace.tb_lineno
        trace = trace.tb_next
    return Source(str(file), getattr(error, "lineno", None) or line)
