"""Samples thinned to what can be seen: runs of good and bad, and the span of latencies, per column of the drawing."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from harness.model.history import Sample
from harness.model.units import SECOND, Ns
from harness.reporting.html.axis import Axis

COLUMNS: Final = 600
"""How many columns a drawing has, however long the trial was and however wide the screen is."""

_FLOOR_MS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Column:
    """The samples due in one column: whether any was good, whether any was bad, and the latencies' ends in ns."""

    number: int
    good: bool
    bad: bool
    least: Ns
    most: Ns


def columns(samples: Iterable[Sample], axis: Axis, origin: Ns) -> tuple[Column, ...]:
    """The columns that hold any samples, from left to right; what lies outside the axis is left out."""
    found: dict[int, list[Sample]] = {}
    for sample in samples:
        since = sample.scheduled - origin
        if axis.lo <= since < axis.hi:
            found.setdefault((since - axis.lo) * COLUMNS // (axis.hi - axis.lo), []).append(sample)
    return tuple(
        Column(
            number=number,
            good=any(sample.good for sample in held),
            bad=any(not sample.good for sample in held),
            least=min(sample.latency for sample in held),
            most=max(sample.latency for sample in held),
        )
        for number, held in sorted(found.items())
    )


def runs(of: Sequence[Column], *, gap: int) -> tuple[tuple[int, int, bool, bool], ...]:
    """Neighbouring columns of one kind as (first, past the last, good, bad); columns up to `gap` apart are neighbours."""
    found: list[tuple[int, int, bool, bool]] = []
    for (good, bad), group in groupby(of, key=lambda each: (each.good, each.bad)):
        for each in group:
            last = found[-1] if found else None
            if last and last[2:] == (good, bad) and each.number <= last[1] + gap:
                found[-1] = (last[0], each.number + 1, good, bad)
            elif last and each.number <= last[1] + gap:
                found.append((last[1], each.number + 1, good, bad))
            else:
                found.append((each.number, each.number + 1, good, bad))
    return tuple(found)


def widest_gap(period: Ns, axis: Axis) -> int:
    """How many empty columns may lie between two probes that came when they should."""
    return 2 * period * COLUMNS // (axis.hi - axis.lo) + 1


def top_of(within: Iterable[Ns]) -> Ns:
    """The latency scale's upper end: 1 s, or the power of ten that holds the objectives' limits."""
    most = max(within, default=SECOND)
    return max(SECOND, int(10 ** math.ceil(math.log10(max(most, 1)))))


def height_of(latency: Ns, *, top: Ns, height: float) -> float:
    """How far below the upper edge a latency is drawn, on a log scale from 1 ms at the lower edge to `top`."""
    milliseconds = max(_FLOOR_MS, latency / 1e6)
    share = math.log10(milliseconds) / math.log10(top / 1e6)
    return height * (1 - min(1.0, share))
