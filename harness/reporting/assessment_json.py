"""`assessment.json`: everything that was concluded, for programs. docs/reports.md describes it. No rounding, no judging."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from harness.model.history import Header, History, Name, Phase, Scalar, Terms
from harness.model.source import Source
from harness.model.units import Ns
from harness.model.verdict import (
    Alerted,
    ArmSummary,
    Finding,
    Interval,
    Loss,
    Outcome,
    Recovered,
    Status,
    Verdict,
    Word,
)
from harness.reporting.drill import Drill, origin
from harness.reporting.executed import Execution, executions

SCHEMA: Final = 1
"""Raised when a key changes its meaning or goes; new keys may come without."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The one instant at which both clocks were read: `wall0` ns since the epoch, `mono0` monotonic ns; `drift_ns` by how much
    the wall clock went further until the end of the trial."""

    wall0: Ns
    mono0: Ns
    drift_ns: Scalar


@dataclass(frozen=True, slots=True)
class Moments:
    """The trial's timeline in ns since `origin` (monotonic ns; drill.origin)."""

    origin: Ns
    call: Ns | None
    ret: Ns | None
    eff: Ns | None
    bad: Interval | None
    detect: Ns | None
    start: Ns | None
    first_good: Ns | None
    rec: Interval | None
    red: Ns | None
    end: Ns | None


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step: `start` and `end` in ns since the origin; `phase` how it ended, `data` what the executor
    said (status, output, rows)."""

    step: Scalar
    what: str
    start: Ns | None
    end: Ns | None
    phase: Phase | None
    source: Source | None
    written: str
    text: str
    deviation: str
    data: dict[str, Scalar]


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One trial, judged."""

    trial_id: str
    arm: str
    fault: bool
    procedure: bool
    status: Status
    outcome: Outcome
    ok: bool
    seed: int | None
    clock: Clock | None
    t: Moments | None
    outage_bad_s: float
    episodes: int
    rta: Recovered | None
    rpo: Loss | None
    instrument: tuple[dict[str, Scalar], ...]
    steps: tuple[StepRecord, ...]
    findings: tuple[Finding, ...]
    alerts: tuple[Alerted, ...]


@dataclass(frozen=True, slots=True)
class Digest:
    """What was drilled, so that evidence of one thing is never counted for another."""

    runbook: str
    plan: str
    harness: str


@dataclass(frozen=True, slots=True)
class ArmRecord:
    """An arm's trials by status; `cp_lower95` is the one-sided Clopper-Pearson limit."""

    arm: str
    n: int
    ok: int
    miss: int
    censored: int
    no_breach: int
    invalid: int
    cp_lower95: float


