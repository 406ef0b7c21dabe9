"""Scenario + runbook + capabilities → plan, or every problem at once. Pure: nothing is started here."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from harness import __version__
from harness.checking import windows
from harness.errors import InputError, Problem, UnableError
from harness.model.history import StepTerms, Terms
from harness.model.load import HttpProbe, SqlProbe, TcpProbe
from harness.model.runbook import Command, Language, Manual, Runbook, Step
from harness.model.source import Source
from harness.model.topology import Exposed, Topology
from harness.model.units import seconds, show
from harness.plan import Plan, PlannedStep
from harness.ports import Capability
from harness.runbooks import find
from harness.scenario import Deviation, Scenario

LOOK = seconds(2)
"""How long a command that never ends by itself (`logs -f`) is looked at before it is ended."""

_EXECUTORS = {Language.BASH: "shell", Language.SQL: "sql", Language.PYTHON: "python"}
_LIBPQ = frozenset(
    {
        "psql",
        "pg_dump",
        "pg_dumpall",
        "pg_restore",
        "pg_isready",
        "pg_basebackup",
        "vacuumdb",
        "reindexdb",
        "createdb",
        "dropdb",
    }
)
_NEEDS = {
    "kubectl": Capability.KUBERNETES,
    "oc": Capability.KUBERNETES,
    "helm": Capability.KUBERNETES,
    "docker": Capability.DOCKER,
    "docker-compose": Capability.DOCKER,
}


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


def compile_plan(scenario: Scenario, runbook: Runbook, ground: Ground, *, name: str, own_text: bool = True) -> Plan:
    """The plan of `scenario` on `runbook`. InputError with every problem, each at its line; UnableError where the only problem is
    what this machine or substrate lacks.

    `own_text` False: another text is drilled with the same scenario (`--runbook`); bindings and deviations that it has no
    use for are then remarks, not problems.
    """
    draft = _Draft(scenario, own_text=own_text)
    prepared = draft.steps(_select(draft, runbook, scenario.prepare)) if scenario.prepare else ()
    followed = draft.steps(_select(draft, runbook, scenario.follow), first=len(prepared))
    draft.unused()
    _check_objectives(draft)
    _check_references(draft)
    needs = frozenset(scenario.fault.needs) | _topology_needs(scenario) | draft.needs
    lacking = [
        *ground.lacks(frozenset(scenario.fault.needs) | _topology_needs(scenario)),
        *_command_problems(draft, ground),
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
        ),
        targets=runbook.targets,
        digest=_digest(scenario, runbook),
        remarks=tuple(draft.remarks),
    )


@dataclass(slots=True)
class _Draft:
    """What is gathered while compiling; never leaves this file."""

    scenario: Scenario
    own_text: bool
    problems: list[Problem] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    bound: set[str] = field(default_factory=set)
    deviated: set[int] = field(default_factory=set)
    needed: list[tuple[Capability, Source, str]] = field(default_factory=list)
    programs: list[tuple[str, Source]] = field(default_factory=list)

    @property
    def needs(self) -> frozenset[Capability]:
        return frozenset(capability for capability, _, _ in self.needed)

    def steps(self, chosen: Iterable[Step], *, first: int = 0) -> tuple[PlannedStep, ...]:
        actions = [(step, action) for step in chosen for action in step.actions]
        return tuple(self._planned(step, action, index) for index, (step, action) in enumerate(actions, first))

    def _planned(self, step: Step, action: Command | Manual, index: int) -> PlannedStep:
        if isinstance(action, Manual):
            return self._by_hand(step, action, index)
        text, why, skipped = self._resolved(action)
        terms = StepTerms(
            index=index,
            what="skipped" if skipped else "command",
            title=step.title,
            language=str(action.language),
            written=action.text,
            text=text,
            source=action.source,
            destructive=action.destructive,
            deviation=why,
        )
        if skipped:
            return PlannedStep(terms, "skipped", 0)
        executor = "shell" if why and action.language is Language.OTHER else self._executor(action)
        if not why:
            self._ask(action)
        self._ask_names(action, text)
        timeout = LOOK if action.blocking else self.scenario.step_timeout
        return PlannedStep(terms, executor, timeout, blocking=action.blocking)

    def _by_hand(self, step: Step, action: Manual, index: int) -> PlannedStep:
        """What a person would do: noted, unless a deviation says which command stands in for the person's hands."""
        deviation = self._deviation(action.text)
        text, why = (deviation.instead or "", deviation.why) if deviation else (action.text, "")
        runs = deviation is not None and deviation.instead is not None
        what = "command" if runs else "skipped" if deviation else "manual"
        language = str(Language.BASH) if runs else ""
        terms = StepTerms(index, what, step.title, language, action.text, text, action.source, deviation=why)
        return PlannedStep(terms, "shell", self.scenario.step_timeout) if runs else PlannedStep(terms, what, 0)

    def _deviation(self, text: str) -> Deviation | None:
        """The deviation that touches this text, which then has had its use."""
        for number, deviation in enumerate(self.scenario.deviations):
            if deviation.touches(text):
                self.deviated.add(number)
                return deviation
        return None

    def _resolved(self, command: Command) -> tuple[str, str, bool]:
        """The text to run, why it deviates, and whether it is not run at all."""
        deviation = self._deviation(command.text)
        if deviation is not None:
            self.bound.update(p.text for p in command.placeholders)
            return deviation.instead or "", deviation.why, deviation.instead is None
        text = command.text
        for placeholder in sorted(command.placeholders, key=lambda p: -len(p.text)):
            if placeholder.text in self.scenario.bindings:
                self.bound.add(placeholder.text)
                text = text.replace(placeholder.text, self.scenario.bindings[placeholder.text])
            else:
                self._problem(
                    placeholder.source,
                    f"nothing is bound to the placeholder `{placeholder.text}` in `{_short(command.text)}`",
                    f'add bindings={{"{placeholder.text}": "…"}} to the scenario',
                )
        if command.interactive:
            self._problem(
                command.source,
                f"`{_short(command.text)}` waits for a person or a terminal",
                "declare a Deviation that says what is run instead, or that it is not run",
            )
        return text, "", False

    def _executor(self, command: Command) -> str:
        executor = _EXECUTORS.get(command.language)
        if executor is None:
            self._problem(
                command.source,
                f"no executor runs {command.language} (`{_short(command.text)}`)",
                "declare a Deviation for it",
            )
        if executor == "sql" and not self.scenario.operator.database:
            self._problem(
                command.source,
                "bare SQL, and the scenario does not say which database it goes to",
                'set operator=Operator(database="…", role="…")',
            )
        return executor or "skipped"

    def _ask(self, command: Command) -> None:
        for invocation in command.invocations:
            if invocation.where != "operator":
                continue
            need = _NEEDS.get(invocation.program)
            if need is Capability.KUBERNETES and self.scenario.topology.cluster is None:
                self._problem(
                    command.source,
                    f"`{_short(command.text)}` needs a Kubernetes cluster, which the stack does not have",
                    "give the topology a Cluster, or declare a Deviation",
                )
            elif need is not None:
                self.needed.append((need, command.source, command.text))
            else:
                self.programs.append((invocation.program, command.source))

    def _ask_names(self, command: Command, text: str) -> None:
        """A host name of the system in a command needs names of the environment's own. PostgreSQL's clients do without: where
        there is one server, their environment says at which address it is, whatever its name."""
        topology = self.scenario.topology
        named = [database.hosts for database in topology.databases] + [
            workload.hosts for workload in topology.workloads
        ]
        hosts = [host for each in named for host in each]
        naming = [each for each in command.invocations if any(host in word for word in each.argv for host in hosts)]
        told = len(topology.databases) == 1 and naming and all(each.program in _LIBPQ for each in naming)
        if any(host in text for host in hosts) and not told:
            self.needed.append((Capability.NAMES, command.source, text))

    def unused(self) -> None:
        """A binding or deviation for nothing is a mistake in the scenario, unless another text is drilled."""
        idle = [f"a binding for `{text}`" for text in self.scenario.bindings if text not in self.bound]
        idle += [
            f"a deviation for `{deviation.match}`"
            for number, deviation in enumerate(self.scenario.deviations)
            if number not in self.deviated
        ]
        for thing in idle:
            if self.own_text:
                self._problem(
                    None, f"{thing}, but nothing that the drill follows has it", "remove it, or correct its text"
                )
            else:
                self.remarks.append(f"this text has no use for {thing}")

    def _problem(self, source: Source | None, message: str, remedy: str) -> None:
        self.problems.append(Problem(message, source, remedy))


