"""Somebody who watches a run."""

from collections.abc import Sequence
from typing import Protocol

from harness.model.history import Event, Sample
from harness.model.verdict import Assessment, Verdict


class Reporter(Protocol):
    """Somebody who watches. One that raises stops the run: a report that is not made is not a report."""

    def event(self, trial: str, event: Event) -> None:
        """Something happened in a trial."""
        ...

    def samples(self, trial: str, samples: Sequence[Sample]) -> None:
        """New samples of a trial."""
        ...

    def verdict(self, trial: str, verdict: Verdict) -> None:
        """A trial was judged."""
        ...

    def assessment(self, assessment: Assessment) -> None:
        """An experiment was judged."""
        ...
