"""Alert rules and response times a text states. They are no objectives: a drill is not judged by them."""

import re
from collections.abc import Iterable, Iterator, Sequence

from harness.model.runbook import AlertRule, ResponseTime
from harness.model.source import Source
from harness.runbooks import quantities
from harness.runbooks.blocks import Table
from harness.runbooks.statements import Drawn, Said, Statement, Tabled, bold

_NAME = re.compile(r"^[A-Z][a-z0-9]*(?:[A-Z][A-Za-z0-9]*)+$")
_SEVERITY = re.compile(
    r"\b(?:P[0-5]|SEV[\s-]?\d|S[1-5]|critical|high|medium|low|major|minor|blocker|urgent"
    r"|emergency)\b",
    re.IGNORECASE,
)
_RESPONSE = re.compile(
    r"\b(?:initial |first )?(?:response(?: times?)?|respond|ack(?:nowledge(?:ment|d)?)?)\b(?:\s*\([^)]*\))?",
    re.IGNORECASE,
)
_THRESHOLD = re.compile(r"threshold|warning|critical|alert", re.IGNORECASE)
_COMPARED = re.compile(r"[<>≤≥]=?\s*[\d.]")
_WITHIN = re.compile(r"\b(?:for|over|within|in)\s+(?:the last\s+|>?\s*)?$", re.IGNORECASE)
_EVENT = re.compile(r"^(?:[A-Z]+|README|[A-Z][a-z]+(?:JS|DB|SQL|Hub|Lab|Ops|API|MQ))$")


def rules(said: Iterable[Said], path: str) -> tuple[AlertRule, ...]:
    """Every alert rule, in order: named in prose, as headings, in tables of thresholds, and as Prometheus rules."""
    found: dict[tuple[str, str, int], AlertRule] = {}
    for one in said:
        for rule in _rules(one, path):
            found.setdefault((rule.name, rule.severity, rule.source.line), rule)
    return tuple(found.values())


def _rules(one: Said, path: str) -> Iterator[AlertRule]:
    match one:
        case Statement():
            yield from _named(one, path)
        case Tabled():
            yield from _thresholds(one.table, path)
        case Drawn():
            yield from _prometheus(one.code.lines, one.code.line, path)


def _named(said: Statement, path: str) -> Iterator[AlertRule]:
    text = said.text
    source = Source(path, said.line, said.line)
    alone = text.strip()
    if said.under and said.under[-1] == alone and _NAME.match(alone) and len(re.findall(r"[A-Z][a-z0-9]+", alone)) > 2:
        yield AlertRule(alone, "", source)
        return
    if re.search(r"\bthresholds?\b", f"{text} {said.label}", re.IGNORECASE):
        yield from _compared(re.sub(r"^.*?thresholds?[^<>≤≥]*?[(:]", "", text, flags=re.IGNORECASE), source)
    if not re.search(r"\balerts?\b", text, re.IGNORECASE):
        return
    for index, piece in enumerate(said.pieces):
        if (
            piece.kind in {"code", "strong"}
            and _NAME.match(piece.text.strip())
            and not _EVENT.match(piece.text.strip())
        ):
            after = "".join(other.text for other in said.pieces[index + 1 :])
            wording = re.sub(r"\s+", " ", f"{after} {said.rest}").strip(" .:-—–")
            compared = _COMPARED.search(wording[:160])
            yield AlertRule(piece.text.strip(), wording[:160] if compared else "", source, _duration(wording[:160]))


def _compared(text: str, source: Source) -> Iterator[AlertRule]:
    """Thresholds in a row: "queue depth > 1000, p95 latency > 3s"."""
    for clause in re.split(r"[;,)]\s*", text):
        found = re.match(r"^\W*(.{2,60}?)\s*([<>≤≥]=?\s*[\d.].*)$", clause.strip())
        if found:
            yield AlertRule(found.group(1).strip(), found.group(2).rstrip(" ."), source, _duration(found.group(2)))


def _duration(text: str) -> int | None:
    for figure in quantities.durations(text):
        if _WITHIN.search(text[: figure.start]):
            return int(figure.value)
    return None


def _thresholds(table: Table, path: str) -> Iterator[AlertRule]:
    heads = [cell.text.strip() for cell in table.header.cells]
    columns = [index for index, head in enumerate(heads) if index and _THRESHOLD.search(head)]
    if not columns or _SEVERITY.search(heads[0] if heads else ""):
        return
    for row in table.rows:
        for index in columns:
            cell = " ".join(row.cells[index].text.split()) if index < len(row.cells) else ""
            if re.search(r"\d", cell):
                severity = (
                    heads[index].lower() if re.search(r"warning|critical|page", heads[index], re.IGNORECASE) else ""
                )
                name = " ".join(row.cells[0].text.split())
                yield AlertRule(name, cell, Source(path, row.line, row.line), _duration(cell), severity)


def _prometheus(lines: Sequence[str], first: int, path: str) -> Iterator[AlertRule]:
    """Rules as Prometheus writes them; only the keys a rule has are looked at."""
    for index, line in enumerate(lines):
        found = re.match(r"^\s*-?\s*alert:\s*[\"']?(\w+)", line)
        if found:
            body = "\n".join(lines[index : index + 25]).split("- alert:", 2)
            text = body[1] if len(body) > 1 else "\n".join(body)
            expression = re.search(r"\bexpr:\s*(?:[|>]-?\s*\n)?\s*(.+)", text)
            lasting = re.search(r"\bfor:\s*(\w+)", text)
            severity = re.search(r"\bseverity:\s*[\"']?(\w+)", text)
            yield AlertRule(
                found.group(1),
                expression.group(1).strip() if expression else "",
                Source(path, first + index, first + index),
                quantities.duration(lasting.group(1)) if lasting else None,
                severity.group(1) if severity else "",
            )


def response_times(said: Iterable[Said], path: str) -> tuple[ResponseTime, ...]:
    """How soon people answer, by severity: from tables, and from lines under a severity's label."""
    found: dict[tuple[str, int], ResponseTime] = {}
    for one in said:
        for answer in _responses(one, path):
            found.setdefault((answer.severity, answer.source.line), answer)
    return tuple(found.values())


def _responses(one: Said, path: str) -> Iterator[ResponseTime]:
    if isinstance(one, Tabled):
        yield from _tabled(one.table, path)
    elif isinstance(one, Statement):
        label = bold(one.pieces) or one.label or (one.under[-1] if one.under else "")
        mark = _RESPONSE.search(one.text)
        if mark and _SEVERITY.search(label):
            after = one.text[mark.end() :]
            clause = re.split(r"[;,.](?:\s|$)", after)[0].strip(" :*")
            figure = next(quantities.durations(after), None)
            near = figure if figure and figure.start < 25 else None
            if near or re.match(r"^\s*\**\s*:", after):
                yield ResponseTime(
                    label, clause or after.strip(), Source(path, one.line, one.line), int(near.value) if near else None
                )


def _tabled(table: Table, path: str) -> Iterator[ResponseTime]:
    heads = [cell.text.strip() for cell in table.header.cells]
    column = next((index for index, head in enumerate(heads) if index and _RESPONSE.match(head)), None)
    graded = sum(1 for row in table.rows if row.cells and _SEVERITY.search(row.cells[0].text)) * 2 > len(table.rows)
    if column is None or not graded:
        return
    for row in table.rows:
        cell = " ".join(row.cells[column].text.split()) if column < len(row.cells) else ""
        if cell:
            severity = " ".join(row.cells[0].text.split())
            yield ResponseTime(severity, cell, Source(path, row.line, row.line), quantities.duration(cell))
