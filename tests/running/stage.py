"""A scenario on a modelled system, for whole trials under virtual time: one runbook, one service, one fault."""
# ruff: noqa: ARG002 - they fulfil ports

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import looptime

from harness import codec
from harness.clock import now
from harness.errors import SubstrateError
from harness.model.design import Arm, Trial
from harness.model.history import Event, History, Name, Phase
from harness.model.load import HttpProbe, LedgerSpec, ProberLine
from harness.model.objectives import Objective, Recovery
from harness.model.topology import Postgres, Role, Topology, Workload
from harness.model.units import minutes, seconds
from harness.plan import Plan
from harness.planning import compile_plan
from harness.ports import Capability, Completed
from harness.runbooks import parse
from harness.running.trial import Bench, run_trial
from harness.scenario import Scenario
from harness.substrates.simulated import Model, Reaction, Simulated, SimulatedEnvironment
from harness.telling import tell
from harness.testing import Break

TEXT = """# Book

## Service down

**Backup**

```bash
pg_dump shop > backup.sql
```

**Resolution**

```bash
# Look
uptime
# Mend
mend-it --now
# Look again
uptime
```
"""

TOPOLOGY = Topology(
    "shop",
    databases=(Postgres(name="main", database="shop", owner=Role("app"), hosts=("db.internal",)),),
    workloads=(Workload(name="api", image="shop", port=8000),),
)

DOWN = Scenario(
    title="The service is down",
    runbook="runbook.md",
    procedure="service down",
    follow=("resolution",),
    topology=TOPOLOGY,
    fault=Break(),
    probes=(HttpProbe(indicator="availability", service="api", path="/"),),
    objectives=(Objective("availability"),),
    recovery=Recovery(rto=minutes(15), horizon=seconds(20)),
)

CURE = Reaction(pattern="mend-it", cures_after=seconds(1))
CURES = Model(reactions=(CURE,))
LEDGER = LedgerSpec(database="main", role="app")


@dataclass
class Watched:
    """A reporter that keeps what it is told."""

    told: list[tuple[str, Event]] = field(default_factory=list)
    verdicts: dict[str, str] = field(default_factory=dict)

    def event(self, trial, event) -> None:
        self.told.append((trial, event))

    def samples(self, trial, samples) -> None:
        assert samples

    def verdict(self, trial, verdict) -> None:
        self.verdicts[trial] = verdict.status

    def assessment(self, assessment) -> None:
        self.verdicts[assessment.scenario] = assessment.word


def ground(model: Model) -> Simulated:
    return Simulated(model, provides=frozenset(Capability))


def planned(scenario: Scenario = DOWN, text: str = TEXT, substrate: Simulated | None = None) -> Plan:
    return compile_plan(scenario, parse(text, "runbook.md"), substrate or ground(CURES), name="shop/down")


async def tried(
    model: Model,
    arm: Arm,
    folder: Path,
    *,
    scenario: Scenario = DOWN,
    text: str = TEXT,
    reporters=(),
) -> tuple[History, SimulatedEnvironment | None]:
    """One trial of that arm, and the environment it had."""
    substrate = ground(model)
    plan = planned(scenario, text, substrate)
    history = await run_trial(plan, Trial(arm, 1, 7), Bench(substrate, "test", reporters), folder)
    return history, next(iter(substrate.environments), None)


def texts(history: History, *, actor: str = "operator") -> list[str]:
    """The commands that were begun, in order."""
    return [str(e.data["text"]) for e in history.named(Name.STEP, Phase.INVOKE) if e.actor == actor]


def why(history: History, name: Name, *phases: Phase) -> str:
    event = history.first(name, *phases)
    assert event is not None, f"no {name} event"
    return str(event.data.get("why", ""))


def names(history: History) -> list[str]:
    return [f"{e.name} {e.phase}" for e in history.events]


def with_recovery(**changes) -> Scenario:
    return replace(DOWN, recovery=replace(DOWN.recovery, **changes))


