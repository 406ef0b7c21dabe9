"""Scenario + runbook + capabilities → plan, or every problem at once. Pure: nothing is started here."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace

from harness import __version__
from harness.errors import InputError, Problem, UnableError
from harness.model.history import Terms
from harness.model.runbook import Runbook, Step
from harness.model.source import Source
from harness.model.topology import Redis, Topology
from harness.plan import Plan
from harness.planning import alerting, checks
from harness.planning.checks import Ground
from harness.planning.draft import LOOK, Draft
from harness.ports import Capability
from harness.runbooks import find
from harness.scenario import Scenario

__all__ = ["LOOK", "Ground", "compile_plan"]


def compile_plan(scenario: Scenario, runbook: Runbook, ground: Ground, *, name: str, own_text: bool = True) -> Plan:
    """The plan of `scenario` on `runbook`. InputError with every problem, each at its line; UnableError where the only problem is
    what this machine or substrate lacks.

    `own_text` False: another text is drilled with the same scenario (`--runbook`); bindings and deviations that it has no
    use for are then remarks, not problems.
    """
    draft = Draft(scenario, own_text=own_text)
    prepared = draft.steps(_select(draft, runbook, scenario.prepare)) if scenario.prepare else ()
    followed = draft.steps(_select(draft, runbook, scenario.follow), first=len(prepared))
    draft.unused()
    alerts = alerting.conditions(draft, runbook)
    draft.problems += [*checks.objectives(scenario), *checks.references(scenario), *checks.system(scenario, ground)]
    needs = frozenset(scenario.fault.needs) | _topology_needs(scenario) | draft.needs
    lacking = [
        *ground.lacks(frozenset(scenario.fault.needs) | _topology_needs(scenario)),
        *checks.commands(draft, ground),
    ]
    if draft.problems:
        raise InputError(_in_order([*draft.problems, *lacking]))
    if lacking:
        raise UnableError(_in_order(lacking))
    steps = (*prepared, *followed)
    procedure = find.procedure(runbook, scenario.procedure)
    return Plan(
        name=name,
        scenario=scenario,
        runbook=replace(runbook.source, line=procedure.source.line),
        runbook_digest=runbook.digest,
        procedure=procedure.title,
        prepare=prepared,
        steps=followed,
        needs=needs,
        topology=_replica(scenario),
        terms=Terms(
            objectives=scenario.objectives,
            recovery=scenario.recovery,
            human=scenario.human,
            steps=tuple(step.terms for step in steps),
            period=scenario.period,
            ledger=scenario.ledger is not None,
            alerts=alerts,
            backup=scenario.backup,
            concern=scenario.ledger.concern if scenario.ledger else "",
        ),
        targets=runbook.targets,
        digest=_digest(scenario, runbook),
        remarks=tuple(draft.remarks),
    )


def _select(draft: Draft, runbook: Runbook, follow: tuple[str, ...]) -> tuple[Step, ...]:
    try:
        return find.select(find.procedure(runbook, draft.scenario.procedure), follow)
    except InputError as error:
        draft.problems.extend(error.problems)
        return ()


def _replica(scenario: Scenario) -> Topology:
    """The system with what the drill adds: the ledger's table, made along with the schema, and clocks that can be moved."""
    topology = scenario.topology
    if scenario.ledger is not None and topology.store(scenario.ledger.database) is None:
        database = topology.database(scenario.ledger.database)
        topology = topology.with_database(replace(database, schema=f"{database.schema}\n{scenario.ledger.ddl()}"))
    if Capability.CLOCK in scenario.fault.needs:
        topology = replace(topology, databases=tuple(replace(db, movable_clock=True) for db in topology.databases))
    return topology


def _topology_needs(scenario: Scenario) -> frozenset[Capability]:
    needs = {Capability.PROCESSES} if scenario.topology.workloads else set[Capability]()
    for database in scenario.topology.databases:
        needs.add(Capability.POSTGRES)
        if database.standbys:
            needs.add(Capability.STANDBY)
    for store in scenario.topology.stores:
        needs.add(Capability.REDIS if isinstance(store, Redis) else Capability.MONGO)
    if scenario.topology.cluster:
        needs.add(Capability.KUBERNETES)
    if scenario.fault.links:
        needs.add(Capability.LINKS)
    return frozenset(needs)


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    unique: Mapping[str, Problem] = {str(problem): problem for problem in problems}
    return sorted(unique.values(), key=lambda p: (p.source is None, p.source or Source("", 0)))


def _digest(scenario: Scenario, runbook: Runbook) -> str:
    return hashlib.sha256(f"{__version__}\n{runbook.digest}\n{scenario!r}".encode()).hexdigest()
