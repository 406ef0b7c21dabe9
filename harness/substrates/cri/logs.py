"""A container's log file as the kubelet reads it (kubernetes/design-proposals, kubelet-cri-logging): one line of output a line,
with its time, its stream, and whether it is whole (F) or a part (P)."""

from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

from harness import clock
from harness.model.units import SECOND

LONGEST = 16 * 1024
"""Bytes of a line; a longer one is written in parts."""


def stamp(wall_ns: int) -> str:
    """That instant (ns since the epoch) as RFC 3339 with nanoseconds."""
    seconds, fraction = divmod(wall_ns, SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


def entries(stream: str, data: bytes, rest: bytes, *, at: int) -> tuple[bytes, bytes]:
    """The lines of a log for `data` that follows an unfinished line `rest`, and the unfinished line that is left."""
    head = f"{stamp(at)} {stream} ".encode()
    *whole, rest = (rest + data).split(b"\n")
    made = [entry for line in whole for entry in _parts(head, line, b"F")]
    while len(rest) >= LONGEST:
        made.append(head + b"P " + rest[:LONGEST] + b"\n")
        rest = rest[LONGEST:]
    return b"".join(made), rest


def _parts(head: bytes, line: bytes, last: bytes) -> list[bytes]:
    cuts = range(0, max(1, len(line)), LONGEST)
    parts = [line[cut : cut + LONGEST] for cut in cuts]
    return [head + (last if part is parts[-1] else b"P") + b" " + part + b"\n" for part in parts]


class Log:
    """Appends to a log file; an empty path is nowhere."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._file: FileIO | None = None
        self._rest: dict[str, bytes] = {}
        self.reopen()

    def reopen(self) -> None:
        """Write to the file that has that path now: the kubelet has moved the old one. OSError if it cannot be opened."""
        file = None
        if self.path:
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            file = FileIO(self.path, "a")
            Path(self.path).chmod(0o640)
        self.close()
        self._file = file

    def write(self, stream: str, data: bytes) -> None:
        """Take output of `stdout` or `stderr`. A full disk loses it, as with other runtimes."""
        made, self._rest[stream] = entries(stream, data, self._rest.get(stream, b""), at=clock.wall())
        self._append(made)

    def end(self, stream: str) -> None:
        """That stream has ended: what it did not end with a newline is a part."""
        rest = self._rest.pop(stream, b"")
        if rest:
            self._append(f"{stamp(clock.wall())} {stream} P ".encode() + rest + b"\n")

    def _append(self, data: bytes) -> None:
        if self._file is None:
            return
        try:
            while data:
                data = data[self._file.write(data) or 0 :]
        except OSError:
            return

    def close(self) -> None:
        """Write no more."""
        if self._file is not None:
            self._file.close()
            self._file = None
