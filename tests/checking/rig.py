"""Outages whose truth is known: programmed failures of a virtual service, as the open-loop prober would have seen them.

The truth is that of the definition: service is back from the instant on from which a request due then is answered in time.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from harness.model.history import History, Mode, Sample
from harness.model.units import Ns, milliseconds, seconds
from tests.checking.histories import PERIOD, ZERO, at, events, header

WITHIN = seconds(1)
KINDS = ("refuse", "hang", "slow", "flap", "brown-out", "half-open pool")

Answer = Callable[[Ns, Mode], Ns | None]
"""How long after it was due a probe is answered rightly; None: never, or wrongly at once."""


@dataclass(frozen=True)
class Truth:
    """One programmed outage."""

    kind: str
    began: Ns
    ended: Ns
    answer: Answer


def programmed(kind: str, dice: random.Random) -> Truth:
    """An outage of that kind, 0 to 2 s after the fault call and 2.5 to 9 s long."""
    began = at(dice.uniform(0.0, 2.0))
    ended = began + seconds(dice.uniform(2.5, 9.0))
    match kind:
        case "refuse" | "slow":
            late = None if kind == "refuse" else milliseconds(1300)
            return Truth(kind, began, ended, lambda due, _: late if began <= due < ended else 0)
        case "hang":
            return Truth(kind, began, ended - WITHIN, lambda due, _: ended - due if began <= due < ended else 0)
        case "flap":
            edges = _flaps(began, ended, dice)
            down = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True)]
            return Truth(kind, began, edges[-1], lambda due, _: None if any(a <= due < b for a, b in down) else 0)
        case "brown-out":
            share = dice.uniform(0.3, 0.9)
            return Truth(
                kind, began, ended, lambda due, _: None if began <= due < ended and dice.random() < share else 0
            )
        case _:
            reached = began + (ended - began) // 2
            until = {Mode.FRESH: reached, Mode.POOLED: ended}
            return Truth(kind, began, ended, lambda due, mode: None if began <= due < until[mode] else 0)


def _flaps(began: Ns, ended: Ns, dice: random.Random) -> list[Ns]:
    """Edges of down, up, down, …, ending with the end of a down."""
    edges = [began, began + seconds(dice.uniform(0.7, 2.0))]
    while edges[-1] < ended:
        edges.append(edges[-1] + seconds(dice.uniform(0.5, 3.0)))
        edges.append(edges[-1] + seconds(dice.uniform(0.7, 2.0)))
    return edges


def probed(truth: Truth, dice: random.Random, *, background: float = 0.0, end: float = 24) -> tuple[Sample, ...]:
    """What a prober sees of it, each mode at a phase of its own; `background`: the share of stray errors."""
    found = []
    for mode in Mode:
        phase = dice.randrange(PERIOD)
        for n in range(round((end + 5.5) * 20)):
            due = at(-5.5) + phase + n * PERIOD
            took = truth.answer(due, mode)
            stray = dice.random() < background
            good = took is not None and took <= WITHIN and not stray
            gone = milliseconds(3) if stray or took is None else max(took, milliseconds(3))
            found.append(Sample("read", mode, due, due, due + gone, good=good, reason="" if good else "bad"))
    return tuple(found)


def observed(truth: Truth, dice: random.Random, *, background: float = 0.0, end: float = 24) -> History:
    """The history of a treated trial with that outage."""
    seen = probed(truth, dice, background=background, end=end)
    return replace(History(header()), events=events(observed=end), samples=seen)


def relative(instant: Ns) -> float:
    """Seconds since the fault call."""
    return (instant - ZERO) / 1e9
