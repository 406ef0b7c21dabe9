"""When service broke and when it came back, each as a bracket between two probes. Live and afterwards the same code.

Recovered at t: over [t, t + window) every objective holds and its first probe is good, in every mode; and every window that
begins up to `hold` later holds as well. Whether that was soon enough is asked elsewhere (judge).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress, pairwise
from typing import Final

from harness.checking import series as series_of
from harness.checking import windows
from harness.checking.detection import SLOW, Alarm, Detector
from harness.checking.series import Series
from harness.model.history import Sample, Terms
from harness.model.units import SECOND, Ns
from harness.model.verdict import Interval

_UNSEEN: Final = 0.001
"""The largest probability with which an outage may look over, or not yet begun, just because answers happened to be good."""

_MILD: Final = 0.15
"""Outages that fail fewer requests than this are bracketed as if they failed so many: too little is seen of them."""

_NEAR: Final = 20
"""How many samples at its edge tell how bad an outage was there (1 s of probes by default)."""


@dataclass(frozen=True, slots=True)
class Outage:
    """What the samples say of one outage. `at` is t_rec by the definition, the earliest instant (ns) that fulfils it, and
    `recovered` the bracket around it; both None where it was not recovered and held while watched. `possible`: the
    earliest instant that what was seen does not exclude."""

    onset: Interval
    at: Ns | None
    recovered: Interval | None
    possible: Ns
    first_good: Ns | None


def earliest(series: Sequence[Series], *, since: Ns, window: Ns, hold: Ns, whole: bool = True) -> Ns | None:
    """The earliest instant >= `since` from which every series is good and stays so; None if there is none.

    `whole` False also takes windows that are not over yet, as long as they have not failed.
    """
    runs = [_Starts.of(each, window=window, hold=hold, whole=whole) for each in series]
    instant = since
    for _ in range(sum(1 + len(each.at) for each in series)):
        later = instant
        for run in runs:
            start = run.next(later)
            if start is None:
                return None
            later = start
        if later == instant:
            return instant
        instant = later
    return None


@dataclass(frozen=True, slots=True)
class _Starts:
    """For each sample the index of the next from which the objective holds and is held."""

    series: Series
    following: tuple[int, ...]

    @staticmethod
    def of(series: Series, *, window: Ns, hold: Ns, whole: bool) -> "_Starts":
        at, settled = series.at, series.settled()
        failed = _failed(series, window=window, whole=whole, settled=settled)
        following = [len(at)] * (len(at) + 1)
        end = len(at)
        for index in range(len(at) - 1, -1, -1):
            while end > 0 and at[end - 1] > at[index] + hold:
                end -= 1
            unfit = series.bad[index] or failed[end] - failed[index] > 0
            unfit = unfit or (whole and settled < at[index] + hold + window)
            following[index] = following[index + 1] if unfit else index
        return _Starts(series, tuple(following))

    def next(self, instant: Ns) -> Ns | None:
        """The earliest instant, not before `instant`, whose first probe is such a sample."""
        index = self.series.first(instant)
        found = self.following[index]
        if found == len(self.series.at):
            return None
        return instant if found == index else self.series.at[found - 1] + 1


def _failed(series: Series, *, window: Ns, whole: bool, settled: Ns) -> list[int]:
    """How many of the windows that begin at the first i samples do not hold."""
    at, before, ratio = series.at, series.before, series.objective.ratio
    due = windows.probes(window, series.period)
    failed, end = [0], 0
    for index, start in enumerate(at):
        while end < len(at) and at[end] < start + window:
            end += 1
        n, bad = end - index, before[end] - before[index]
        over = settled >= start + window
        bad_window = bad > windows.allowed(n if over else due, ratio) or (over and 2 * n < due) or (whole and not over)
        failed.append(failed[-1] + bad_window)
    return failed


def onset(series: Sequence[Series], alarm: Alarm, *, since: Ns) -> Interval:
    """The bracket of the first bad sample of the outage that raised `alarm`, not before `since`.

    [last good before, first bad]; where the outage let answers through, as many good ones back as it may have let through.
    """
    broken = next(s for s in series if s.objective == alarm.objective and s.mode is alarm.mode)
    last = broken.first(alarm.newest + 1) - 1
    while not broken.bad[last]:
        last -= 1
    first = broken.first(max(since, alarm.newest - SLOW[0]))
    length = series_of.episode(broken.bad[first : last + 1][::-1])
    edge = last - length + 1
    back = edge - _unseen(broken, edge, min(last + 1, edge + _NEAR))
    return Interval(max(since, broken.at[back]) if back >= 0 else since, broken.at[edge])


def outage(series: Sequence[Series], alarm: Alarm, terms: Terms, *, since: Ns) -> Outage:
    """Onset and recovery of the outage that raised `alarm`; `since` (ns) is where it cannot have begun before."""
    began = onset(series, alarm, since=since)
    rule = terms.recovery
    at = earliest(series, since=began.hi or since, window=rule.window, hold=rule.hold)
    bracket = None if at is None else _bracket(series, at, since=since, window=rule.window)
    possible = earliest(series, since=began.hi or since, window=rule.window, hold=rule.hold, whole=False)
    end = max(s.at[-1] for s in series if s.at)
    answers = [good for s in series if (good := _first_good(s, began.hi or since)) is not None]
    return Outage(began, at, bracket, end if possible is None else possible, max(answers, default=None))


def _first_good(series: Series, onset: Ns) -> Ns | None:
    """When the first good sample after the first bad one since `onset` was due; None where it never broke or came back."""
    rest = range(series.first(onset), len(series.at))
    bad = next((i for i in rest if series.bad[i]), len(series.at))
    return next((series.at[i] for i in range(bad, len(series.at)) if not series.bad[i]), None)


def _bracket(series: Sequence[Series], instant: Ns, *, since: Ns, window: Ns) -> Interval:
    """(last bad before, first good] around `instant`, over all series; the one that raised the alarm was bad before."""
    ends = [each for s in series if (each := _end(s, instant, since=since, window=window)) is not None]
    return Interval(max(lo for lo, _ in ends), max(hi for _, hi in ends))


def _end(series: Series, instant: Ns, *, since: Ns, window: Ns) -> tuple[Ns, Ns] | None:
    """The bracket of one series, None if it was never bad.

    Its upper end is the first good sample after the outage's last bad one. By the definition up to floor((1 - SLO) n) bad
    ones may still come after t; those that belong to the outage are before the upper end. Where it let answers through,
    as many good ones are asked for as tell that it is over.
    """
    first, start = series.first(since), series.first(instant)
    last = next((i for i in range(start - 1, first - 1, -1) if series.bad[i]), None)
    if last is None:
        return None
    after = series.first(instant + window)
    tail = last + series_of.episode(series.bad[last:after]) - 1
    head = tail - series_of.episode(series.bad[first : tail + 1][::-1]) + 1
    good = min(tail + _unseen(series, max(head, tail + 1 - _NEAR), tail + 1), len(series.at) - 1)
    return series.at[last], series.at[good]


def _unseen(series: Series, start: int, end: int) -> int:
    """How many good answers in a row an outage as bad as samples [start, end) gives with probability `_UNSEEN`; at least 1.

    The sample at the edge is left out of the share: it is bad because the edge was put there.
    """
    bad, n = series.before[end] - series.before[start] - 1, end - start - 1
    if bad in (0, n):
        return 1
    return math.ceil(math.log(_UNSEEN) / math.log(1 - max(bad / n, _MILD)))


def episodes(series: Sequence[Series], *, since: Ns) -> int:
    """How many runs of bad samples there were since `since`, over all series, with at least 1 s without one between them."""
    instants = sorted(at for s in series for at in compress(s.at, s.bad) if at >= since)
    return bool(instants) + sum(later - at > SECOND for at, later in pairwise(instants))


def bad_time(series: Sequence[Series], *, since: Ns, period: Ns) -> Ns:
    """The time in ns during which some series was bad: probe periods with a bad sample in them."""
    slots = {(at - since) // period for s in series for at in compress(s.at, s.bad) if at >= since}
    return len(slots) * period


class RecoveryWatch:
    """Live: fed with samples as their answers come, says when service has recovered and held. What cannot matter any more
    is forgotten, so that it stays cheap however long it watches."""

    def __init__(self, terms: Terms, *, since: Ns) -> None:
        self._terms = terms
        self._since = since
        self._detector = Detector(terms, since=since)
        self._kept: list[Sample] = []
        self._onset: Interval | None = None
        self._recovered: Ns | None = None

    @property
    def detected(self) -> Ns | None:
        """When the burn rule fired."""
        return self._detector.alarm.at if self._detector.alarm else None

    def feed(self, samples: Iterable[Sample]) -> Ns | None:
        """Take in more samples; t_rec once service has recovered and held, None until then."""
        fresh = [s for s in samples if s.scheduled >= self._since]
        if not fresh or self._recovered is not None:
            return self._recovered
        self._kept.extend(fresh)
        self._detector.feed(fresh)
        alarm, rule = self._detector.alarm, self._terms.recovery
        series = series_of.every(self._terms, self._kept)
        settled = min(s.settled() for s in series)
        if alarm is not None and self._onset is None and settled > alarm.newest:
            self._onset = onset(series, alarm, since=self._since)
        if self._onset is not None:
            since = self._onset.hi or self._since
            self._recovered = earliest(series, since=since, window=rule.window, hold=rule.hold)
        self._forget(settled)
        return self._recovered

    def _forget(self, settled: Ns) -> None:
        """Until the alarm the slow window may matter; afterwards only starts whose window and hold are not over."""
        needed = SLOW[0] if self._onset is None else self._terms.recovery.window + self._terms.recovery.hold
        oldest = settled - needed - series_of.GRACE
        self._kept = [s for s in self._kept if s.scheduled >= oldest]
