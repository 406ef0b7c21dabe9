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
    variable: str
    scenario: Scenario
    path: Path

    @property
    def runbook(self) -> Path:
        """The runbook it is written for."""
        return self.path.parent / self.scenario.runbook


def load(arguments: Sequence[str]) -> tuple[Loaded, ...]:
    """The scenarios that `find` finds. InputError with every problem."""
    found, problems = find(arguments)
    if problems:
        raise InputError(problems)
    return found


def find(arguments: Sequence[str]) -> tuple[tuple[Loaded, ...], tuple[Problem, ...]]:
    """The scenarios of files, folders (all files below them) and `file.py:variable`, each once, and every problem."""
    found: dict[tuple[Path, str], Loaded] = {}
    problems: list[Problem] = []
    for argument in arguments:
        path, _, variable = argument.partition(":")
        here, wrong = _of(Path(path), variable)
        problems.extend(wrong)
        found.update({(one.path.resolve(), one.variable): one for one in here})
    problems.extend(_homonyms(tuple(found.values())))
    return tuple(found.values()), tuple(dict.fromkeys(problems))


def _of(path: Path, variable: str) -> tuple[Sequence[Loaded], Sequence[Problem]]:
    if path.is_dir():
        files = [file for file in sorted(path.rglob("*.py")) if is_candidate(file)]
    elif path.is_file():
        files = [path]
    else:
        return (), [
            Problem(f"{path}: no such file or folder", None, "give a scenario's Python file, or a folder of them")
        ]
    loaded: list[Loaded] = []
    problems: list[Problem] = []
    for file in files:
        try:
            loaded.extend(in_file(file))
        except InputError as error:
            problems.extend(error.problems)
    chosen = [one for one in loaded if variable in ("", one.variable)]
    if not chosen and not problems:
        names = ", ".join(one.variable for one in loaded) or "none"
        asked = f" `{variable}`" if variable else ""
        problems.append(
            Problem(
                f"{path}: no scenario{asked} in it (it has: {names})",
                None,
                "a scenario is a variable: NAME = Scenario(…)",
            )
        )
    return chosen, problems


def _homonyms(loaded: Sequence[Loaded]) -> Iterator[Problem]:
    """Scenarios of different files that a run would call the same: a run keeps one folder for each name."""
    first: dict[str, Loaded] = {}
    for one in loaded:
        other = first.setdefault(one.name, one)
        if other is not one:
            yield Problem(
                f"{one.path} and {other.path} are both called `{one.name}`", None, "rename a file, or run one at a time"
            )


def is_candidate(file: Path) -> bool:
    """Whether a folder's file is looked at for scenarios: private modules and tests are not."""
    return not file.name.startswith(("_", "conftest", "test_"))


def in_file(file: Path) -> Iterator[Loaded]:
    """The scenarios of one file, none perhaps. InputError with the line where it does not load."""
    module = _imported(file)
    scenarios = {
        name: value for name, value in vars(module).items() if isinstance(value, Scenario) and not name.startswith("_")
    }
    base = f"{file.resolve().parent.name}/{file.stem}"
    for name, scenario in scenarios.items():
        yield Loaded(base if len(scenarios) == 1 else f"{base}:{name}", name, scenario, file)


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
    except (Exception, SystemExit) as error:
        raise InputError(Problem(f"does not load: {type(error).__name__}: {error}", _place(file, error))) from error


def _place(file: Path, error: BaseException) -> Source:
    """The last line of the file, or of one beside it that it imports, that was being executed or could not be read."""
    place = Source(str(file), 1)
    if isinstance(error, SyntaxError) and error.filename:
        return Source(_shown(file, error.filename), error.lineno or 1)
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code.co_filename
        if Path(code).parent == file.resolve().parent:
            place = Source(_shown(file, code), trace.tb_lineno)
        trace = trace.tb_next
    return place


def _shown(file: Path, code: str) -> str:
    """A module's file, as the request names it or its folder."""
    return str(file.parent / Path(code).name)
