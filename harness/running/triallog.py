"""The trial log: every trial of a gate as one line, chained by hashes, appended and never changed; it is what a gate resumes
from, days later. What the lines mean is evidence's.

Each line holds the SHA-256 of the line before it. How many lines there are and the hash of the last stand in a small file
beside (`<log>.head`), so that lines cut off at the end are missed as well. That a trial is about to be run is a line of its
own: nobody can make a trial that goes badly disappear by interrupting it.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from harness import codec
from harness.checking.gate import Tier
from harness.checking.record import Record
from harness.errors import StoreError
from harness.model.design import Arm

SCHEMA = 1
FIRST = "0" * 64
"""What the first line has for the hash of the line before it."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What is gated: `digest` changes with anything that could change an outcome."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Opened:
    """What was decided before the first trial; a log is resumed with exactly this or not at all."""

    version: str
    tier: Tier
    cells: tuple[Cell, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class Begun:
    """A trial is about to be run."""

    cell: str
    trial: str
    arm: Arm
    block: int


@dataclass(frozen=True, slots=True)
class Line:
    """One line: exactly one of the three."""

    schema: int
    prev: str
    opened: Opened | None = None
    begun: Begun | None = None
    ended: Record | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """How many lines the log has, and the hash of the last."""

    lines: int
    hash: str


@dataclass(slots=True)
class TrialLog:
    """An open log, locked against any other writer. `begun` and `records` are all there is of trials, in order."""

    path: Path
    opened: Opened
    begun: list[Begun]
    records: list[Record]
    _file: BinaryIO
    _head: Head

    def begin(self, begun: Begun) -> None:
        """Append that a trial is about to be run; on the disk on return."""
        self._append(Line(SCHEMA, self._head.hash, begun=begun))
        self.begun.append(begun)

    def end(self, record: Record) -> None:
        """Append what became of it; on the disk on return."""
        self._append(Line(SCHEMA, self._head.hash, ended=record))
        self.records.append(record)

    def interrupted(self) -> tuple[Begun, ...]:
        """The trials that were begun and of which nothing more is known."""
        ended = {(r.cell, r.trial) for r in self.records}
        return tuple(b for b in self.begun if (b.cell, b.trial) not in ended)

    def _append(self, line: Line) -> None:
        self._head = _append(self._file, self.path, line, self._head)


@contextmanager
def opened(path: Path, asked: Opened) -> Iterator[TrialLog]:
    """The log at `path`, made if it is not there. StoreError, and nothing is written, where another gate writes it, where it
    was made for something else than `asked`, or where it is not exactly as it was written."""
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(_locked(path))
        lines, head = read(path)
        if not lines:
            first = Line(SCHEMA, FIRST, opened=asked)
            head = _append(file, path, first, Head(0, FIRST))
            lines = (first,)
        found = lines[0].opened
        if found is None:
            raise StoreError(f"{path}:1: expected the line that opens a trial log")
        _same(path, found, asked)
        yield TrialLog(
            path,
            found,
            [line.begun for line in lines if line.begun],
            [line.ended for line in lines if line.ended],
            file,
            head,
        )


def read(path: Path) -> tuple[tuple[Line, ...], Head]:
    """Every line of a log, and its head; nothing of an empty or missing one. StoreError with the line that is not as it was
    written: cut off, edited, or missing at the end."""
    data = path.read_bytes() if path.is_file() else b""
    lines: list[Line] = []
    prev = FIRST
    for number, text in enumerate(data.splitlines(keepends=True), 1):
        place = f"{path}:{number}"
        if not text.endswith(b"\n"):
            raise StoreError(
                f"{place}: the line is cut off; expected its end\n    "
                "nothing was changed: restore the log from a copy, or begin a new one with --log"
            )
        line = codec.decode(Line, text[:-1], place)
        _check(line, prev, place, first=number == 1)
        lines.append(line)
        prev = _hash(text)
    return tuple(lines), _head(path, lines, prev)


def _check(line: Line, prev: str, place: str, *, first: bool) -> None:
    if line.schema != SCHEMA:
        raise StoreError(f"{place}: written in schema {line.schema}, and this version reads schema {SCHEMA}")
    if line.prev != prev:
        raise StoreError(
            f"{place}: the line before it is not the one it was written after (expected {line.prev[:12]}, found "
            f"{prev[:12]}): the log was edited\n    nothing was changed: restore it from a copy, or begin a new one"
        )
    kinds = [line.opened is not None, line.begun is not None, line.ended is not None]
    if sum(kinds) != 1 or kinds[0] != first:
        raise StoreError(f"{place}: expected {'the line that opens the log' if first else 'one trial'}")


def _head(path: Path, lines: Sequence[Line], last: str) -> Head:
    """What was read, if it is what is noted beside it; the note may be one line behind, where the harness was killed."""
    found = Head(len(lines), last)
    beside = _beside(path)
    if not beside.is_file():
        if len(lines) > 1:
            raise StoreError(f"{beside}: missing, so whether {path.name} is whole is not known; restore it from a copy")
        return found
    noted = codec.decode(Head, beside.read_bytes().rstrip(b"\n"), f"{beside}:1")
    if noted == found or (lines and noted == Head(len(lines) - 1, lines[-1].prev)):
        return found
    raise StoreError(
        f"{path}:{max(1, len(lines))}: expected {noted.lines} lines ending in {noted.hash[:12]}, found {len(lines)} ending in "
        f"{last[:12]}: the log was cut off or edited\n    nothing was changed: restore it from a copy, or begin a new one"
    )


def _same(path: Path, found: Opened, asked: Opened) -> None:
    """A log counts for what it was begun for only."""
    different = [
        (what, had, want)
        for what, had, want in (
            ("version", found.version, asked.version),
            ("tier", str(found.tier), str(asked.tier)),
            ("seed", str(found.seed), str(asked.seed)),
            *_cells(found.cells, asked.cells),
        )
        if had != want
    ]
    if different:
        told = "; ".join(f"{what} is {had}, and asked is {want}" for what, had, want in different)
        raise StoreError(
            f"{path}:1: the log was begun for something else: {told}\n    "
            "evidence does not carry over: begin a new log with --log, and keep this one as history"
        )


def _cells(found: Sequence[Cell], asked: Sequence[Cell]) -> Iterator[tuple[str, str, str]]:
    had, want = {c.name: c.digest for c in found}, {c.name: c.digest for c in asked}
    for name in sorted(had.keys() | want.keys()):
        yield f"digest of {name}", had.get(name, "not in it")[:16], want.get(name, "not asked for")[:16]


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """The file, open for appending, made if it is not there; nobody else may append to it meanwhile."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(f"{path}: another gate is writing it; wait for it, or use a log of your own") from error
        yield file


def _append(file: BinaryIO, path: Path, line: Line, head: Head) -> Head:
    data = codec.line(line)
    file.write(data)
    file.flush()
    os.fsync(file.fileno())
    now = Head(head.lines + 1, _hash(data))
    beside = _beside(path)
    fresh = beside.with_name(f"{beside.name}.new")
    fresh.write_bytes(codec.line(now))
    fresh.replace(beside)
    return now


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.head")


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
