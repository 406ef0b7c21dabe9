"""One trial's history → its verdict. Pure and total: judging again gives the same, and no history makes it raise.

Whether a trial counts is decided before what came out of it. A check that crashes proves nothing: it is inconclusive, never
a pass, and never the runbook's failure.
"""

import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from harness.checking import (
    alerts,
    backups,
    containment,
    durability,
    effect,
    hygiene,
    procedure,
    recovery,
    redundancy,
    steady_state,
    timeliness,
)
from harness.checking import series as series_of
from harness.checking.detection import Alarm, Detector
from harness.checking.moments import Moments, moments
from harness.checking.recovery import Outage
from harness.checking.series import Series
from harness.model.design import BASELINE, CONTROL, SHAM, TREATED, Arm
from harness.model.history import History, Name, Phase
from harness.model.units import Ns
from harness.model.verdict import Finding, Interval, Outcome, Recovered, Status, Timings, Verdict

VALIDITY: Final = (hygiene.CHECK, steady_state.CHECK, effect.CHECK)
"""The checks that say whether a trial counts at all."""

_CLAIM: Final = (
    *(timeliness.CHECK, durability.CHECK, durability.INTEGRITY),
    *(backups.CHECK, containment.CHECK, procedure.CHECK),
)
DECISIVE: Final[dict[Arm, tuple[str, ...]]] = {
    TREATED: (*VALIDITY, *_CLAIM),
    SHAM: (*VALIDITY, *_CLAIM),
    CONTROL: (*VALIDITY, timeliness.CHECK),
    BASELINE: (*VALIDITY, timeliness.CHECK, durability.CHECK, durability.INTEGRITY),
}
"""Which checks decide an arm's outcome; the others are told beside it. What the fault alone destroys in the control arm is
the fault's doing, and there for comparison."""

_MOMENTS: Final = "moments"
_SAMPLES: Final = "samples"

T = TypeVar("T")


def judge(history: History) -> Verdict:
    """The verdict on one trial: what it answers depends on its arm (`DECISIVE`)."""
    crashes: list[Finding] = []
    when = _attempt(crashes, _MOMENTS, lambda: moments(history)) or Moments(0, 0)
    seen = _attempt(crashes, _SAMPLES, lambda: _outage(history, when)) or (None, (), None)
    alarm, series, outage = seen
    people = _attempt(crashes, "people", lambda: _people(history, when, alarm, outage)) or 0
    loss = _attempt(crashes, durability.CHECK, lambda: backups.placed(history, when, durability.loss(history, when)))
    checks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        (hygiene.CHECK, lambda: hygiene.check(history, when)),
        (steady_state.CHECK, lambda: steady_state.check(history, when)),
        (effect.CHECK, lambda: effect.check(history, when, outage)),
        (timeliness.CHECK, lambda: timeliness.check(history, when, outage, people=people)),
        (durability.CHECK, lambda: durability.check(history, loss)),
        (backups.CHECK, lambda: backups.check(history, when, loss)),
        (procedure.CHECK, lambda: procedure.check(history, when)),
        (containment.CHECK, lambda: containment.check(history)),
        (redundancy.CHECK, lambda: redundancy.check(history, when)),
    )
    findings: list[Finding] = []
    for name, check in checks:
        findings.extend(_findings(crashes, name, check))
    timings = _attempt(crashes, "timings", lambda: _timings(history, when, alarm, series, outage)) or Timings()
    rta = _attempt(crashes, "timings", lambda: _rta(when, outage, people=people))
    told = _attempt(crashes, "alerts", lambda: alerts.alerted(history, when)) or ()
    blind = any(f.check in (_MOMENTS, _SAMPLES) for f in crashes)
    return Verdict(
        trial=history.header.trial,
        arm=history.header.arm,
        outcome=_outcome(history, findings, crashed=bool(crashes)),
        status=Status.INVALID if blind else _status(history, when, outage, findings, people=people),
        findings=(*crashes, *findings),
        timings=timings,
        rta=rta,
        loss=loss,
        alerts=told,
    )


def _attempt(crashes: list[Finding], check: str, question: Callable[[], T]) -> T | None:
    """The one boundary at which a check may crash: its answer, or None and a finding that says what happened."""
    try:
        return question()
    except Exception as error:  # noqa: BLE001 - whatever a check raises, it is no answer about the runbook
        last = traceback.format_exception_only(error)[-1].strip()
        crashes.append(Finding(check, Outcome.INCONCLUSIVE, f"the check itself failed: {last}"))
        return None


