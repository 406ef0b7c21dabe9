"""The time axis that a drill's timelines share, and the places on it. No drawing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from harness.model.history import History
from harness.model.units import SECOND, Ns
from harness.model.verdict import Verdict
from harness.reporting.drill import Drill, origin

_STEPS: Final = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 21600, 86400)
_TICKS: Final = 8
_BEFORE: Final[Ns] = 6 * SECOND


@dataclass(frozen=True, slots=True)
class Axis:
    """From `lo` to `hi`, in ns since each trial's own origin (its fault call)."""

    lo: Ns
    hi: Ns

    def percent(self, since: Ns) -> float:
        """Where an instant stands, in percent of the width; beyond the ends at the ends."""
        return 100 * (min(max(since, self.lo), self.hi) - self.lo) / (self.hi - self.lo)

    def ticks(self) -> tuple[Ns, ...]:
        """Round instants, at most eight."""
        span = self.hi - self.lo
        step = next((each * SECOND for each in _STEPS if span <= each * SECOND * _TICKS), span)
        first = -(-self.lo // step) * step
        return tuple(first + n * step for n in range((self.hi - first) // step + 1))


def shared_axis(drill: Drill) -> Axis:
    """The axis that holds all of a drill's trials, from shortly before the fault to the end of the longest observation."""
    spans = [_span(verdict, history) for verdict, history in drill.pairs()]
    lo = max(min((lo for lo, _ in spans), default=0), -_BEFORE)
    hi = max((hi for _, hi in spans), default=0)
    return Axis(lo=min(lo, 0), hi=max(hi, lo + SECOND))


def lanes(extents: Sequence[tuple[float, float]]) -> tuple[int, ...]:
    """For each (from, to), from left to right, the lane below all before it that it touches, so that a line drawn down from
    its left end crosses none of them."""
    chosen: list[int] = []
    for number, (lo, hi) in enumerate(extents):
        touched = [
            chosen[n] for n, (other_lo, other_hi) in enumerate(extents[:number]) if lo < other_hi and other_lo < hi
        ]
        chosen.append(max(touched, default=-1) + 1)
    return tuple(chosen)


def _span(verdict: Verdict, history: History) -> tuple[Ns, Ns]:
    start = origin(verdict, history)
    due = [sample.scheduled for sample in history.samples]
    ended = verdict.timings.ended
    end = ended if ended is not None else max(due, default=start)
    return min(due, default=start) - start, end - start
