"""Objectives a text states: RTO, RPO, availability, latency, error rate, error budget. Alert thresholds are not among them."""

import re
from collections.abc import Iterable, Iterator, Sequence

from harness.model.runbook import Target, TargetKind
from harness.model.source import Source
from harness.runbooks import quantities
from harness.runbooks.markdown import Row, Table
from harness.runbooks.quantities import Figure
from harness.runbooks.statements import Drawn, Said, Statement, Tabled

_RECOVERY = re.compile(
    r"\b(?:recovery[\s-]+(?P<word>time|point)(?:[\s-]+objectives?)?(?:\s*\((?:RTO|RPO)\))?"
    r"|(?P<short>RTO|RPO))\b(?:\s*\([^)\d]*\))?(?!\s*/\s*(?:RTO|RPO)|_)",
    re.IGNORECASE,
)
_BOTH = re.compile(r"\b(RTO|RPO)\s*(?:/|and|&)\s*(RTO|RPO)\b[^\d\n]{0,12}", re.IGNORECASE)
_JOIN = re.compile(
    r"^[\s*_`\"']*(?:(?:targets?|objectives?|goals?|values?|commitments?|of|is|are|was|for|has"
    r"|been|set|to|at|most|under|within|below|up\s+to|less\s+than|max(?:imum)?|approx(?:imately)?"
    r"|about|around|a|an|the|our|ideally|typically|currently|:|=|≤|<=|<|~|≈|\||-|–|—|→|\()[\s*_`]*)*$",
    re.IGNORECASE,
)
_MEASURED = re.compile(
    r"\b(?:actual|measured|achieved|observed|tested|last|current|latest|result|real)\b", re.IGNORECASE
)
_GUESSED = re.compile(r"\b(?:estimated|expected|average|mean|typical)\b", re.IGNORECASE)
_OTHER_LABEL = re.compile(r"\s\|\s|\b[A-Z][A-Za-z]{2,}\**\s*:")
_ASIDE = re.compile(
    r"\b(?:every|each|per|after|default|once|retention|retained|keep|kept|for the last"
    r"|last)\s*(?:the\s+)?[~<≤]?\s*$",
    re.IGNORECASE,
)
_AVAILABILITY = re.compile(r"\b(?:availability|uptime)\b", re.IGNORECASE)
_AGREED = re.compile(r"\b(?:SLOs?|SLAs?|service[\s-]level|targets?|objectives?|goals?)\b", re.IGNORECASE)
_ALARMED = re.compile(
    r"\b(?:alerts?|alarms?|thresholds?|warning|burn|pages?|fires?|symptoms?|drops?|falls?|fell"
    r"|exceed\w*|breach\w*)\b",
    re.IGNORECASE,
)
_LATENCY = re.compile(r"\b(?:latency|response[\s-]times?)\b|\bp\d{2,3}\b", re.IGNORECASE)
_ERRORS = re.compile(r"\b(?:error|5xx|failure)[\s-]*(?:rate|ratio|percentage)\b", re.IGNORECASE)
_BUDGET = re.compile(r"\berror[\s-]budget\b", re.IGNORECASE)
_QUANTILE = re.compile(r"\bp(\d{2})(?:\.?(\d+))?\b|\b(\d{2}(?:\.\d+)?)(?:th|st|nd|rd)\s+percentile", re.IGNORECASE)
_ASKED = re.compile(
    r"^(?:targets?|objectives?|goals?|slos?|slas?|commitments?|values?|requirements?)\b"
    r"|\b(?:target|objective|goal)\b",
    re.IGNORECASE,
)
_ASIDE_COLUMN = re.compile(
    r"definition|meaning|explanation|actual|measured|achieved|current|status|notes?|strateg|how|descri|mechanism|method"
    r"|comment|alert|threshold|warning|critical|window|last|source|owner|impact|trigger",
    re.IGNORECASE,
)
_UPPER_LIMIT = re.compile(r"(?:<|≤|<=|under|below|less than|at most|within|max(?:imum)?)[\s*_`]*$", re.IGNORECASE)
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
            yield from _tabled(one.table, _about(one.under), path)
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
    marks = list(_RECOVERY.finditer(text))
    if not marks:
        return
    if paired := tuple(_paired(text, line, subject, path)):
        yield from paired
        return
    for index, mark in enumerate(marks):
        end = marks[index + 1].start() if index + 1 < len(marks) else len(text)
        segment = text[mark.end() : end]
        kind = TargetKind((mark["short"] or {"time": "RTO", "point": "RPO"}[mark["word"].lower()]).lower())
        before = text[max(0, mark.start() - 25) : mark.start()]
        loosely = mark["word"] and "objective" not in mark.group().lower()
        if _MEASURED.search(before) or (loosely and (_GUESSED.search(before) or not re.match(r"^\W*:", segment))):
            continue
        colon = re.match(r"^[\s*_`]*(?:\([^)]*\))?[\s*_`]*(?:targets?|objectives?|goals?)?[\s*_`]*[:=]", segment)
        figures = _figures(segment, colon=bool(colon)) if labelled or colon else _figures(segment, colon=False)
        for figure in figures:
            yield Target(kind, figure.value, "ns", text.strip(), Source(path, line, line), subject)
    yield from _prefixed(text, line, subject, path)


