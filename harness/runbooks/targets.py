"""Objectives a text states: RTO, RPO, availability, latency, error rate, error budget. Alert thresholds are not among them."""

import re
from collections.abc import Iterable, Iterator, Sequence

from harness.model.runbook import Target, TargetKind
from harness.model.source import Source
from harness.runbooks import objectives, quantities, tabled
from harness.runbooks.quantities import Figure
from harness.runbooks.statements import Drawn, Said, Statement, Tabled

_JOIN = re.compile(
    r"^[\s*_`\"']*(?:(?:targets?|objectives?|goals?|values?|commitments?|of|is|are|was|for|has"
    r"|been|set|to|at|most|under|within|below|up\s+to|less\s+than|max(?:imum)?|approx(?:imately)?"
    r"|about|around|a|an|the|our|ideally|typically|currently|:|=|≤|<=|<|~|≈|\||-|–|—|→|\()[\s*_`]*)*$",
    re.IGNORECASE,
)
_GUESSED = re.compile(r"\b(?:estimated|expected|average|mean|typical)\b", re.IGNORECASE)
_OTHER_LABEL = re.compile(r"\s\|\s|\b[A-Z][A-Za-z]{2,}\**\s*:")
_AGREED = re.compile(r"\b(?:SLOs?|SLAs?|service[\s-]level|targets?|objectives?|goals?)\b", re.IGNORECASE)
_ALARMED = re.compile(
    r"\b(?:alerts?|alarms?|thresholds?|warning|burn|pages?|fires?|symptoms?|drops?|falls?|fell"
    r"|exceed\w*|breach\w*)\b",
    re.IGNORECASE,
)
_LOWER = re.compile(
    r"(?:(?<![=])<|≤|below|under|less than|drops? (?:to|below)|falls? (?:to|below))[\s*_`]*$", re.IGNORECASE
)
_RESTORED = re.compile(
    r"\b(?:restor\w*|recover\w*|back (?:up|online)|service again)\b[^.;,\d]{0,30}\b(?:within|in under|in less than)[\s*_~]*$",
    re.IGNORECASE,
)


def find(said: Iterable[Said], path: str) -> tuple[Target, ...]:
    """Every objective, in order, each once a line."""
    found: dict[tuple[TargetKind, float, int, float | None], Target] = {}
    for one in said:
        for target in _of(one, path):
            found.setdefault((target.kind, target.value, target.source.line, target.quantile), target)
    return tuple(found.values())


def _of(one: Said, path: str) -> Iterator[Target]:
    match one:
        case Statement():
            subject = _about(one.under)
            text = one.text
            if any(map(str.isdigit, text)) or "zero" in text:
                yield from _recovery(text, one.line, subject, path, labelled=True)
                yield from _service(one, subject, path)
        case Tabled():
            yield from tabled.find(one.table, _about(one.under), path)
        case Drawn():
            for index, line in enumerate(one.code.lines):
                if not re.search(r"^\s*#|^\s*--|[=(]\s*\"", line) or "RTO:" in line or "RPO:" in line:
                    yield from _recovery(
                        re.sub(r"[│|║]", " ", line), one.code.line + index, _about(one.under), path, labelled=False
                    )


def _about(under: Sequence[str]) -> str:
    """The heading it stands under, without number or ornament."""
    return re.sub(r"^[\W\d_]+", "", under[-1]) if under else ""


def _recovery(text: str, line: int, subject: str, path: str, *, labelled: bool) -> Iterator[Target]:
    marks = list(objectives.RECOVERY.finditer(text))
    if not marks:
        return
    if paired := tuple(_paired(text, line, subject, path)):
        yield from paired
        return
    for index, mark in enumerate(marks):
        end = marks[index + 1].start() if index + 1 < len(marks) else len(text)
        segment = text[mark.end() : end]
        kind = objectives.recovery(mark)
        before = text[max(0, mark.start() - 25) : mark.start()]
        loosely = mark["word"] and "objective" not in mark.group().lower()
        if objectives.MEASURED.search(before) or (
            loosely and (_GUESSED.search(before) or not re.match(r"^\W*:", segment))
        ):
            continue
        colon = re.match(r"^[\s*_`]*(?:\([^)]*\))?[\s*_`]*(?:targets?|objectives?|goals?)?[\s*_`]*[:=]", segment)
        figures = _figures(segment, colon=bool(colon)) if labelled or colon else _figures(segment, colon=False)
        for figure in figures:
            yield Target(kind, figure.value, "ns", text.strip(), Source(path, line, line), subject)
    yield from _prefixed(text, line, subject, path)