def _findings(crashes: list[Finding], name: str, check: Callable[[], Iterator[Finding]]) -> tuple[Finding, ...]:
    """All that a check finds; it is run to its end within the boundary."""
    return _attempt(crashes, name, lambda: tuple(check())) or ()


def _outage(history: History, when: Moments) -> tuple[Alarm | None, tuple[Series, ...], Outage | None]:
    """What broke since the arm's act, and how it ended, from the samples that were due while it was watched."""
    terms = history.header.terms
    samples = [s for s in history.samples if when.since <= s.scheduled < when.until]
    series = series_of.every(terms, samples)
    detector = Detector(terms, since=when.since)
    detector.feed(samples)
    alarm = detector.alarm
    if alarm is None:
        return None, series, None
    return alarm, series, recovery.outage(series, alarm, terms, since=when.since)


def _outcome(history: History, findings: Iterable[Finding], *, crashed: bool) -> Outcome:
    decisive = DECISIVE[history.header.arm]
    if history.header.arm.procedure and history.header.terms.recovery.redundancy is not None:
        decisive = (*decisive, redundancy.CHECK)
    outcomes = [f.outcome for f in findings if f.check in decisive]
    return Outcome.worst([*outcomes, Outcome.INCONCLUSIVE] if crashed or not outcomes else outcomes)


def _status(
    history: History, when: Moments, outage: Outage | None, findings: Iterable[Finding], *, people: Ns
) -> Status:
    invalid = {f.check for f in findings if f.outcome is Outcome.INVALID}
    felt = history.first(Name.FAULT, Phase.OK) is not None
    if invalid == {effect.CHECK} and felt and outage is None:
        return Status.NO_BREACH
    return Status.INVALID if invalid else timeliness.status(history, when, outage, people=people)


def _timings(
    history: History, when: Moments, alarm: Alarm | None, series: tuple[Series, ...], outage: Outage | None
) -> Timings:
    broke = outage is not None
    recovered = None
    if outage is not None:
        recovered = outage.recovered or Interval(outage.possible, None)
    return Timings(
        call=when.call,
        felt=when.felt,
        onset=outage.onset if outage else None,
        detected=alarm.at if alarm else None,
        started=when.started,
        first_good=outage.first_good if outage else None,
        recovered=recovered,
        redundant=when.redundant,
        ended=when.observed,
        bad_seconds=recovery.bad_time(series, since=when.since, period=history.header.terms.period) / 1e9
        if broke
        else 0.0,
        episodes=recovery.episodes(series, since=when.since) if broke else 0,
    )


def _people(history: History, when: Moments, alarm: Alarm | None, outage: Outage | None) -> Ns:
    if outage is None or alarm is None:
        return 0
    return human(history, when, detected=alarm.at, until=outage.recovered.hi if outage.recovered else None)


def _rta(when: Moments, outage: Outage | None, *, people: Ns) -> Recovered | None:
    if outage is None or when.call is None:
        return None
    took = timeliness.taken(when, outage)
    back = outage.recovered or Interval(outage.possible, None)
    user = Interval(
        max(0, back.lo - (outage.onset.hi or outage.onset.lo)),
        None if back.hi is None else max(0, back.hi - outage.onset.lo),
    )
    procedure_took = timeliness.since(back, when.started) if when.started is not None else None
    return Recovered(took, user, procedure_took, people)


def human(history: History, when: Moments, *, detected: Ns, until: Ns | None) -> Ns:
    """What people would add before recovery, in ns: taking note, and reading and typing each step begun before `until`.

    A declared detection time counts as far as it is longer than the measured one. Nothing without a procedure.
    """
    times, steps = history.header.terms.human, {s.index: s for s in history.header.terms.steps}
    if when.started is None or when.call is None:
        return 0
    kinds = [
        steps[number].what
        for e in history.named(Name.STEP, Phase.INVOKE)
        if e.at >= when.started and (until is None or e.at <= until)
        for number in [e.data.get("step")]
        if isinstance(number, int) and number in steps
    ]
    hands = kinds.count("manual") * times.manual + kinds.count("command") * times.command
    longer = 0 if times.detect is None else max(0, times.detect - (detected - when.call))
    return times.acknowledge + hands + longer
