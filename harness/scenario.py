"""What a drill adds to a runbook's text: what breaks, which procedure answers, what counts as recovered. All of it is printed
in every report. Not what is done with it (harness.planning)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.model.backup import BackupSchedule
from harness.model.design import CONTROL, TREATED, Arm
from harness.model.load import LedgerSpec, LoadProfile, Probe
from harness.model.objectives import HumanTimes, Objective, Recovery
from harness.model.topology import Topology
from harness.model.units import Ns, milliseconds, seconds
from harness.model.verdict import Word
from harness.ports import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """A declared difference between the text and what is run: the command, or the instruction to a person, that contains `match`
    (white space folded; any of several where the texts differ) is replaced by the command `instead`, or not run where that is
    None. `why` is printed."""

    match: str | tuple[str, ...]
    why: str
    instead: str | None = None

    def touches(self, text: str) -> bool:
        """Whether the command `text` is one of those it changes."""
        folded = " ".join(text.split())
        matches = (self.match,) if isinstance(self.match, str) else self.match
        return any(" ".join(match.split()) in folded for match in matches)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Who follows the runbook: the database and role its bare SQL goes to, variables of the shell, and files that lie in the
    home directory at the start (`files`: path → content; what begins with `#!` is a program)."""

    database: str = ""
    role: str = "postgres"
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A verdict other than effective that is expected, because the text has a known defect; printed with its reason. The
    drill then passes if, and only if, it reaches this verdict."""

    word: Word
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One drill.

    `runbook` is a path, relative to the scenario's file. `procedure` is matched by its words against the headings; `follow`
    is the path through its sections and branches (`"resolution > if database issues"`), `prepare` what is followed before the
    fault in every arm (a backup). `bindings` gives each placeholder, as written, what it stands for. `caveats` are sentences
    that bound the claim and cannot be computed; `alerts` are rules beside the text's own (`error rate > 1% for 2m`, or PromQL),
    of which the report says when they would have fired. `backup`: what `prepare` does is one of a schedule, and the fault
    comes at a point of it (by default the worst). Durations are ns: `period` of each probe, `step_timeout` of one command,
    `detect_within` how long the users' probes may take to notice the fault, `warm_up` how long the system may take to hold
    its objectives before it.
    """

    title: str
    runbook: str
    procedure: str
    topology: Topology
    fault: Fault
    probes: tuple[Probe, ...]
    objectives: tuple[Objective, ...]
    recovery: Recovery
    follow: tuple[str, ...] = ()
    prepare: tuple[str, ...] = ()
    bindings: Mapping[str, str] = field(default_factory=dict)
    deviations: tuple[Deviation, ...] = ()
    operator: Operator = Operator()
    load: LoadProfile | None = None
    ledger: LedgerSpec | None = None
    human: HumanTimes = HumanTimes()
    arms: tuple[Arm, ...] = (CONTROL, TREATED)
    expect: Known | None = None
    caveats: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()
    backup: BackupSchedule | None = None
    period: Ns = milliseconds(50)
    step_timeout: Ns = seconds(10)
    detect_within: Ns = seconds(12)
    warm_up: Ns = seconds(20)
    seed: int = 1
