"""When the alert rules of a text would have fired in this trial, by the same samples that everything else is judged by. Told
beside the verdict: a drill is not judged by it.

A rule is looked at once a probe period, as it could be known then: by the answers that had come. What was before the first
sample is taken to have been good, for the system was steady.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

from harness.checking.moments import Moments
from harness.model.alerting import USUAL_WINDOW, AlertCondition, Comparison, Signal
from harness.model.history import History, Sample
from harness.model.units import SECOND, Ns, show
from harness.model.verdict import Alerted, Outcome, Verdict


def alerted(history: History, moments: Moments) -> tuple[Alerted, ...]:
    """What became of each rule of the trial's terms: over all series of samples, the one in which it was first."""
    terms = history.header.terms
    if not terms.alerts:
        return ()
    indicators = dict.fromkeys(objective.indicator for objective in terms.objectives)
    series = {f"{name} ({mode})": history.of(name, mode) for name in indicators for mode in terms.modes}
    return tuple(_first(condition, series, moments, period=terms.period) for condition in terms.alerts)


def _first(
    condition: AlertCondition, series: Mapping[str, Sequence[Sample]], moments: Moments, *, period: Ns
) -> Alerted:
    found = [
        _evaluated(condition, samples, moments, period=period, name=name) for name, samples in series.items() if samples
    ]
    silent = Alerted(condition.name, condition.text, condition.source, assumed=condition.assumed)
    return min(found, key=_order, default=silent)


def _order(one: Alerted) -> tuple[int, Ns]:
    """Those that fired before those that were about to, these before those that kept silent; the earlier before the later."""
    if one.delay is not None:
        return 0, one.delay
    return (1, one.pending) if one.pending is not None else (2, 0)


def _evaluated(
    condition: AlertCondition, samples: Sequence[Sample], moments: Moments, *, period: Ns, name: str
) -> Alerted:
    """One rule over one series. Times in the answer are ns since the arm's act."""
    counts = [_Count.of(each, samples, period) for each in condition.comparisons]
    held: Ns | None = None
    fired: Ns | None = None
    cleared: Ns | None = None
    for instant in _instants(moments, period):
        if not all(count.exceeded(instant) for count in counts):
            held = None
            if fired is not None:
                cleared = instant
                break
        else:
            held = instant if held is None else held
            if fired is None and instant - held >= condition.lasting:
                fired = instant
    zero = moments.since
    return Alerted(
        condition.name,
        condition.text,
        condition.source,
        series=name,
        delay=None if fired is None else fired - zero,
        pending=None if fired is not None or held is None else held + condition.lasting - zero,
        cleared=None if cleared is None else cleared - zero,
        assumed=condition.assumed,
    )


def sentences(verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    """Of each rule what would have become of it, over all trials with the fault that count."""
    broken = [v for v in verdicts if v.arm.fault and v.outcome is not Outcome.INVALID]
    rules = dict.fromkeys((a.name, a.text, a.source) for v in broken for a in v.alerts)
    return tuple(
        _sentence([a for v in broken for a in v.alerts if (a.name, a.text, a.source) == rule]) for rule in rules
    )


def _sentence(found: Sequence[Alerted]) -> str:
    one = found[0]
    place = f" ({one.source})" if one.source else ""
    name = f"{one.name}: " if one.name not in ("", one.text) else ""
    window = f"; its text names no window, {show(USUAL_WINDOW)} was taken" if one.assumed else ""
    fired = sorted(a.delay for a in found if a.delay is not None)
    pending = sorted(a.pending for a in found if a.pending is not None)
    of = f" in {len(fired)} of {len(found)} trials" if len(found) > 1 else ""
    if fired:
        told = f"would have fired {_span(fired)} after the fault call{of}"
    elif pending:
        told = f"would not have fired in what was watched; had the outage lasted, {_span(pending)} after the fault call"
    else:
        told = "would not have fired"
    return f"the alert `{name}{one.text}`{place} {told}{window}"


def _span(times: Sequence[Ns]) -> str:
    lo, hi = f"{times[0] / SECOND:.1f}", f"{times[-1] / SECOND:.1f}"
    return f"{lo} s" if lo == hi else f"{lo} to {hi} s"


def _instants(moments: Moments, period: Ns) -> Iterator[Ns]:
    """Once a period from the act to where observation ended."""
    yield from range(moments.since, moments.until + 1, period)


@dataclass(frozen=True, slots=True)
class _Count:
    """One comparison over one series, its answers in the order in which they came: `before[i]` counts the bad ones among the
    first i. `first` is when the first question was due."""

    comparison: Comparison
    share: Fraction
    period: Ns
    first: Ns
    done: tuple[Ns, ...]
    before: tuple[int, ...]

    @staticmethod
    def of(comparison: Comparison, samples: Sequence[Sample], period: Ns) -> "_Count":
        came = sorted(samples, key=lambda s: s.done)
        bad = (_bad(comparison, sample) for sample in came)
        first = min(s.scheduled for s in samples)
        share = Fraction(str(comparison.share))
        return _Count(comparison, share, period, first, tuple(s.done for s in came), (0, *accumulate(bad)))

    def exceeded(self, instant: Ns) -> bool:
        """Whether the comparison holds at `instant`. Without any answer there is no share, and it does not."""
        begin = instant - self.comparison.window
        start, end = bisect_right(self.done, begin), bisect_right(self.done, instant)
        n = end - start + max(0, self.first - begin) // self.period
        bad = self.before[end] - self.before[start]
        limit = self.share * n
        return n > 0 and (bad >= limit if self.comparison.inclusive else bad > limit)


def _bad(comparison: Comparison, sample: Sample) -> bool:
    match comparison.signal:
        case Signal.ERRORS:
            return not sample.good
        case Signal.LATENCY:
            return not sample.good or sample.latency > comparison.slower
