"""What a runbook's text says, as values: procedures, sections, branches, steps, commands, targets. Not how it is read."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from harness.model.source import Source
from harness.model.units import Ns


class Language(StrEnum):
    """The language a command is really in, whatever its fence says."""

    BASH = "bash"
    SQL = "sql"
    PYTHON = "python"
    PROMQL = "promql"
    OTHER = "other"


class SectionKind(StrEnum):
    """What a part of a procedure is for."""

    SYMPTOMS = "symptoms"
    DIAGNOSIS = "diagnosis"
    RESOLUTION = "resolution"
    VERIFICATION = "verification"
    ROLLBACK = "rollback"
    PREVENTION = "prevention"
    ESCALATION = "escalation"
    OTHER = "other"


class BranchKind(StrEnum):
    """Why a branch is one: its condition may not hold, or it is one of several ways to do the same."""

    CONDITION = "condition"
    ALTERNATIVE = "alternative"
    LABEL = "label"


@dataclass(frozen=True, slots=True)
class Placeholder:
    """What the operator must supply, as written (`<pod-name>`, `$NAMESPACE`, `your-bucket`)."""

    text: str
    source: Source


@dataclass(frozen=True, slots=True)
class Invocation:
    """One program in a command line: `kubectl -n prod scale deploy/api --replicas=5` and the like.

    `inner` is what runs elsewhere (after `--` of `kubectl exec`, in `docker exec`, over `ssh`).
    """

    program: str
    argv: tuple[str, ...]
    verb: str = ""
    object: str = ""
    namespace: str = ""
    selector: str = ""
    container: str = ""
    inner: tuple[str, ...] = ()
    where: str = "operator"


@dataclass(frozen=True, slots=True)
class Command:
    """One thing to execute: a whole logical command, at its first line.

    `context` is the session it belongs to (`psql`, `redis-cli`, `kubectl exec …`, `ssh host`), outermost first; `directory`
    where an earlier `cd` of that session went; `sets` the shell variables it sets for what follows.
    """

    language: Language
    text: str
    source: Source
    placeholders: tuple[Placeholder, ...] = ()
    invocations: tuple[Invocation, ...] = ()
    interactive: bool = False
    blocking: bool = False
    tty: bool = False
    destructive: bool = False
    context: tuple[str, ...] = ()
    directory: str = ""
    sets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Manual:
    """An instruction for a person: nothing in it can be executed."""

    text: str
    source: Source


Action = Command | Manual


@dataclass(frozen=True, slots=True)
class Step:
    """One numbered item, bullet, or commented group of lines in a fence, and what it asks to do, in order."""

    title: str
    actions: tuple[Action, ...]
    source: Source
    number: str = ""

    def commands(self) -> Iterator[Command]:
        """What it asks to execute, in order."""
        return (action for action in self.actions if isinstance(action, Command))


@dataclass(frozen=True, slots=True)
class Branch:
    """Steps that are taken only if a condition holds, or one of several alternatives."""

    title: str
    kind: BranchKind
    items: "tuple[Step | Branch, ...]"
    source: Source

    def steps(self) -> Iterator[Step]:
        """Every step below it, in order."""
        return _steps(self.items)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a procedure with one purpose."""

    kind: SectionKind
    title: str
    items: tuple[Step | Branch, ...]
    source: Source

    def steps(self) -> Iterator[Step]:
        """Every step in it, in order, whatever the branch."""
        return _steps(self.items)


@dataclass(frozen=True, slots=True)
class Procedure:
    """A heading and what stands under it; `title_path` is the chain of headings, outermost first."""

    title_path: tuple[str, ...]
    sections: tuple[Section, ...]
    source: Source
    purpose: str = ""

    @property
    def title(self) -> str:
        """Its own heading."""
        return self.title_path[-1] if self.title_path else ""

    def steps(self) -> Iterator[Step]:
        """Every step in it, in order, whatever the branch."""
        for section in self.sections:
            yield from section.steps()

    def commands(self) -> Iterator[Command]:
        """Every command in it, in order, whatever the branch."""
        for step in self.steps():
            yield from step.commands()


class TargetKind(StrEnum):
    """What a stated objective is about."""

    RTO = "rto"
    RPO = "rpo"
    AVAILABILITY = "availability"
    ERROR_RATE = "error_rate"
    LATENCY = "latency"
    ERROR_BUDGET = "error_budget"


@dataclass(frozen=True, slots=True)
class Target:
    """An objective stated in the runbook's own text.

    `value` is in `unit`: nanoseconds (`ns`) for times, a fraction (`ratio`, 0.9995 for 99.95%) for shares.
    `subject` is what it is about ("Database"), `quantile` that of a latency (0.95), `text` the words as written.
    """

    kind: TargetKind
    value: float
    unit: str
    text: str
    source: Source
    subject: str = ""
    quantile: float | None = None


@dataclass(frozen=True, slots=True)
class AlertRule:
    """A threshold at which somebody is told: not an objective."""

    name: str
    expression: str
    source: Source
    duration: Ns | None = None
    severity: str = ""


@dataclass(frozen=True, slots=True)
class ResponseTime:
    """How soon people answer an incident of this severity; `within` None where the text gives no figure."""

    severity: str
    text: str
    source: Source
    within: Ns | None = None


@dataclass(frozen=True, slots=True)
class Unclassified:
    """A block the reader could not place: kept with its line, never dropped."""

    text: str
    reason: str
    source: Source


@dataclass(frozen=True, slots=True)
class Runbook:
    """One runbook, read. `digest` is the SHA-256 of its bytes in hexadecimal. `advice`: headings that list, without numbers or
    commands, what a person is to do; no procedures, but a scenario may name them and say which commands stand for it."""

    title: str
    procedures: tuple[Procedure, ...]
    source: Source
    digest: str
    targets: tuple[Target, ...] = ()
    alerts: tuple[AlertRule, ...] = ()
    response_times: tuple[ResponseTime, ...] = ()
    unclassified: tuple[Unclassified, ...] = ()
    repaired: bool = False
    advice: tuple[Procedure, ...] = ()

    def commands(self) -> Iterator[Command]:
        """Every command in it, in order."""
        for procedure in self.procedures:
            yield from procedure.commands()


def _steps(items: tuple[Step | Branch, ...]) -> Iterator[Step]:
    for item in items:
        match item:
            case Step():
                yield item
            case Branch():
                yield from item.steps()
