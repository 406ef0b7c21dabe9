"""When the users' probes said that service was broken: the burn rule in two windows. Live and afterwards the same object.

Fast: more than 10% bad in 5 s; slow: more than 2% bad in 30 s; each never less than twice the objective's own budget, so
that the way in is harder than the way out (hysteresis). The form is the SRE Workbook's (ch. 5), the windows are shorter, as
a trial is.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from harness.checking import windows
from harness.checking.series import broken
from harness.model.history import Mode, Sample, Terms
from harness.model.objectives import Objective
from harness.model.units import Ns, seconds

FAST: Final = (seconds(5), 0.10)
SLOW: Final = (seconds(30), 0.02)

_FEWEST: Final = 3
"""So that with slow probes no single stray answer is an outage."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """The rule fired: in which series, at which instant that was known (`at`), and up to which sample it had seen
    (`newest`, the instant that one was due)."""

    objective: Objective
    mode: Mode
    at: Ns
    newest: Ns


class Detector:
    """The burn rule over all series of `terms`, fed with samples in the order in which their answers came.

    Samples due before `since` are ignored. Feeding it one by one or all at once gives the same answer.
    """

    def __init__(self, terms: Terms, *, since: Ns) -> None:
        self._since = since
        self._alarm: Alarm | None = None
        self._rules: dict[tuple[str, Mode], list[_Rule]] = {}
        for objective in terms.objectives:
            for mode in terms.modes:
                rules = self._rules.setdefault((objective.indicator, mode), [])
                rules.append(_Rule(objective, mode, terms.period))

    @property
    def alarm(self) -> Alarm | None:
        """The first time it fired."""
        return self._alarm

    def feed(self, samples: Iterable[Sample]) -> Ns | None:
        """Take in more samples; the instant at which the rule first fired, None as long as it has not."""
        for sample in sorted(samples, key=lambda s: s.done):
            if sample.scheduled >= self._since:
                for rule in self._rules.get((sample.indicator, sample.mode), ()):
                    if rule.fires(sample) and self._alarm is None:
                        self._alarm = Alarm(rule.objective, rule.mode, sample.done, rule.newest)
        return self._alarm.at if self._alarm else None


def thresholds(objective: Objective, period: Ns) -> tuple[tuple[Ns, int], ...]:
    """For each window (ns) the number of bad samples in it that is one too many not to be an outage."""
    budget = 1 - objective.ratio
    least = min(2 * budget, (1 + budget) / 2)
    return tuple(
        (window, max(_FEWEST, int(max(share, least) * windows.probes(window, period) + 1e-9) + 1))
        for window, share in (FAST, SLOW)
    )


class _Rule:
    """The rule over one series; it fires at most once. Only bad samples need be kept: the windows' sizes are known."""

    def __init__(self, objective: Objective, mode: Mode, period: Ns) -> None:
        self.objective = objective
        self.mode = mode
        self.newest: Ns = 0
        self._limits = thresholds(objective, period)
        self._bad: list[Ns] = []
        self._fired = False

    def fires(self, sample: Sample) -> bool:
        """Whether it fires with this sample."""
        self.newest = max(self.newest, sample.scheduled)
        if self._fired or not broken(sample, self.objective):
            return False
        insort(self._bad, sample.scheduled)
        del self._bad[: bisect_right(self._bad, self.newest - SLOW[0])]
        self._fired = any(
            len(self._bad) - bisect_right(self._bad, self.newest - window) >= limit for window, limit in self._limits
        )
        return self._fired
