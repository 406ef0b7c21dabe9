"""Alert rules in the terms of a drill's own samples: shares of bad or slow answers over windows. Not how they are read out of a
text (runbooks.conditions), nor when they would have fired (checking.alerts)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from harness.model.source import Source
from harness.model.units import Ns, seconds

USUAL_WINDOW: Final[Ns] = seconds(60)
"""Over which a rate is taken where the text names no window: the shortest that a scrape every 15 s makes a rate of."""


class Signal(StrEnum):
    """What is counted: answers that were wrong or missing, or those that were slower than a limit (or missing)."""

    ERRORS = "errors"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The share of such answers among all of the last `window` ns is more than `share` (`inclusive`: at least). That a
    quantile q of latency exceeds a limit is that more than 1 - q of the answers are `slower` than it (ns)."""

    signal: Signal
    share: float
    window: Ns = USUAL_WINDOW
    slower: Ns = 0
    inclusive: bool = False


@dataclass(frozen=True, slots=True)
class AlertCondition:
    """One rule: all of `comparisons` hold for `lasting` ns. `text` is the rule as written; `assumed`: no window stands in it."""

    name: str
    text: str
    comparisons: tuple[Comparison, ...]
    lasting: Ns = 0
    assumed: bool = False
    source: Source | None = None