def _select(draft: _Draft, runbook: Runbook, follow: tuple[str, ...]) -> tuple[Step, ...]:
    try:
        return find.select(find.procedure(runbook, draft.scenario.procedure), follow)
    except InputError as error:
        draft.problems.extend(error.problems)
        return ()


def _check_objectives(draft: _Draft) -> None:
    scenario = draft.scenario
    recovery = scenario.recovery
    probed = {probe.indicator for probe in scenario.probes}
    judged = {objective.indicator for objective in scenario.objectives}
    for missing in sorted(judged - probed):
        draft.problems.append(
            Problem(f"the objective on `{missing}` has no probe", None, "add a probe of that indicator")
        )
    for idle in sorted(probed - judged):
        draft.problems.append(
            Problem(f"the probe `{idle}` has no objective", None, "add an Objective, or remove the probe")
        )
    if not scenario.objectives:
        draft.problems.append(Problem("no objective: nothing would say when service is back", None, "add one"))
    if recovery.rto <= 0 or (recovery.rpo is not None and recovery.rpo < 0):
        draft.problems.append(
            Problem(f"an RTO of {show(recovery.rto)} / RPO of {show(recovery.rpo)} cannot be kept", None)
        )
    if recovery.horizon < recovery.window + recovery.hold:
        draft.problems.append(
            Problem(
                f"the horizon ({show(recovery.horizon)}) is shorter than window + hold "
                f"({show(recovery.window + recovery.hold)}): no recovery could be seen",
                None,
                "lengthen the horizon",
            )
        )
    if recovery.rpo is not None and scenario.ledger is None:
        draft.problems.append(Problem("an RPO without a ledger cannot be judged", None, "add ledger=LedgerSpec(…)"))
    for objective in scenario.objectives:
        reason = windows.refusal(objective, window=recovery.window, period=scenario.period)
        if reason:
            draft.problems.append(
                Problem(reason, None, "lengthen the window, shorten the probes' period, or lower the SLO")
            )


