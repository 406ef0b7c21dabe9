"""Objectives stated in tables: by columns (RTO, RPO, availability), or by rows with a column for what is aimed at."""

import re
from collections.abc import Iterator, Sequence

from harness.model.runbook import Target, TargetKind
from harness.model.source import Source
from harness.runbooks import objectives, quantities
from harness.runbooks.blocks import Row, Table

_ASIDE_COLUMN = re.compile(
    r"definition|meaning|explanation|actual|measured|achieved|current|status|notes?|strateg|how|descri|mechanism|method"
    r"|comment|alert|threshold|warning|critical|window|last|source|owner|impact|trigger",
    re.IGNORECASE,
)


def find(table: Table, subject: str, path: str) -> Iterator[Target]:
    """The objectives of one table under the heading `subject`."""
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
    headless = len(cells) > 1 and _row_kind(cells[0].text) is not None and any(objectives.durations(cells[1].text))
    return (table.header, *table.rows) if headless else table.rows


def _column(head: str) -> TargetKind | None:
    if objectives.MEASURED.search(head):
        return None
    mark = objectives.RECOVERY.search(head)
    if mark and not objectives.BOTH.search(head):
        return objectives.recovery(mark)
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
    mark = objectives.RECOVERY.search(name)
    if mark:
        return objectives.recovery(mark)
    for kind, pattern in (
        (TargetKind.ERROR_BUDGET, objectives.BUDGET),
        (TargetKind.AVAILABILITY, objectives.AVAILABILITY),
        (TargetKind.ERROR_RATE, objectives.ERRORS),
        (TargetKind.LATENCY, objectives.LATENCY),
    ):
        if pattern.search(name):
            return kind
    return None


def _cell(kind: TargetKind, cell: str, name: str, source: Source, subject: str) -> Iterator[Target]:
    match kind:
        case TargetKind.RTO | TargetKind.RPO:
            for figure in objectives.durations(cell):
                yield Target(kind, figure.value, "ns", cell, source, subject)
        case TargetKind.LATENCY:
            yield from objectives.latencies(cell, name, source, subject, bounded=False)
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
