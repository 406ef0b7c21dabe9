"""What the runner asks of the samples while a trial runs: steady, broken, recovered. Not what is concluded (judge)."""

from collections.abc import Iterable

from harness.checking import series as series_of
from harness.checking import windows
from harness.checking.recovery import RecoveryWatch, earliest
from harness.checking.series import GRACE, Series
from harness.model.history import Sample, Terms
from harness.model.units import Ns, show


class Watch:
    """The samples of one trial since an instant, and what they say so far. `fault`: whether the arm has one, so that there
    is a breach to detect and to recover from."""

    def __init__(self, terms: Terms, *, since: Ns, fault: bool) -> None:
        self.terms = terms
        self.since = since
        self._recovery = RecoveryWatch(terms, since=since) if fault else None
        self._kept: list[Sample] = []
        self._steady: Ns | None = None

    def feed(self, samples: Iterable[Sample]) -> None:
        """Take in samples, in the order their answers came; those due before `since` are ignored."""
        fresh = [s for s in samples if s.scheduled >= self.since]
        if self._recovery is not None:
            self._recovery.feed(fresh)
        elif self._steady is None and fresh:
            self._kept.extend(fresh)
            series = self._series()
            self._steady = earliest(series, since=self.since, window=self.terms.recovery.window, hold=0)
            self._forget(series)

    def steady_since(self) -> Ns | None:
        """The first instant from which every objective held over a whole window; None while there is none."""
        return self._steady

    def unsteady(self) -> str:
        """Why it is not steady, by the last window of each series; empty if nothing of it is known or it is steady."""
        if self._steady is not None:
            return ""
        window = self.terms.recovery.window
        told = []
        for each in self._series():
            end = each.settled()
            n, bad = each.between(end - window, end)
            limit = windows.allowed(n, each.objective.ratio)
            if n == 0:
                told.append(f"{each.name}: no samples")
            elif bad > limit:
                told.append(
                    f"{each.name}: {bad} of {n} bad in the last {show(window)}, {limit} allowed{self._reason(each)}"
                )
            elif not series_of.enough(n, window, each.period):
                told.append(f"{each.name}: only {n} of {windows.probes(window, each.period)} samples")
        return "; ".join(told)

    def detected(self) -> Ns | None:
        """When the burn rule fired, None while it has not."""
        return self._recovery.detected if self._recovery else None

    def held(self) -> bool:
        """Whether service broke, recovered, and held."""
        return self._recovery is not None and self._recovery.feed(()) is not None

    def _series(self) -> tuple[Series, ...]:
        return series_of.every(self.terms, self._kept)

    def _reason(self, series: Series) -> str:
        bad = [
            s for s in self._kept if s.indicator == series.objective.indicator and s.mode is series.mode and s.reason
        ]
        return f" (last: {bad[-1].reason})" if bad else ""

    def _forget(self, series: tuple[Series, ...]) -> None:
        oldest = min((s.settled() for s in series), default=0) - self.terms.recovery.window - GRACE
        self._kept = [s for s in self._kept if s.scheduled >= oldest]