def _figures(segment: str, *, colon: bool) -> Iterator[Figure]:
    """After a colon every duration of the segment, else only one that directly follows."""
    if colon:
        yield from objectives.durations(_OTHER_LABEL.split(segment, maxsplit=1)[0])
        return
    first = next(quantities.durations(segment), None)
    if first and _JOIN.match(segment[: first.start]):
        yield first


def _prefixed(text: str, line: int, subject: str, path: str) -> Iterator[Target]:
    """A duration before the word: "a 15-minute RPO"."""
    for figure in quantities.durations(text):
        after = re.match(r"^[\s*_-]*(RTO|RPO)\b(?!\s*[:=≤<(]|\s+of\b|\s+\d)", text[figure.end :])
        before = text[: figure.start]
        if after and not re.search(r"\b(?:RTO|RPO)\b[^,;.]*$", before):
            yield Target(
                TargetKind(after.group(1).lower()), figure.value, "ns", text.strip(), Source(path, line, line), subject
            )


def _paired(text: str, line: int, subject: str, path: str) -> Iterator[Target]:
    """`RTO/RPO: 4h/1h`."""
    for mark in objectives.BOTH.finditer(text):
        figures = list(quantities.durations(text[mark.end() :]))[:2]
        if len(figures) == 2 and re.match(
            r"^\s*(?:/|and|&|,)\s*[<≤~]?\s*$", text[mark.end() + figures[0].end : mark.end() + figures[1].start]
        ):
            for word, figure in zip(mark.groups(), figures, strict=True):
                yield Target(
                    TargetKind(word.lower()), figure.value, "ns", text.strip(), Source(path, line, line), subject
                )


def _service(said: Statement, subject: str, path: str) -> Iterator[Target]:
    """Time to restore, availability, latency, error rate and budget in prose: where the text calls them agreed or bounds them."""
    text, source = said.text, Source(path, said.line, said.line)
    if _AGREED.search(text) or _AGREED.search(said.label):
        for figure in quantities.durations(text):
            if _RESTORED.search(text[: figure.start]):
                yield Target(TargetKind.RTO, figure.value, "ns", text.strip(), source, subject)
    agreed = _AGREED.search(text) is not None or any(_AGREED.search(title) for title in (*said.under[-1:], said.label))
    for figure in quantities.percentages(text):
        before = text[max(0, figure.start - 60) : figure.start]
        clause = re.split(r"[;.]\s|,\s(?=[A-Za-z])", before)[-1]
        after = re.split(r"[;.,]", text[figure.end : figure.end + 40])[0]
        if _LOWER.search(clause) and not objectives.ERRORS.search(clause):
            continue
        named = objectives.AVAILABILITY.search(clause) or re.match(
            r"^\s*(?:monthly |annual )?(?:availability|uptime)\b", after, re.IGNORECASE
        )
        if (
            named
            and 0.5 < figure.value <= 1
            and (agreed or re.search(r"(?:≥|>=|:)[\s*_]*$", clause))
            and not (_ALARMED.search(clause))
        ):
            yield Target(TargetKind.AVAILABILITY, figure.value, "ratio", text.strip(), source, subject)
        elif objectives.BUDGET.search(clause) and not re.search(
            r"burn|consum|remain|exhaust|spent|used|left|>|<|below|above|threshold", text, re.IGNORECASE
        ):
            yield Target(TargetKind.ERROR_BUDGET, figure.value, "ratio", text.strip(), source, subject)
        elif (
            objectives.ERRORS.search(clause)
            and agreed
            and objectives.UPPER_LIMIT.search(clause)
            and not _ALARMED.search(text)
        ):
            yield Target(TargetKind.ERROR_RATE, figure.value, "ratio", text.strip(), source, subject)
    if agreed and objectives.LATENCY.search(text) and not _ALARMED.search(text):
        yield from objectives.latencies(text, text, source, subject, bounded=True)
