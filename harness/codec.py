"""Values ↔ JSON Lines: versioned, strict, every trouble with its file and line. Not where runs are kept (running.store).

A trial's folder holds `history.jsonl` (a `Header`, then `Event`s), `samples.jsonl` (`ProberLine`s), `ledger.jsonl`
(`LedgerLine`s) and `readings.jsonl` (`Reading`s). A last line without its end was being written when the harness was killed:
it is left out, and the header's remarks say so.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import msgspec

from harness.errors import StoreError
from harness.model.history import Event, Header, History, Reading, Sample, Write, WriteOutcome
from harness.model.load import Intent, LedgerLine, Outcome, ProberLine

SCHEMA = 1
"""Raised when a line changes its meaning; files of another schema are refused, never guessed at."""

T = TypeVar("T")


def encode(value: object) -> bytes:
    """`value` as JSON, without a line end. StoreError for a number that JSON has not (infinity, NaN)."""
    _finite(msgspec.to_builtins(value))
    return msgspec.json.encode(value)


def line(value: object) -> bytes:
    """`value` as one line of JSON Lines, with its end."""
    return encode(value) + b"\n"


def decode(kind: type[T], data: bytes, place: str) -> T:
    """The `kind` in `data`. StoreError that begins with `place` (`file` or `file:line`) for what is not exactly one."""
    try:
        value = msgspec.json.decode(data, type=kind)
        unknown = _unknown(msgspec.json.decode(data), msgspec.to_builtins(value), "$")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StoreError(f"{place}: expected a {kind.__name__}: {error}") from error
    if unknown:
        raise StoreError(f"{place}: expected a {kind.__name__}: no such field: {', '.join(unknown)}")
    return value


def read_history(folder: Path) -> History:
    """The history of the trial whose folder it is. StoreError, with file and line, for anything but a cut-off last line."""
    remarks: list[str] = []
    header, events = _read_events(folder / "history.jsonl", remarks)
    samples = [s.sample for s in _read(folder / "samples.jsonl", ProberLine, remarks) if s.sample is not None]
    writes = _writes(folder / "ledger.jsonl", remarks)
    readings = tuple(_read(folder / "readings.jsonl", Reading, remarks))
    header = replace(header, remarks=(*header.remarks, *remarks))
    return History(header, events, _by_schedule(samples), writes, readings)


def writes_of(lines: Sequence[LedgerLine], place: str) -> tuple[Write, ...]:
    """The writes that a ledger's lines tell of, in the order of their intents.

    An intent without an outcome is `info`: whether it was applied is not known. StoreError, at its line in `place`, for an
    outcome without an intent, a second outcome, or an id that is intended twice.
    """
    intents: dict[tuple[str, int], Intent] = {}
    outcomes: dict[tuple[str, int], Outcome] = {}
    for number, each in enumerate(lines, 1):
        if each.intent is not None:
            if (each.intent.writer, each.intent.seq) in intents:
                raise StoreError(f"{place}:{number}: {each.intent.writer}/{each.intent.seq} is intended a second time")
            intents[each.intent.writer, each.intent.seq] = each.intent
        if each.outcome is not None:
            key = each.outcome.writer, each.outcome.seq
            if key not in intents or key in outcomes:
                what = "has two outcomes" if key in outcomes else "has an outcome but was never intended"
                raise StoreError(f"{place}:{number}: {key[0]}/{key[1]} {what}")
            outcomes[key] = each.outcome
    return tuple(_write(intent, outcomes.get(key)) for key, intent in intents.items())


def _write(intent: Intent, outcome: Outcome | None) -> Write:
    if outcome is None:
        return Write(
            intent.writer, intent.seq, intent.checksum, intent.invoked, intent.invoked, WriteOutcome.INFO, "unanswered"
        )
    return Write(
        intent.writer, intent.seq, intent.checksum, intent.invoked, outcome.done, outcome.outcome, outcome.code
    )


def _writes(path: Path, remarks: list[str]) -> tuple[Write, ...]:
    return writes_of(tuple(_read(path, LedgerLine, remarks)), str(path))


def _read_events(path: Path, remarks: list[str]) -> tuple[Header, tuple[Event, ...]]:
    if not path.is_file():
        raise StoreError(f"{path}: expected a trial's history, and there is no such file")
    lines = _lines(path)
    place, first, whole = next(lines, (f"{path}:1", b"", False))
    if not whole:
        raise StoreError(f"{place}: expected a header, and the file ends before it does")
    version = _version(first, place)
    if version != SCHEMA:
        raise StoreError(f"{place}: written in schema {version}, and this version reads schema {SCHEMA}")
    events: list[Event] = []
    for event in _decoded(lines, Event, remarks):
        if event.index != len(events):
            raise StoreError(f"{path}:{len(events) + 2}: expected event {len(events)}, found event {event.index}")
        events.append(event)
    return decode(Header, first, place), tuple(events)


def _read(path: Path, kind: type[T], remarks: list[str]) -> Iterator[T]:
    """The values of a file that a trial need not have."""
    return _decoded(_lines(path), kind, remarks) if path.is_file() else iter(())


def _decoded(lines: Iterator[tuple[str, bytes, bool]], kind: type[T], remarks: list[str]) -> Iterator[T]:
    for place, text, whole in lines:
        if whole:
            yield decode(kind, text, place)
        else:
            remarks.append(f"{place}: the last line was cut off and is left out")


def _lines(path: Path) -> Iterator[tuple[str, bytes, bool]]:
    """Each line: its place, its bytes without the end, and whether it has one."""
    with path.open("rb") as file:
        for number, text in enumerate(file, 1):
            yield f"{path}:{number}", text.rstrip(b"\n"), text.endswith(b"\n")


def _by_schedule(samples: list[Sample]) -> tuple[Sample, ...]:
    return tuple(sorted(samples, key=lambda s: (s.scheduled, s.indicator, s.mode)))


class _Version(msgspec.Struct):
    schema: int


def _version(first: bytes, place: str) -> int:
    """The schema that a header states, whatever else that schema has in its headers."""
    try:
        return msgspec.json.decode(first, type=_Version).schema
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"{place}: expected a Header: {error}") from error


def _unknown(read: object, kept: object, path: str) -> list[str]:
    """The paths of keys that are in what was read and not in what was made of it: fields that nobody declared."""
    if isinstance(read, dict) and isinstance(kept, dict):
        extra = [f"{path}.{key}" for key in read if key not in kept]
        return extra + [p for key in kept if key in read for p in _unknown(read[key], kept[key], f"{path}.{key}")]
    if isinstance(read, list) and isinstance(kept, list | tuple):
        pairs = enumerate(zip(read, kept, strict=True))
        return [p for at, (a, b) in pairs for p in _unknown(a, b, f"{path}[{at}]")]
    return []


def _finite(value: object) -> None:
    match value:
        case float() if not math.isfinite(value):
            raise StoreError(f"expected a finite number to write, found {value}")
        case dict():
            for each in value.values():
                _finite(each)
        case list() | tuple():
            for each in value:
                _finite(each)
        case _:
            pass
