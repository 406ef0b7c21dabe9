"""What is wrong with a scenario before anything runs: objectives, references, and commands that a substrate cannot run."""

import re
from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from harness.checking import windows
from harness.errors import Problem
from harness.model.load import HttpProbe, LedgerSpec, SqlProbe, TcpProbe
from harness.model.topology import Exposed, Mongo, Redis, Topology
from harness.model.units import milliseconds, seconds, show
from harness.planning.draft import Draft, short
from harness.ports import Capability
from harness.scenario import Scenario


class Ground(Protocol):
    """What planning asks of a substrate."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def provides(self) -> frozenset[Capability]:
        """What it can do here."""
        ...

    def lacks(self, needs: frozenset[Capability]) -> Sequence[Problem]:
        """A problem with its remedy for each need it cannot meet here."""
        ...

    def tool(self, program: str) -> bool:
        """Whether the operator's shell has that program."""
        ...


@runtime_checkable
class Discerning(Protocol):
    """Ground that sees whether what a system consists of is sound, before it is brought up."""

    def flaws(self, topology: Topology) -> Sequence[Problem]:
        """What is wrong with it, each at its place."""
        ...


def system(scenario: Scenario, ground: Ground) -> Sequence[Problem]:
    """What a ground that looks finds wrong with the system itself."""
    return ground.flaws(scenario.topology) if isinstance(ground, Discerning) else ()


def objectives(scenario: Scenario) -> Iterable[Problem]:
    """Every objective is probed, every probe judged, and what is asked can be kept and resolved."""
    recovery = scenario.recovery
    probed = {probe.indicator for probe in scenario.probes}
    judged = {objective.indicator for objective in scenario.objectives}
    for missing in sorted(judged - probed):
        yield Problem(f"the objective on `{missing}` has no probe", None, "add a probe of that indicator")
    for idle in sorted(probed - judged):
        yield Problem(f"the probe `{idle}` has no objective", None, "add an Objective, or remove the probe")
    if not scenario.objectives:
        yield Problem("no objective: nothing would say when service is back", None, "add one")
    if recovery.rto <= 0 or (recovery.rpo is not None and recovery.rpo < 0):
        yield Problem(f"an RTO of {show(recovery.rto)} / RPO of {show(recovery.rpo)} cannot be kept", None)
    if recovery.horizon < recovery.window + recovery.hold:
        yield Problem(
            f"the horizon ({show(recovery.horizon)}) is shorter than window + hold "
            f"({show(recovery.window + recovery.hold)}): no recovery could be seen",
            None,
            "lengthen the horizon",
        )
    if recovery.rpo is not None and scenario.ledger is None:
        yield Problem("an RPO without a ledger cannot be judged", None, "add ledger=LedgerSpec(…)")
    yield from _period(scenario)
    yield from _backup(scenario)
    for objective in scenario.objectives:
        reason = windows.refusal(objective, window=recovery.window, period=scenario.period)
        if reason:
            yield Problem(reason, None, "lengthen the window, shorten the probes' period, or lower the SLO")


