"""What happened in one trial, in order: events, samples, the write ledger. Append-only; it has queries and no setters.
Not what follows from it (harness.checking)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from harness.model.alerting import AlertCondition
from harness.model.backup import BackupSchedule
from harness.model.design import Arm
from harness.model.objectives import HumanTimes, Objective, Recovery
from harness.model.source import Source
from harness.model.units import Ns

Scalar = str | int | float | bool | None


class Phase(StrEnum):
    """Jepsen's: a thing is invoked, and ends as definitely done, definitely not done, or neither (info)."""

    INVOKE = "invoke"
    OK = "ok"
    FAIL = "fail"
    INFO = "info"


class Name(StrEnum):
    """The names of events. `data` keys of each stand behind it.

    TRIAL       invoke/ok: the whole trial (`drift_ns`: how much further the wall clock went than the monotonic one)
    ENVIRONMENT invoke/ok: brought up (`took_ns`, `isolation`), info: a remark of the substrate (`text`), or what it
                is busy with (`doing`)
    STEADY      ok: objectives held over one window before the fault · fail: they did not (`why`)
    FAULT       invoke: the injection call begins (t_call; `fault`) · ok: it returned and the target felt it, with its
                evidence · fail: not felt (`why`)
    HEAL        invoke/ok: the fault is undone (after observation has ended) · fail: it could not be (`why`)
    DETECT      info: the burn rule fired (t_detect)
    PROCEDURE   invoke: t_start · ok: followed to the end
    STEP        invoke: `step` index in the plan · ok: it ran and its status was success · fail: it ran and failed, or could
                not run (`status`, `stdout`, `stderr`, `rows`, `why`) · info: timed out, or skipped by a declared deviation
    OBSERVED    ok: observation ended (`why`: recovered, horizon or abort)
    ABORT       info: an abort condition stopped the trial (`why`)
    LEDGER      ok/fail: the final strong read (`rows`)
    REDUNDANCY  invoke: it is looked at from now on · fail: a second of something is lost · ok: all are back (t_red)
    INSTRUMENT  info: lag and drops of one worker (`worker`, `lag_p50_ns`, `lag_p99_ns`, `lag_max_ns`, `dropped`,
                `saturated`) · fail: it died (`why`)
    HARNESS     fail: the harness's own trouble (`why`)
    """

    TRIAL = "trial"
    ENVIRONMENT = "environment"
    STEADY = "steady"
    FAULT = "fault"
    HEAL = "heal"
    DETECT = "detect"
    PROCEDURE = "procedure"
    STEP = "step"
    OBSERVED = "observed"
    ABORT = "abort"
    LEDGER = "ledger"
    REDUNDANCY = "redundancy"
    INSTRUMENT = "instrument"
    HARNESS = "harness"


@dataclass(frozen=True, slots=True)
class Event:
    """One entry: `index` is its place, `at` monotonic ns, `actor` who acted (`harness`, `operator`, `prober`, …)."""

    index: int
    at: Ns
    actor: str
    phase: Phase
    name: Name
    data: dict[str, Scalar] = field(default_factory=dict)
    source: Source | None = None


class Mode(StrEnum):
    """How a probe connects: anew each time (reachability), or over a long-lived connection (stale sockets)."""

    FRESH = "fresh"
    POOLED = "pooled"


@dataclass(frozen=True, slots=True)
class Sample:
    """One dated answer. Indexed by `scheduled`, the instant it was due, whatever became of it; times in monotonic ns.

    `good`: the whole exchange, payload checked, ended within the probe's timeout counted from `scheduled`. `reason` says
    why not. `sent - scheduled` is the instrument's own lag; `done - scheduled` the latency.
    """

    indicator: str
    mode: Mode
    scheduled: Ns
    sent: Ns
    done: Ns
    good: bool
    reason: str = ""

    @property
    def latency(self) -> Ns:
        """From the scheduled instant to the end of the answer."""
        return self.done - self.scheduled


class WriteOutcome(StrEnum):
    """What became of an attempted write: acknowledged, definitely refused, or unknown."""

    OK = "ok"
    FAIL = "fail"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Write:
    """One attempted ledger write: its intent was on disk before it was sent. Times in monotonic ns."""

    writer: str
    seq: int
    checksum: str
    invoked: Ns
    done: Ns
    outcome: WriteOutcome
    code: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """What a strong read found of one id: its checksum and how often it stands there."""

    writer: str
    seq: int
    checksum: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Reading:
    """One strong read of the whole ledger: `place` is what was read (`primary`, a standby's name)."""

    place: str
    invoked: Ns
    done: Ns
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class StepTerms:
    """What a step of the plan is, as far as judging and reporting need it.

    `written` is the runbook's text, `text` what was run, `deviation` why they differ where a deviation says so.
    `what` is `command`, `manual` or `skipped`.
    """

    index: int
    what: str
    title: str
    language: str
    written: str
    text: str
    source: Source
    destructive: bool = False
    deviation: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a trial is judged by, carried in its header so that it can be judged again without the scenario.

    `period` is the probes' period in ns; `modes` the connection modes probed; `ledger` whether writes were recorded; `alerts`
    are rules that are looked at beside it; `backup` the schedule that the preparation's backup is one of;
    `concern` by what a write of the ledger is acknowledged ("": as the server does).
    """

    objectives: tuple[Objective, ...]
    recovery: Recovery
    human: HumanTimes
    steps: tuple[StepTerms, ...]
    period: Ns
    modes: tuple[Mode, ...] = (Mode.FRESH, Mode.POOLED)
    ledger: bool = False
    alerts: tuple[AlertCondition, ...] = ()
    backup: BackupSchedule | None = None
    concern: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """Which trial this is, of what, where. `plan` is the plan's digest; `wall` (ns since the epoch) and `monotonic` were
    read at the same instant, and are the only wall time there is."""

    schema: int
    version: str
    scenario: str
    trial: str
    arm: Arm
    seed: int
    plan: str
    runbook: Source
    runbook_digest: str
    procedure: str
    fault: str
    substrate: str
    isolation: str
    wall: Ns
    monotonic: Ns
    terms: Terms
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class History:
    """Everything recorded of one trial."""

    header: Header
    events: tuple[Event, ...] = ()
    samples: tuple[Sample, ...] = ()
    writes: tuple[Write, ...] = ()
    readings: tuple[Reading, ...] = ()

    def named(self, name: Name, *phases: Phase) -> Iterator[Event]:
        """The events of that name, in order; only those in `phases` where any is given."""
        return (e for e in self.events if e.name is name and (not phases or e.phase in phases))

    def first(self, name: Name, *phases: Phase) -> Event | None:
        """The first such event, or None."""
        return next(self.named(name, *phases), None)

    def of(self, indicator: str, mode: Mode) -> tuple[Sample, ...]:
        """The samples of one indicator in one connection mode, by scheduled instant."""
        chosen = [s for s in self.samples if s.indicator == indicator and s.mode is mode]
        return tuple(sorted(chosen, key=lambda s: s.scheduled))