def _figures(segment: str, *, colon: bool) -> Iterator[Figure]:
    """After a colon every duration of the segment, else only one that directly follows."""
    if colon:
        yield from objectives(_OTHER_LABEL.split(segment, maxsplit=1)[0])
        return
    first = next(quantities.durations(segment), None)
    if first and _JOIN.match(segment[: first.start]):
        yield first


def objectives(text: str) -> Iterator[Figure]:
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
    for mark in _BOTH.finditer(text):
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
        if _LOWER.search(clause) and not _ERRORS.search(clause):
            continue
        named = _AVAILABILITY.search(clause) or re.match(
            r"^\s*(?:monthly |annual )?(?:availability|uptime)\b", after, re.IGNORECASE
        )
        if (
            named
            and 0.5 < figure.value <= 1
            and (agreed or re.search(r"(?:≥|>=|:)[\s*_]*$", clause))
            and not (_ALARMED.search(clause))
        ):
            yield Target(TargetKind.AVAILABILITY, figure.value, "ratio", text.strip(), source, subject)
        elif _BUDGET.search(clause) and not re.search(
            r"burn|consum|remain|exhaust|spent|used|left|>|<|below|above|threshold", text, re.IGNORECASE
        ):
            yield Target(TargetKind.ERROR_BUDGET, figure.value, "ratio", text.strip(), source, subject)
        elif _ERRORS.search(clause) and agreed and _UPPER_LIMIT.search(clause) and not _ALARMED.search(text):
            yield Target(TargetKind.ERROR_RATE, figure.value, "ratio", text.strip(), source, subject)
    if agreed and _LATENCY.search(text) and not _ALARMED.search(text):
        yield from _latencies(text, text, source, subject, bounded=True)


def _latencies(text: str, named: str, source: Source, subject: str, *, bounded: bool) -> Iterator[Target]:
    for figure in quantities.durations(text):
        before = text[: figure.start]
        if bounded and not (_UPPER_LIMIT.search(before) and _LATENCY.search(before[-50:])):
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


def _tabled(table: Table, subject: str, path: str) -> Iterator[Target]:
    heads = [cell.text.strip() for cell in table.header.cells]
    recovery = {index: kind for index, head in enumerate(heads) if (kind := _column(head)) and index}
    asked = _asked(heads)
    for row in _rows(table):
        source = Source(path, row.line, row.line)
        cells = [" ".join(cell.text.split()) for cell in row.cells]
        named = _subject(heads, cells, recovery) or subject
        for index, kind in recovery.items():
            yield from _cell(kind, cells[index] if index < len(cells) else "", named, source, named)
        kind = _row_kind(cells[0]) if cells else None
        if kind and not recovery:
            for index, cell in _values(heads, cells, asked):
                about = subject if index == asked or len(heads) < 3 else heads[index]
                yield from _cell(kind, cell, cells[0], source, about)