@dataclass(frozen=True, slots=True)
class Cell:
    """One scenario's experiment; durations in ns."""

    scenario: str
    procedure: str
    runbook: Source | None
    fault: str
    substrate: tuple[str, ...]
    remarks: tuple[str, ...]
    digest: Digest | None
    terms: Terms | None
    verdict: Word
    outcome: Outcome
    why: str
    effective: bool | None
    necessary: bool | None
    harmless: bool | None
    rta: Interval | None
    rpa: Interval | None
    human: Ns
    limits: tuple[str, ...]
    alerts: tuple[str, ...]
    findings: tuple[Finding, ...]
    arms: tuple[ArmRecord, ...]
    trials: tuple[TrialRecord, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """The file."""

    schema: int
    cells: tuple[Cell, ...]


def render(drills: Sequence[Drill]) -> bytes:
    """The file's bytes: UTF-8, indented, keys always in the same order, one newline at the end."""
    document = Document(schema=SCHEMA, cells=tuple(_cell(drill) for drill in drills))
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _cell(drill: Drill) -> Cell:
    assessment, header = drill.assessment, drill.header
    return Cell(
        scenario=assessment.scenario,
        procedure=header.procedure if header else "",
        runbook=header.runbook if header else None,
        fault=next((each.header.fault for each in drill.histories if each.header.arm.fault), ""),
        substrate=drill.where,
        remarks=drill.remarks,
        digest=_digest(header),
        terms=header.terms if header else None,
        verdict=assessment.word,
        outcome=assessment.outcome,
        why=assessment.why,
        effective=assessment.effective,
        necessary=assessment.necessary,
        harmless=assessment.harmless,
        rta=assessment.rta,
        rpa=assessment.rpa,
        human=assessment.human,
        limits=assessment.limits,
        alerts=assessment.alerts,
        findings=assessment.findings,
        arms=tuple(_arm(each) for each in assessment.arms),
        trials=tuple(_trial(each, drill.history(each)) for each in assessment.verdicts),
    )


def _digest(header: Header | None) -> Digest | None:
    return Digest(runbook=header.runbook_digest, plan=header.plan, harness=header.version) if header else None


def _arm(summary: ArmSummary) -> ArmRecord:
    return ArmRecord(
        arm=summary.arm.name,
        n=summary.n,
        ok=summary.ok,
        miss=summary.miss,
        censored=summary.censored,
        no_breach=summary.no_breach,
        invalid=summary.invalid,
        cp_lower95=summary.bound,
    )


def _trial(verdict: Verdict, history: History | None) -> TrialRecord:
    moments = _moments(verdict, history) if history else None
    return TrialRecord(
        trial_id=verdict.trial,
        arm=verdict.arm.name,
        fault=verdict.arm.fault,
        procedure=verdict.arm.procedure,
        status=verdict.status,
        outcome=verdict.outcome,
        ok=verdict.status is Status.OK,
        seed=history.header.seed if history else None,
        clock=_clock(history) if history else None,
        t=moments,
        outage_bad_s=verdict.timings.bad_seconds,
        episodes=verdict.timings.episodes,
        rta=verdict.rta,
        rpo=verdict.loss,
        instrument=tuple(each.data for each in history.named(Name.INSTRUMENT)) if history else (),
        steps=_steps(history, moments.origin) if history and moments else (),
        findings=verdict.findings,
        alerts=verdict.alerts,
    )


def _clock(history: History) -> Clock:
    ended = history.first(Name.TRIAL, Phase.OK)
    drift = ended.data.get("drift_ns") if ended else None
    return Clock(wall0=history.header.wall, mono0=history.header.monotonic, drift_ns=drift)


def _moments(verdict: Verdict, history: History) -> Moments:
    timings = verdict.timings
    returned = history.first(Name.FAULT, Phase.OK)
    zero = origin(verdict, history)

    def since(instant: Ns | None) -> Ns | None:
        return None if instant is None else instant - zero

    def bracket(interval: Interval | None) -> Interval | None:
        return None if interval is None else Interval(lo=interval.lo - zero, hi=since(interval.hi))

    return Moments(
        origin=zero,
        call=since(timings.call),
        ret=since(returned.at if returned else None),
        eff=since(timings.felt),
        bad=bracket(timings.onset),
        detect=since(timings.detected),
        start=since(timings.started),
        first_good=since(timings.first_good),
        rec=bracket(timings.recovered),
        red=since(timings.redundant),
        end=since(timings.ended),
    )


def _steps(history: History, zero: Ns) -> tuple[StepRecord, ...]:
    return tuple(_step(execution, zero) for execution in executions(history))


def _step(execution: Execution, zero: Ns) -> StepRecord:
    terms, begun, ended = execution.terms, execution.begun, execution.ended
    return StepRecord(
        step=terms.index if terms else execution.data.get("step"),
        what=terms.what if terms else "",
        start=begun.at - zero if begun else None,
        end=ended.at - zero if ended else None,
        phase=ended.phase if ended else None,
        source=execution.source,
        written=terms.written if terms else "",
        text=terms.text if terms else "",
        deviation=terms.deviation if terms else "",
        data=execution.data,
    )
