"""Mutants of harness/checking and of what runs a gate, held against the tests that reach them:
`python -m tests.mutants [NAME…] [--survivors]`.

mutmut makes them and shows them (`mutmut results`, `mutmut show NAME`); only the running is done here, for it takes minutes then
instead of hours: the tests are collected once, and each mutant has a fork of its own in which no test has run yet, so that
nothing an unmutated run has left behind (a cache, a module's state) hides it.
"""

import contextlib
import fnmatch
import gc
import io
import json
import os
import resource
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from time import process_time
from typing import Final

import hypothesis
import pytest
from _pytest.runner import runtestprotocol
from mutmut.configuration import config as settings
from mutmut.mutation import trampoline
from mutmut.mutation.data import SourceFileMutationData
from mutmut.state import state
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files
from mutmut.utils.format_utils import mangled_name_from_mutant_name

SURVIVED, KILLED, UNREACHED, LATE = 0, 1, 33, 36
"""mutmut's own codes, so that its commands can read what was found."""

CPU: Final = 2
"""Seconds of CPU that a test may take beyond three times what it takes without a mutant; then it is killed by time."""

WALL: Final = 600
"""Seconds that a mutant may take of any clock: one that waits takes no CPU."""

MEMORY: Final = 4 << 30
"""Bytes that a mutant may ask for: one that never stops appending is to fail, and not the machine."""

ASKED_ONLY_ABOUT: Final = {
    "test_assess.py": ("assess", "limits"),
    "test_gating.py": ("gating",),
    "test_parity.py": ("parity",),
    "test_record.py": ("record",),
    "test_words.py": ("words",),
}
"""Tests that judge whole trials on the way to something else: they are not asked about how that is done."""

CHOSEN: Final = "RUNDRILL_MUTANTS"


class Mutants:
    """pytest's loop over the tests, replaced by one over mutants. It is run where mutmut has put the mutated sources."""

    def __init__(self, chosen: Sequence[str], *, survivors: bool) -> None:
        self._chosen = chosen
        self._survivors = survivors

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Find out which tests reach which function, then run each mutant's, the quickest first, up to the one that fails."""
        reached = _reached(session.items)
        items = {item.nodeid: item for item in session.items}
        gc.freeze()  # so that forks share what was collected
        os.chdir("..")  # mutmut's own paths begin where it was started
        if _run("none", [(item, 2.0) for item in session.items]) != SURVIVED:
            pytest.exit("a fork without any mutant does not pass the tests: none would survive", returncode=1)
        files = [SourceFileMutationData(path=path) for path in walk_mutatable_files()]
        for file in files:
            file.load()
            for name, before in list(file.exit_code_by_key.items()):
                if self._wanted(name, before):
                    every = reached.get(mangled_name_from_mutant_name(name), {})
                    tests = {test: took for test, took in every.items() if _asked(test, Path(file.path).stem)}
                    quickest = sorted(tests, key=lambda test: tests[test])
                    code = _run(name, [(items[test], tests[test]) for test in quickest])
                    file.exit_code_by_key[name] = code
                    file.save()
                    if code not in (KILLED, LATE):
                        _say(f"{status_by_exit_code[code]}: {name}\n")
        _say(_table(files))
        return True

    def _wanted(self, name: str, before: int | None) -> bool:
        if self._survivors and before in (KILLED, LATE):
            return False
        return not self._chosen or any(fnmatch.fnmatch(name, pattern) for pattern in self._chosen)


def _reached(items: Iterable[pytest.Item]) -> dict[str, dict[str, float]]:
    """Per function that can be mutated: the tests that call it, with the seconds of CPU that each took; found in a fork."""
    readable, writable = os.pipe()
    if os.fork() == 0:
        os.close(readable)
        found: dict[str, dict[str, float]] = {}
        trampoline.set_mutant_under_test("stats")
        for item in items:
            began = process_time()
            if not _passes(item, within=60):
                _say(f"{item.nodeid} fails without any mutant\n")
                os._exit(1)
            for function in state()._stats:
                found.setdefault(function, {})[item.nodeid] = process_time() - began
            state()._stats.clear()
        with os.fdopen(writable, "w") as pipe:
            json.dump(found, pipe)
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as pipe:
        told = pipe.read()
    os.wait()
    if not told:
        pytest.exit("the tests do not pass without a mutant", returncode=1)
    return json.loads(told)


