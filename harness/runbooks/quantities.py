"""Figures in text: durations to nanoseconds, percentages to fractions. Knows nothing of what they are about."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from harness.model.units import Ns, milliseconds, seconds

_UNITS = {
    "ms": milliseconds(1),
    "s": seconds(1),
    "m": seconds(60),
    "h": seconds(3600),
    "d": seconds(86400),
    "w": seconds(7 * 86400),
}
_NAMES = (
    (r"milliseconds?|millis|msecs?|ms", "ms"),
    (r"seconds?|secs?|s", "s"),
    (r"minutes?|mins?|m", "m"),
    (r"hours?|hrs?|h", "h"),
    (r"days?|d", "d"),
    (r"weeks?|wks?|w", "w"),
)
_UNIT = "|".join(names for names, _ in _NAMES)
_FIGURE = r"\d+(?:[.,]\d+)?"
_ONE = rf"(?<![\w.$#-]){_FIGURE}(?:\s*(?:-|–|—|to)\s*{_FIGURE})?[\s-]?(?:{_UNIT})\b(?!-\w)"
_DURATION = re.compile(rf"{_ONE}(?:\s*(?:,|and)?\s*{_FIGURE}\s?(?:{_UNIT})\b)?", re.IGNORECASE)
_PART = re.compile(rf"({_FIGURE})(?:\s*(?:-|–|—|to)\s*({_FIGURE}))?[\s-]?({_UNIT})\b", re.IGNORECASE)
_PERCENT = re.compile(rf"(?<![\w.])({_FIGURE})\s?%")


@dataclass(frozen=True, slots=True)
class Figure:
    """A value found at `start` to `end` of a text: nanoseconds for durations, a fraction for percentages."""

    value: float
    start: int
    end: int


def durations(text: str) -> Iterator[Figure]:
    """The durations in `text`; of a range its upper end, "1h 30m" as one."""
    for found in _DURATION.finditer(text):
        parts = list(_PART.finditer(found.group()))
        total, last = 0, None
        end = found.start()
        for part in parts:
            size = _size(part.group(3))
            if last is not None and size >= last:
                break
            total += round(_number(part.group(2) or part.group(1)) * size)
            last = size
            end = found.start() + part.end()
        if parts:
            yield Figure(total, found.start(), end)


def duration(text: str) -> Ns | None:
    """The first duration in `text`, None if there is none."""
    first = next(durations(text), None)
    return None if first is None else int(first.value)


def percentages(text: str) -> Iterator[Figure]:
    """The percentages in `text`, as fractions."""
    for found in _PERCENT.finditer(text):
        # Dividing the decimal digits keeps 99.95 % at 0.9995 exactly as a reader would write it.
        yield Figure(round(_number(found.group(1)) / 100, 12), found.start(), found.end())


def _number(text: str) -> float:
    return float(text.replace(",", "."))


def _size(name: str) -> Ns:
    unit = next(unit for names, unit in _NAMES if re.fullmatch(names, name, re.IGNORECASE))
    return _UNITS[unit]