def _period(scenario: Scenario) -> Iterable[Problem]:
    """A recovery is known to one probe period: that has to be small beside the RTO it is held against."""
    most = min(seconds(1), scenario.recovery.rto // 100)
    if scenario.recovery.rto > 0 and scenario.period > most:
        yield Problem(
            f"a probe every {show(scenario.period)} is too coarse for an RTO of {show(scenario.recovery.rto)}: at most a "
            f"hundredth of it, and 1 s, is {show(most)}",
            None,
            f"set period=milliseconds({most // milliseconds(1)}) or less"
            if most >= milliseconds(1)
            else "raise the RTO: nothing can be measured so finely",
        )


def _backup(scenario: Scenario) -> Iterable[Problem]:
    """A backup schedule needs a backup, a ledger that shows what it loses, and room for a steady window between two of them."""
    schedule = scenario.backup
    if schedule is None:
        return
    if not scenario.prepare:
        yield Problem(
            "a backup schedule, and no backup", None, "set prepare=(…) to the part of the text that takes one"
        )
    if scenario.ledger is None:
        yield Problem(
            "a backup schedule without a ledger: what it loses would not be seen", None, "add ledger=LedgerSpec(…)"
        )
    if schedule.drilled < scenario.recovery.window:
        yield Problem(
            f"backups every {show(schedule.drilled)} in the drill leave no room for a steady window of "
            f"{show(scenario.recovery.window)} between them",
            None,
            "lengthen BackupSchedule(drilled=…)",
        )
    if schedule.interval is not None and schedule.interval <= 0:
        yield Problem(f"a backup interval of {show(schedule.interval)} cannot be kept", None)


def references(scenario: Scenario) -> Iterable[Problem]:
    """Probes, load, ledger and operator name only what the topology has."""
    databases = {db.name for db in scenario.topology.databases}
    stores = {store.name for store in scenario.topology.stores}
    services = {w.name for w in scenario.topology.workloads} | {e.name for e in _exposed(scenario.topology)}
    asked: list[tuple[str, str, set[str]]] = []
    for probe in scenario.probes:
        match probe:
            case HttpProbe():
                asked.append((f"the probe `{probe.indicator}`", probe.service, services))
            case SqlProbe():
                asked.append((f"the probe `{probe.indicator}`", probe.database, databases))
            case TcpProbe():
                asked.append((f"the probe `{probe.indicator}`", probe.peer, services | databases | stores))
    if scenario.load:
        asked.append(("the load", scenario.load.service, services))
    if scenario.ledger:
        asked.append(("the ledger", scenario.ledger.database, databases | stores))
        yield from _ledger(scenario.ledger, scenario.topology)
    if scenario.operator.database:
        asked.append(("the operator's SQL", scenario.operator.database, databases))
    for path in scenario.operator.files:
        if path.startswith("/") or ".." in path.split("/"):
            yield Problem(
                f"the operator's file `{path}` does not lie in the home directory", None, "give it a path below that"
            )
    for who, name, there in asked:
        if name not in there:
            yield Problem(
                f"{who} names `{name}`, which the stack does not have",
                None,
                f"it has: {', '.join(sorted(there)) or 'none'}",
            )


def _ledger(ledger: LedgerSpec, topology: Topology) -> Iterable[Problem]:
    """A role or a write concern that the ledger's store does not know."""
    match topology.store(ledger.database):
        case Redis():
            concern, expected, roleless = r"\d*", "a number of replicas", True
        case Mongo():
            concern, expected, roleless = r"((\d+|majority)(\+j)?)?", "a number or `majority`, with `+j`", True
        case None:
            values = "on, off, local, remote_write or remote_apply"
            concern, expected, roleless = r"(on|off|local|remote_write|remote_apply)?", values, False
    if not re.fullmatch(concern, ledger.concern):
        yield Problem(f"the ledger's concern `{ledger.concern}`: `{ledger.database}` expects {expected}", None)
    if roleless and ledger.role:
        yield Problem(f"the ledger's role `{ledger.role}`: `{ledger.database}` is written without one", None)
    if not roleless and not ledger.role:
        yield Problem(f"the ledger in `{ledger.database}` is written by no role", None, 'set LedgerSpec(role="…")')


def _exposed(topology: Topology) -> Sequence[Exposed]:
    return topology.cluster.exposed if topology.cluster else ()


def commands(draft: Draft, ground: Ground) -> Iterable[Problem]:
    """What the text's commands need and this substrate has not, each at the line that needs it."""
    for capability, source, text in draft.needed:
        if capability not in ground.provides:
            remedies = [problem.remedy for problem in ground.lacks(frozenset({capability}))]
            yield Problem(
                f"`{short(text)}` needs {capability}, which the `{ground.name}` substrate does not have here",
                source,
                "; or ".join(("declare a Deviation", *filter(None, remedies))),
            )
    own = {path.rpartition("/")[2] for path in draft.scenario.operator.files}
    for program, source in draft.programs:
        if program and program not in own and not ground.tool(program):
            yield Problem(
                f"the operator's shell on the `{ground.name}` substrate has no program `{program}`",
                source,
                "declare a Deviation, or install it",
            )
