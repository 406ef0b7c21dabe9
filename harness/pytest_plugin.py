"""Scenarios as pytest items: one an arm, and one for the assessment. The runner and the judge are those of the command line."""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness import extensions, runbooks
from harness.checking.judge import judge
from harness.errors import HarnessError, InputError, UnableError
from harness.model.design import TREATED, Arm, Trial
from harness.model.history import History
from harness.model.verdict import Assessment, Outcome, Status, Verdict
from harness.plan import Plan
from harness.planning import compile_plan
from harness.ports import Substrate
from harness.reporting import files
from harness.reporting.drill import Drill
from harness.running import store
from harness.running.experiment import assess_stored, in_order, prepared, run_experiment, schedule, stored
from harness.running.loading import Loaded, in_file, is_candidate
from harness.running.trial import Bench, run_trial
from harness.scenario import Scenario


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of ours start with `--rundrill-`, because other plugins claim the short names."""
    group = parser.getgroup("rundrill", "drills of operations runbooks")
    group.addoption("--rundrill-substrate", default="local", help="what brings the system up (default: local)")
    group.addoption("--rundrill-runbook", default=None, help="drill this text instead of each scenario's own")
    group.addoption("--rundrill-repetitions", type=int, default=1, help="trials of each arm (default: 1)")
    group.addoption(
        "--rundrill-seed", type=int, default=None, help="seed of the schedule (default: the scenario's own)"
    )
    group.addoption(
        "--rundrill-keep-cluster",
        action="store_true",
        help="leave clusters of `kind` up for the next run (default: no)",
    )
    group.addoption("--rundrill-runs", default="runs", help="where runs are kept (default: runs)")
    parser.addini(
        "rundrill_scenarios", "folders whose Python files are read for scenarios", type="paths", default=["scenarios"]
    )


@dataclass(slots=True)
class _Session:
    """What one pytest run shares: the substrate, the run's folder, and the drills so far, for the reports."""

    config: pytest.Config
    drills: list[Drill] = field(default_factory=list)
    _substrate: Substrate | None = None
    _folder: Path | None = None

    @property
    def substrate(self) -> Substrate:
        if self._substrate is None:
            if self.config.getoption("--rundrill-keep-cluster"):
                extensions.keep_clusters()
            self._substrate = extensions.substrate(self.config.getoption("--rundrill-substrate"))
        return self._substrate

    @property
    def folder(self) -> Path:
        if self._folder is None:
            self._folder = store.new_run(Path(self.config.getoption("--rundrill-runs")))
        return self._folder

    def bench(self) -> Bench:
        return Bench(self.substrate, self.folder.name)

    def plan(self, loaded: Loaded) -> Plan:
        other = self.config.getoption("--rundrill-runbook")
        book = runbooks.read(Path(other) if other else loaded.runbook)
        try:
            return compile_plan(loaded.scenario, book, self.substrate, name=loaded.name, own_text=other is None)
        except UnableError as error:
            pytest.skip(str(error))

    def finish(self) -> tuple[Path, ...]:
        return tuple(files.write(self.drills, self.folder)) if self.drills else ()


_SESSION = pytest.StashKey[_Session]()


def pytest_configure(config: pytest.Config) -> None:
    """One shared state a pytest run."""
    config.stash[_SESSION] = _Session(config)


def pytest_unconfigure() -> None:
    """Clusters last for the whole pytest run, and no longer."""
    extensions.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say where the reports are."""
    for path in config.stash[_SESSION].finish():
        terminalreporter.write_line(f"rundrill: wrote {path}")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "ScenarioFile | None":
    """A Python file below a folder of scenarios is read for scenarios."""
    return ScenarioFile.from_parent(parent, path=file_path) if _may_have_scenarios(file_path, parent.config) else None


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> "NoTests | None":
    """A file that is named on the command line is taken for a module of tests whatever it is called. One of scenarios is none."""
    return NoTests.from_parent(parent, path=module_path) if _may_have_scenarios(module_path, parent.config) else None


def _may_have_scenarios(file: Path, config: pytest.Config) -> bool:
    folders = [Path(folder).resolve() for folder in config.getini("rundrill_scenarios")]
    below = any(folder in file.resolve().parents for folder in folders)
    return below and file.suffix == ".py" and is_candidate(file)


class NoTests(pytest.File):
    """A file without tests: what is to be collected from it others collect."""

    def collect(self) -> "tuple[pytest.Item, ...]":
        """Nothing."""
        return ()


class ScenarioFile(pytest.File):
    """A file that may have scenarios in it."""

    def collect(self) -> "Iterable[ScenarioNode]":
        """One collector a scenario; none where the file has none. What does not load is told with its line."""
        try:
            found = tuple(in_file(self.path))
        except InputError as error:
            raise self.CollectError(str(error)) from error
        for loaded in found:
            yield ScenarioNode.from_parent(self, name=loaded.name.rpartition(":")[2].rpartition("/")[2], loaded=loaded)


class ScenarioNode(pytest.Collector):
    """One scenario: its arms, then its assessment."""

    def __init__(self, *, loaded: Loaded, **rest: object) -> None:
        super().__init__(**rest)  # type: ignore[arg-type]  # pytest's own node arguments, passed through
        self.loaded = loaded
        self.histories: dict[str, History] = {}
        self._prepared: tuple[Plan, Path] | None = None

    def collect(self) -> "Iterator[TrialItem | AssessmentItem]":
        """An item for each trial of the schedule, and one for the assessment."""
        for trial in self.trials():
            yield TrialItem.from_parent(self, name=trial.id, trial=trial)
        yield AssessmentItem.from_parent(self, name="assessment")

    def trials(self) -> tuple[Trial, ...]:
        """The schedule."""
        scenario = self.loaded.scenario
        seed = self.config.getoption("--rundrill-seed")
        repetitions = self.config.getoption("--rundrill-repetitions")
        return schedule(scenario.arms, repetitions, scenario.seed if seed is None else seed)

    def history(self, trial: Trial) -> History:
        """The trial's history: run now, unless it has been."""
        if trial.id not in self.histories:
            session = self.config.stash[_SESSION]
            if self._prepared is None:
                plan = session.plan(self.loaded)
                self._prepared = plan, prepared(plan, session.folder)
            plan, folder = self._prepared
            place = folder / trial.id
            place.mkdir()
            self.histories[trial.id] = asyncio.run(run_trial(plan, trial, session.bench(), place))
        return self.histories[trial.id]

    def assessment(self) -> Assessment:
        """All trials, judged together; also handed to the reports."""
        histories = in_order(self.history(trial) for trial in self.trials())
        plan, _ = self._prepared or (None, None)
        assert plan is not None  # noqa: S101 - a schedule is never empty
        assessment = assess_stored(stored(plan), histories)
        self.config.stash[_SESSION].drills.append(Drill(assessment, histories))
        return assessment


