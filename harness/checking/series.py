"""The samples of one objective in one connection mode, in the order they were due, ready to be counted in windows.

Not what the counts mean (detection, recovery, steady_state).
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from harness.checking import windows
from harness.model.history import Mode, Sample, Terms
from harness.model.objectives import Objective
from harness.model.units import SECOND, Ns

GRACE: Final[Ns] = SECOND
"""How long after its time limit an answer may still be missing before it is given up."""


@dataclass(frozen=True, slots=True)
class Series:
    """`at[i]` is the instant sample i was due, `bad[i]` whether it broke the objective's promise; `before[i]` counts the bad
    ones among the first i. `period` is the probes' period. Instants and durations in ns."""

    objective: Objective
    mode: Mode
    period: Ns
    at: tuple[Ns, ...]
    bad: tuple[bool, ...]
    before: tuple[int, ...]

    @property
    def name(self) -> str:
        """How findings call it: `read (pooled)`."""
        return f"`{self.objective.indicator}` ({self.mode})"

    def first(self, instant: Ns) -> int:
        """The index of the first sample due at `instant` or later."""
        return bisect_left(self.at, instant)

    def settled(self) -> Ns:
        """Up to where no answer is missing that may still come: a gap counts until its time limit and `GRACE` are over."""
        if not self.at:
            return 0
        patience = self.objective.within + GRACE
        index = self.first(self.at[-1] - patience)
        while index + 1 < len(self.at) and self.at[index + 1] - self.at[index] <= self.period * 3 // 2:
            index += 1
        return self.at[index] + self.period

    def between(self, start: Ns, end: Ns) -> tuple[int, int]:
        """How many samples were due in [start, end), and how many of them were bad."""
        first, last = self.first(start), self.first(end)
        return last - first, self.before[last] - self.before[first]

    def holds(self, start: Ns, end: Ns) -> bool:
        """Whether the objective holds over [start, end): enough samples, and no more bad ones than allowed."""
        n, bad = self.between(start, end)
        return enough(n, end - start, self.period) and bad <= windows.allowed(n, self.objective.ratio)


def enough(n: int, span: Ns, period: Ns) -> bool:
    """Whether `n` samples are at least half of those that were due in `span`."""
    return n > 0 and 2 * n >= windows.probes(span, period)


def broken(sample: Sample, objective: Objective) -> bool:
    """Whether a sample is bad by this objective: a wrong answer, none, or one that came later than promised."""
    return not sample.good or sample.latency > objective.within


def of(objective: Objective, mode: Mode, period: Ns, samples: Iterable[Sample]) -> Series:
    """The series of samples that are already those of one indicator and mode."""
    ordered = sorted(samples, key=lambda s: s.scheduled)
    bad = tuple(broken(s, objective) for s in ordered)
    return Series(objective, mode, period, tuple(s.scheduled for s in ordered), bad, (0, *accumulate(bad)))


def every(terms: Terms, samples: Iterable[Sample], *, since: Ns = 0, until: Ns | None = None) -> tuple[Series, ...]:
    """One series per objective and mode of `terms`, of the samples due in [since, until)."""
    sorted_out: dict[tuple[str, Mode], list[Sample]] = {}
    for sample in samples:
        if sample.scheduled >= since and (until is None or sample.scheduled < until):
            sorted_out.setdefault((sample.indicator, sample.mode), []).append(sample)
    return tuple(
        of(objective, mode, terms.period, sorted_out.get((objective.indicator, mode), ()))
        for objective in terms.objectives
        for mode in terms.modes
    )


def episode(bad: Sequence[bool]) -> int:
    """How many of the leading samples belong to one outage, given that `bad[0]` is its edge.

    A CUSUM: the prefix whose likelihood ratio of an outage (half of it bad) to background errors (one in 100) is largest.
    It ends with a bad sample; a stray error more than five good answers away is not taken in.
    """
    best, best_at, score = 0.0, 1, 0.0
    for index, each in enumerate(bad):
        score += _BAD if each else _GOOD
        if each and score >= best:
            best, best_at = score, index + 1
    return best_at


_BAD: Final = 3.912  # log(.5 / .01)
_GOOD: Final = -0.683  # log(.5 / .99)
