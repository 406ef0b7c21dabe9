"""The steps of a drill as its text and its scenario give them, and what they need. Not what a substrate makes of it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.errors import Problem
from harness.model.history import StepTerms
from harness.model.runbook import Command, Language, Manual, Step
from harness.model.source import Source
from harness.model.units import seconds
from harness.plan import PlannedStep
from harness.ports import Capability
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


@dataclass(slots=True)
class Draft:
    """What is gathered while compiling; never leaves this package."""

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
        """What the commands need."""
        return frozenset(capability for capability, _, _ in self.needed)

    def steps(self, chosen: Iterable[Step], *, first: int = 0) -> tuple[PlannedStep, ...]:
        """Every action of the chosen steps in order, numbered from `first` on."""
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
                    f"nothing is bound to the placeholder `{placeholder.text}` in `{short(command.text)}`",
                    f'add bindings={{"{placeholder.text}": "…"}} to the scenario',
                )
        if command.interactive:
            self._problem(
                command.source,
                f"`{short(command.text)}` waits for a person or a terminal",
                "declare a Deviation that says what is run instead, or that it is not run",
            )
        return text, "", False

    def _executor(self, command: Command) -> str:
        executor = _EXECUTORS.get(command.language)
        if executor is None:
            self._problem(
                command.source,
                f"no executor runs {command.language} (`{short(command.text)}`)",
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
                    f"`{short(command.text)}` needs a Kubernetes cluster, which the stack does not have",
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
        named = [each.hosts for each in (*topology.databases, *topology.stores, *topology.workloads)]
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


def short(text: str, limit: int = 60) -> str:
    """A command's text for a message: one line of at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