class Talking(Simulated):
    """One that says what it is busy with while it brings environments up, and talks on afterwards to nobody."""

    @asynccontextmanager
    async def environment(self, topology, *, run, folder, links=frozenset()):
        tell("making a cluster")
        await asyncio.create_task(self.loading())
        async with super().environment(topology, run=run, folder=folder, links=links) as environment:
            yield environment
            tell("taking it down")

    async def loading(self) -> None:
        await asyncio.sleep(1)
        tell("loading images")


class Vanishing(Simulated):
    """Its environments are gone as soon as their operator touches them."""

    @asynccontextmanager
    async def environment(self, topology, *, run, folder, links=frozenset()):
        async with super().environment(topology, run=run, folder=folder, links=links) as environment:
            environment.operate = _gone
            yield environment


async def _gone(*_: object, **__: object) -> Completed:
    raise SubstrateError("the environment is gone")


class Worker:
    """A worker process of a modelled environment: it writes what the model's instrument would see, until it dies."""

    pid = 1

    def __init__(self, name: str, environment: "StaffedEnvironment", stdout: Path, stderr: Path) -> None:
        self.name = name
        self._environment = environment
        self._stdout = stdout
        self._stderr = stderr
        self._dies = now() + environment.staff.dies_after
        self._written = 0

    @property
    def returncode(self) -> int | None:
        if now() < self._dies:
            self._write()
            return None
        self._stderr.write_text(self._environment.staff.words)
        return 3

    def _write(self) -> None:
        samples = self._environment.system.samples(self._written)
        self._written += len(samples)
        with self._stdout.open("ab") as file:
            file.writelines(codec.line(ProberLine(sample=sample)) for sample in samples)

    async def stop(self, grace: int = 0) -> int | None:
        self._environment.stopped.append(self.name)
        return self.returncode or 0


class StaffedEnvironment(SimulatedEnvironment):
    python = "python"

    def __init__(self, staff: "Staffed", name: str, topology: Topology) -> None:
        super().__init__(name, topology, staff.model)
        self.staff = staff
        self.stopped: list[str] = []

    def instrument(self) -> None:
        return None

    async def start(self, argv, *, env=None, stdout, stderr) -> Worker:
        return Worker(stderr.stem, self, stdout, stderr)


class Staffed(Simulated):
    """Modelled systems that are measured by workers, as real ones are; these die `dies_after` their start, with `words`."""

    def __init__(self, model: Model, *, dies_after: int, words: str) -> None:
        super().__init__(model, provides=frozenset(Capability))
        self.dies_after = dies_after
        self.words = words

    @asynccontextmanager
    async def environment(self, topology, *, run, folder, links=frozenset()):
        environment = StaffedEnvironment(self, "staffed", topology)
        self.environments.append(environment)
        try:
            yield environment
        finally:
            environment.end()


def curing() -> Simulated:
    """A system that the procedure mends. These functions are what `--substrate tests.running.stage:…` names."""
    return ground(CURES)


def hopeless() -> Simulated:
    """One that nothing mends."""
    return ground(Model())


def wrong() -> Simulated:
    """One where the command that is to mend it does not exist."""
    return ground(
        Model(reactions=(Reaction(pattern="mend-it", status=127, stderr="bash: mend-it: command not found"),))
    )


def unfelt() -> Simulated:
    """One that the fault does nothing to."""
    return ground(replace(CURES, felt=False))


def troubled() -> Simulated:
    """One that does not come up."""
    return ground(Model(trouble="no room on this machine"))


def bare() -> Simulated:
    """One that can do nothing."""
    return Simulated(CURES, provides=frozenset())


class VirtualTime(asyncio.DefaultEventLoopPolicy):
    """Loops whose time passes at once, for whole programs."""

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        loop = looptime.patch_event_loop(super().new_event_loop(), end=3600)
        loop.shutdown_default_executor = _in_real_time(loop)
        return loop


def _in_real_time(loop: asyncio.AbstractEventLoop) -> Callable[..., Awaitable[None]]:
    """The end of a loop waits for threads, from Python 3.12 on for so many seconds: those must not be virtual."""

    async def shutdown(timeout: float | None = None) -> None:
        if executor := vars(loop).get("_default_executor"):
            executor.shutdown(wait=True)
            loop._default_executor = None

    return shutdown
