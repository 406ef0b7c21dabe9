"""Was the instrument fit to measure? Asked before the outcome is known, so that nobody can choose which trials count.

Lag is taken from the samples themselves, over the time that is judged: what an instrument did while it started says nothing
about what it measured later.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from harness.checking import series as series_of
from harness.checking.moments import Moments
from harness.checking.series import GRACE, Series
from harness.model.history import Event, History, Name, Phase, Sample
from harness.model.units import Ns, show
from harness.model.verdict import Finding, Outcome

CHECK = "hygiene"

_GAP = 5
"""How many periods the instrument may be late once, or silent, and still be believed."""


def check(history: History, moments: Moments) -> Iterator[Finding]:
    """A finding for each trouble (invalid), or one that there is none."""
    troubles = [*_record(history), *_workers(history)]
    if moments.steady is not None:
        troubles += _sampling(history, moments)
    for why, evidence in troubles:
        yield Finding(CHECK, Outcome.INVALID, why, evidence)
    if not troubles:
        lags = _lags(_judged(history, moments))
        figures = f", lag p99 {show(_p99(lags))}, max {show(lags[-1])}" if lags else ""
        yield Finding(CHECK, Outcome.PASSED, f"{len(lags)} samples{figures}")


Trouble = tuple[str, tuple[int, ...]]


def _record(history: History) -> Iterator[Trouble]:
    for event in history.named(Name.HARNESS, Phase.FAIL):
        yield f"the harness had trouble of its own: {event.data.get('why', 'no reason given')}", (event.index,)
    if history.first(Name.TRIAL, Phase.OK) is None:
        yield "the record ends before the trial does: the harness was stopped", ()
    for earlier, later in pairwise(history.events):
        if later.at < earlier.at:
            yield f"the clock went backwards by {show(earlier.at - later.at)}", (earlier.index, later.index)
    if history.first(Name.OBSERVED) is None and _acted(history):
        yield "the record does not say until when the system was watched", ()


def _acted(history: History) -> bool:
    """Whether there was anything to watch: steady, and the fault (if any) felt."""
    steady = history.first(Name.STEADY, Phase.OK) is not None
    return steady and (not history.header.arm.fault or history.first(Name.FAULT, Phase.OK) is not None)


def _workers(history: History) -> Iterator[Trouble]:
    for event in history.named(Name.INSTRUMENT):
        worker = event.data.get("worker", "a worker")
        if event.phase is Phase.FAIL:
            yield f"{worker} died: {event.data.get('why', 'no reason given')}", (event.index,)
        if _number(event, "dropped"):
            yield f"{worker} could not send {_number(event, 'dropped')} of what was due", (event.index,)
        if _number(event, "suspended_ns"):
            yield f"the machine slept for {show(_number(event, 'suspended_ns'))}", (event.index,)


def _number(event: Event, key: str) -> int:
    value = event.data.get(key)
    return value if isinstance(value, int) else 0


def _sampling(history: History, moments: Moments) -> Iterator[Trouble]:
    terms, judged = history.header.terms, _judged(history, moments)
    for each in series_of.every(terms, judged):
        yield from _gaps(each, moments)
    saturated = sum(s.reason == "saturated" for s in judged)
    if saturated:
        yield f"{saturated} probes were not sent because too many were unanswered", ()
    lags = _lags(judged)
    if lags and (_p99(lags) > terms.period or lags[-1] > _GAP * terms.period):
        limits = f"at most {show(terms.period)} and {show(_GAP * terms.period)}"
        yield f"the prober was starved: lag p99 {show(_p99(lags))}, max {show(lags[-1])} ({limits})", ()


def _gaps(series: Series, moments: Moments) -> Iterator[Trouble]:
    if not series.at:
        yield f"no samples of {series.name}", ()
        return
    gap = max((later - earlier for earlier, later in pairwise(series.at)), default=0)
    if gap > _GAP * series.period:
        yield f"no samples of {series.name} for {show(gap)}", ()
    silent = moments.until - series.at[-1]
    if silent > _GAP * series.period + series.objective.within + GRACE:
        yield f"no samples of {series.name} in the last {show(silent)}", ()


def _judged(history: History, moments: Moments) -> list[Sample]:
    start = moments.since - history.header.terms.recovery.window
    return [s for s in history.samples if start <= s.scheduled < moments.until]


def _lags(samples: Sequence[Sample]) -> list[Ns]:
    return sorted(s.sent - s.scheduled for s in samples)


def _p99(lags: Sequence[Ns]) -> Ns:
    """The smallest lag that at least 99% do not exceed."""
    return lags[-(-99 * len(lags) // 100) - 1]