def _check_references(draft: _Draft) -> None:
    """Probes, load, ledger and operator name only what the topology has."""
    scenario = draft.scenario
    databases = {db.name for db in scenario.topology.databases}
    services = {w.name for w in scenario.topology.workloads} | {e.name for e in _exposed(scenario.topology)}
    asked: list[tuple[str, str, set[str]]] = []
    for probe in scenario.probes:
        match probe:
            case HttpProbe():
                asked.append((f"the probe `{probe.indicator}`", probe.service, services))
            case SqlProbe():
                asked.append((f"the probe `{probe.indicator}`", probe.database, databases))
            case TcpProbe():
                asked.append((f"the probe `{probe.indicator}`", probe.peer, services | databases))
    if scenario.load:
        asked.append(("the load", scenario.load.service, services))
    if scenario.ledger:
        asked.append(("the ledger", scenario.ledger.database, databases))
    if scenario.operator.database:
        asked.append(("the operator's SQL", scenario.operator.database, databases))
    for who, name, there in asked:
        if name not in there:
            draft.problems.append(
                Problem(
                    f"{who} names `{name}`, which the stack does not have",
                    None,
                    f"it has: {', '.join(sorted(there)) or 'none'}",
                )
            )


def _exposed(topology: Topology) -> Sequence[Exposed]:
    return topology.cluster.exposed if topology.cluster else ()


def _replica(scenario: Scenario) -> Topology:
    """The system with what the drill adds: the ledger's table, made along with the schema, and clocks that can be moved."""
    topology = scenario.topology
    if scenario.ledger is not None:
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
    if scenario.topology.cluster:
        needs.add(Capability.KUBERNETES)
    if scenario.fault.links:
        needs.add(Capability.LINKS)
    return frozenset(needs)


def _command_problems(draft: _Draft, ground: Ground) -> Iterable[Problem]:
    """What the text's commands need and this substrate has not, each at the line that needs it."""
    for capability, source, text in draft.needed:
        if capability not in ground.provides:
            remedies = [problem.remedy for problem in ground.lacks(frozenset({capability}))]
            yield Problem(
                f"`{_short(text)}` needs {capability}, which the `{ground.name}` substrate does not have here",
                source,
                "; or ".join(("declare a Deviation", *filter(None, remedies))),
            )
    for program, source in draft.programs:
        if program and not ground.tool(program):
            yield Problem(
                f"the operator's shell on the `{ground.name}` substrate has no program `{program}`",
                source,
                "declare a Deviation, or install it",
            )


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    unique: Mapping[str, Problem] = {str(problem): problem for problem in problems}
    return sorted(unique.values(), key=lambda p: (p.source is None, p.source or Source("", 0)))


def _short(text: str, limit: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _digest(scenario: Scenario, runbook: Runbook) -> str:
    return hashlib.sha256(f"{__version__}\n{runbook.digest}\n{scenario!r}".encode()).hexdigest()