def _rows(table: Table) -> Sequence[Row]:
    """The rows; the header is one where its second cell already holds a value."""
    cells = table.header.cells
    headless = len(cells) > 1 and _row_kind(cells[0].text) is not None and any(objectives(cells[1].text))
    return (table.header, *table.rows) if headless else table.rows


def _column(head: str) -> TargetKind | None:
    if _MEASURED.search(head):
        return None
    mark = _RECOVERY.search(head)
    if mark and not _BOTH.search(head):
        return TargetKind((mark["short"] or {"time": "RTO", "point": "RPO"}[mark["word"].lower()]).lower())
    if re.fullmatch(r"(?:target |monthly )?(?:availability|uptime)(?: (?:target|slo|sla))?", head, re.IGNORECASE):
        return TargetKind.AVAILABILITY
    return None


def _asked(heads: Sequence[str]) -> int | None:
    """The column that holds what is aimed at."""
    for pattern in (r"^(?:target|objective|goal)s?\b", r"\b(?:target|objective|goal)\b", r"^(?:slo|sla)s?\b"):
        for index, head in enumerate(heads):
            if (
                index
                and re.search(pattern, head, re.IGNORECASE)
                and not re.search(r"alert|actual|current", head, re.IGNORECASE)
            ):
                return index
    return None


def _values(heads: Sequence[str], cells: Sequence[str], asked: int | None) -> Iterator[tuple[int, str]]:
    if asked is not None:
        if asked < len(cells):
            yield asked, cells[asked]
        return
    kind = _row_kind(cells[0])
    if kind in {TargetKind.RTO, TargetKind.RPO}:
        for index, cell in enumerate(cells[1:], 1):
            if index < len(heads) and not _ASIDE_COLUMN.search(heads[index]):
                yield index, cell


def _row_kind(name: str) -> TargetKind | None:
    mark = _RECOVERY.search(name)
    if mark:
        return TargetKind((mark["short"] or {"time": "RTO", "point": "RPO"}[mark["word"].lower()]).lower())
    for kind, pattern in (
        (TargetKind.ERROR_BUDGET, _BUDGET),
        (TargetKind.AVAILABILITY, _AVAILABILITY),
        (TargetKind.ERROR_RATE, _ERRORS),
        (TargetKind.LATENCY, _LATENCY),
    ):
        if pattern.search(name):
            return kind
    return None


def _cell(kind: TargetKind, cell: str, name: str, source: Source, subject: str) -> Iterator[Target]:
    match kind:
        case TargetKind.RTO | TargetKind.RPO:
            for figure in objectives(cell):
                yield Target(kind, figure.value, "ns", cell, source, subject)
        case TargetKind.LATENCY:
            yield from _latencies(cell, name, source, subject, bounded=False)
        case TargetKind.AVAILABILITY | TargetKind.ERROR_RATE | TargetKind.ERROR_BUDGET:
            for figure in list(quantities.percentages(cell))[:1]:
                yield Target(kind, figure.value, "ratio", cell, source, subject)


def _subject(heads: Sequence[str], cells: Sequence[str], recovery: dict[int, TargetKind]) -> str:
    """What a row is about: the cell under a heading such as "Service", else the first that is no number."""
    for index, cell in enumerate(cells):
        if (
            index not in recovery
            and index < len(heads)
            and re.search(
                r"service|component|system|scenario|name|failure|incident|resource|database",
                heads[index],
                re.IGNORECASE,
            )
        ):
            return cell
    return next((cell for index, cell in enumerate(cells) if index not in recovery and cell and not cell.isdigit()), "")
