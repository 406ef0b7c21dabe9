"""The one writer of a trial's history: every event is stamped, appended, flushed, and told to those who watch."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from harness import clock, codec
from harness.model.history import Event, Header, Name, Phase, Reading, Scalar
from harness.model.source import Source
from harness.ports import Reporter


class Recorder:
    """Appends to `history.jsonl` and `readings.jsonl`. Only the running loop's thread may use it, so the order is total."""

    def __init__(self, events: BinaryIO, readings: BinaryIO, *, trial: str, reporters: Sequence[Reporter]) -> None:
        self._events = events
        self._readings = readings
        self._trial = trial
        self._reporters = tuple(reporters)
        self.events: list[Event] = []
        self.readings: list[Reading] = []

    def record(
        self,
        name: Name,
        phase: Phase,
        data: Mapping[str, Scalar] | None = None,
        *,
        actor: str = "harness",
        source: Source | None = None,
    ) -> Event:
        """Append one event, dated now."""
        event = Event(len(self.events), clock.now(), actor, phase, name, dict(data or {}), source)
        self._events.write(codec.line(event))
        self._events.flush()
        self.events.append(event)
        for reporter in self._reporters:
            reporter.event(self._trial, event)
        return event

    def reading(self, reading: Reading) -> None:
        """Append one strong read of the ledger."""
        self._readings.write(codec.line(reading))
        self._readings.flush()
        self.readings.append(reading)


@contextmanager
def recording(folder: Path, header: Header, reporters: Sequence[Reporter]) -> Iterator[Recorder]:
    """A recorder into `folder` (which must exist and hold no history); its files are closed when it is left."""
    with (folder / "history.jsonl").open("xb") as events, (folder / "readings.jsonl").open("xb") as readings:
        events.write(codec.line(header))
        events.flush()
        yield Recorder(events, readings, trial=f"{header.scenario} {header.trial}", reporters=reporters)
