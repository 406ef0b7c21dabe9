"""How objectives are worded: the names of what is promised, and the figures beside them. Where they stand is not told here."""

import re
from collections.abc import Iterator

from harness.model.runbook import Target, TargetKind
from harness.model.source import Source
from harness.runbooks import quantities
from harness.runbooks.quantities import Figure

RECOVERY = re.compile(
    r"\b(?:recovery[\s-]+(?P<word>time|point)(?:[\s-]+objectives?)?(?:\s*\((?:RTO|RPO)\))?"
    r"|(?P<short>RTO|RPO))\b(?:\s*\([^)\d]*\))?(?!\s*/\s*(?:RTO|RPO)|_)",
    re.IGNORECASE,
)
"""RTO or RPO, short or in words."""

BOTH = re.compile(r"\b(RTO|RPO)\s*(?:/|and|&)\s*(RTO|RPO)\b[^\d\n]{0,12}", re.IGNORECASE)
"""Both in one breath: `RTO/RPO`."""

MEASURED = re.compile(
    r"\b(?:actual|measured|achieved|observed|tested|last|current|latest|result|real)\b", re.IGNORECASE
)
"""Words for what was found, not aimed at."""

AVAILABILITY = re.compile(r"\b(?:availability|uptime)\b", re.IGNORECASE)
"""Words for being up."""

LATENCY = re.compile(r"\b(?:latency|response[\s-]times?)\b|\bp\d{2,3}\b", re.IGNORECASE)
"""Words for how soon requests are answered."""

ERRORS = re.compile(r"\b(?:error|5xx|failure)[\s-]*(?:rate|ratio|percentage)\b", re.IGNORECASE)
"""Words for the share of requests that fail."""

BUDGET = re.compile(r"\berror[\s-]budget\b", re.IGNORECASE)
"""An error budget."""

UPPER_LIMIT = re.compile(r"(?:<|≤|<=|under|below|less than|at most|within|max(?:imum)?)[\s*_`]*$", re.IGNORECASE)
"""What stands directly before a figure that must not be exceeded."""

_ASIDE = re.compile(
    r"\b(?:every|each|per|after|default|once|retention|retained|keep|kept|for the last"
    r"|last)\s*(?:the\s+)?[~<≤]?\s*$",
    re.IGNORECASE,
)
_QUANTILE = re.compile(r"\bp(\d{2})(?:\.?(\d+))?\b|\b(\d{2}(?:\.\d+)?)(?:th|st|nd|rd)\s+percentile", re.IGNORECASE)


def recovery(mark: re.Match[str]) -> TargetKind:
    """Which of the two a match of `RECOVERY` names."""
    named = mark["short"] or {"time": "RTO", "point": "RPO"}[mark["word"].lower()]
    return TargetKind(named.lower())


def durations(text: str) -> Iterator[Figure]:
    """The durations a cell or a labelled line states: those outside parentheses if any, no asides ("every 5 min"); 0 counts."""
    text = re.split(r"\.\s+(?=[A-Z])", text, maxsplit=1)[0]
    outside = re.sub(r"\([^()]*\)", lambda found: " " * len(found.group()), text)
    for candidate in (outside, text):
        found = [one for one in quantities.durations(candidate) if not _ASIDE.search(candidate[: one.start])]
        zero = re.match(r"^[\s:=*_`≤<~]*(?:0|zero)\b(?!\s*(?:[.,]\d|%|-))", candidate, re.IGNORECASE)
        if zero and not (found and found[0].start <= zero.end()):
            found.insert(0, Figure(0, zero.end() - 1, zero.end()))
        if found:
            yield from found
            return


def latencies(text: str, named: str, source: Source, subject: str, *, bounded: bool) -> Iterator[Target]:
    """Latencies in `text`; `bounded`: only what follows a word for a limit. `named` may name the percentile."""
    for figure in quantities.durations(text):
        before = text[: figure.start]
        if bounded and not (UPPER_LIMIT.search(before) and LATENCY.search(before[-50:])):
            continue
        yield Target(
            TargetKind.LATENCY,
            figure.value,
            "ns",
            text.strip(),
            source,
            subject,
            quantile(before) or quantile(text) or quantile(named),
        )


def quantile(text: str) -> float | None:
    """The last percentile named in `text`: 0.95 for p95, 0.999 for p999."""
    found = list(_QUANTILE.finditer(text))
    if not found:
        return None
    digits = found[-1].group(3) or f"{found[-1].group(1)}.{found[-1].group(2) or 0}"
    return round(float(digits) / 100, 6)