class TrialItem(pytest.Item):
    """One trial. It passes if it can be counted, and, for the treated arm, if service came back in time."""

    def __init__(self, *, trial: Trial, **rest: object) -> None:
        super().__init__(**rest)  # type: ignore[arg-type]  # pytest's own node arguments, passed through
        self.trial = trial

    def runtest(self) -> None:
        """Run and judge it."""
        assert isinstance(self.parent, ScenarioNode)  # noqa: S101 - made by it, see collect
        verdict = judge(self.parent.history(self.trial))
        expected = self.parent.loaded.scenario.expect
        if verdict.status is Status.INVALID or (
            self.trial.arm == TREATED and expected is None and verdict.outcome is not Outcome.PASSED
        ):
            raise DrillError(verdict)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: str | None = None) -> str:  # noqa: ARG002
        """The findings, with the runbook's lines, instead of a traceback of ours."""
        return _explained(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where pytest says it is."""
        return self.path, 0, f"drill {self.name}"


class AssessmentItem(pytest.Item):
    """All arms of a scenario together. It passes if the runbook does (or shows its known defect)."""

    def runtest(self) -> None:
        """Judge all trials; those that have not run are run."""
        assert isinstance(self.parent, ScenarioNode)  # noqa: S101 - made by it, see collect
        assessment = self.parent.assessment()
        if assessment.outcome is not Outcome.PASSED:
            raise DrillError(assessment)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: str | None = None) -> str:  # noqa: ARG002
        """The verdict and its findings instead of a traceback of ours."""
        return _explained(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where pytest says it is."""
        return self.path, 0, "assessment of the procedure"


class DrillError(Exception):
    """A drill that did not pass, with what was found; pytest shows it, nothing else raises it."""

    def __init__(self, result: Verdict | Assessment) -> None:
        bad = [finding for finding in result.findings if finding.outcome is not Outcome.PASSED]
        lines = [f"{finding.source or ''} {finding.check}: {finding.why}".strip() for finding in bad]
        head = f"{result.word}: {result.why}" if isinstance(result, Assessment) else f"{result.trial}: {result.status}"
        super().__init__("\n".join([head, *dict.fromkeys(lines)]))


def _explained(excinfo: pytest.ExceptionInfo[BaseException]) -> str:
    match excinfo.value:
        case DrillError() | InputError() | HarnessError() as error:
            return str(error)
        case _:
            return str(excinfo.getrepr(style="short"))


@pytest.fixture(scope="session")
def rundrill_substrate(pytestconfig: pytest.Config) -> Substrate:
    """The substrate that `--rundrill-substrate` names, for tests of a user's own."""
    return pytestconfig.stash[_SESSION].substrate


@pytest.fixture
def rundrill(pytestconfig: pytest.Config, tmp_path: Path) -> Callable[..., Assessment]:
    """Runs a scenario's arms once and gives the assessment: `rundrill(SCENARIO, runbook=Path("docs/runbook.md"))`. What was
    recorded lies under the test's `tmp_path`, in a folder for each call."""
    session = pytestconfig.stash[_SESSION]
    numbers = itertools.count(1)

    def drilled(scenario: Scenario, *, runbook: Path, arms: Iterable[Arm] = ()) -> Assessment:
        plan = compile_plan(scenario, runbooks.read(runbook), session.substrate, name=runbook.stem)
        trials = schedule(tuple(arms) or scenario.arms, 1, scenario.seed)
        folder = tmp_path / f"drill-{next(numbers)}"
        folder.mkdir()
        bench = Bench(session.substrate, f"{tmp_path.name}-{folder.name}")

        async def run() -> Assessment:
            assessment, _ = await run_experiment(plan, trials, bench, folder, places=asyncio.Semaphore(1))
            return assessment

        return asyncio.run(run())

    return drilled