def _asked(test: str, module: str) -> bool:
    file = Path(test.partition("::")[0]).name
    return module in ASKED_ONLY_ABOUT.get(file, (module,))


def _run(mutant: str, tests: Sequence[tuple[pytest.Item, float]]) -> int:
    """What becomes of it, as one of mutmut's codes. `tests`: each with the seconds of CPU that it takes without a mutant."""
    if not tests:
        return UNREACHED
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(WALL)
        trampoline.get_mutant_under_test = lambda: mutant  # mutmut's own asks the environment at every call
        os.chdir("mutants")
        os._exit(SURVIVED if all(_passes(item, within=3 * took + CPU) for item, took in tests) else KILLED)
    _, ended = os.waitpid(child, 0)
    return LATE if os.WIFSIGNALED(ended) else os.WEXITSTATUS(ended)


def _passes(item: pytest.Item, *, within: float) -> bool:
    """Whether the test passes; a process that takes more than `within` seconds of CPU over it is ended by the system."""
    signal.setitimer(signal.ITIMER_PROF, within)
    try:
        return not any(report.failed for report in runtestprotocol(item, log=False, nextitem=None))
    except BaseException:  # noqa: BLE001  (whatever comes out of a test is a failure of it)
        return False


def _table(files: Iterable[SourceFileMutationData]) -> str:
    """Module, mutants, killed, survivors: the table of docs/measuring.md, of all that was ever run here."""
    rows, whole = [], Counter[int | None]()
    for file in files:
        codes = Counter(file.exit_code_by_key.values())
        if codes and set(codes) != {None}:
            rows.append(_row(Path(file.path).stem, codes))
            whole += codes
    return "\n".join(
        ["| module | mutants | killed | survivors |", "|---|---|---|---|", *sorted(rows), _row("all", whole), ""]
    )


def _row(name: str, codes: Counter[int | None]) -> str:
    killed = codes[KILLED] + codes[LATE]
    note = f" ({codes[None]} not run)" if codes[None] else ""
    return f"| {name} | {codes.total()}{note} | {killed} | {codes.total() - killed - codes[None]} |"


def _say(text: str) -> None:
    sys.__stdout__.write(text)  # pytest's capture is not asked: forks share it
    sys.__stdout__.flush()


def pytest_configure(config: pytest.Config) -> None:
    """Loaded as a plugin by `main`. What is drawn at random is drawn alike for every mutant, and slowness alone kills none."""
    told = json.loads(os.environ[CHOSEN])
    config.pluginmanager.register(Mutants(told["names"], survivors=told["survivors"]))
    every = list(hypothesis.HealthCheck)
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile(
        "mutants",
        derandomize=True,
        database=None,
        deadline=None,
        phases=phases,
        max_examples=30,
        suppress_health_check=every,
    )
    hypothesis.settings.load_profile("mutants")


def main(arguments: Sequence[str]) -> None:
    """Make the mutants of what has changed, and put pytest in this process' place where they are."""
    from mutmut.__main__ import copy_also_copy_files, copy_src_dir, create_mutants

    Path("mutants").mkdir(exist_ok=True)
    with contextlib.redirect_stdout(io.StringIO()):
        copy_src_dir()
        copy_also_copy_files()
        create_mutants(1)
    names = [name for name in arguments if name != "--survivors"]
    os.environ[CHOSEN] = json.dumps({"names": names, "survivors": "--survivors" in arguments})
    os.environ["PYTHONPATH"] = ""  # the mutants, wherever else this harness is installed
    options = ("-q", "--capture=sys", "--rootdir=.", "-p", "tests.mutants", *settings().pytest_add_cli_args)
    os.chdir("mutants")
    words = (sys.executable, "-m", "pytest", *options, *settings().pytest_add_cli_args_test_selection)
    os.execv(sys.executable, words)  # noqa: S606  (there is no shell to start it with)


if __name__ == "__main__":
    main(sys.argv[1:])
