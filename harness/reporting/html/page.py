"""The page as a whole: where it was run, the summary, one article per drill; its style and script, inlined."""

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files

from harness.model.design import CONTROL, TREATED
from harness.model.units import SECOND, show
from harness.reporting.drill import Drill
from harness.reporting.html.article import article, badge
from harness.reporting.html.markup import Html, el, join, raw
from harness.reporting.wording import between, trials


def render(drills: Sequence[Drill], *, title: str) -> str:
    """The page of a run's drills."""
    return document(
        title,
        _where(drills),
        el("header", el("h1", title), _when(drills)),
        el("main", _summary(drills), *(article(number, drill) for number, drill in enumerate(drills, 1))),
    )


def document(title: str, *children: Html | None) -> str:
    """A page of ours: HTML that loads nothing from anywhere, and whose policy forbids it and any script but its own."""
    style, script = (_inlined(name) for name in ("page.css", "page.js"))
    policy = f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}"
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("link", rel="icon", href="data:,"),
        el("title", title),
        el("style", style),
    )
    body = el("body", *children, el("script", script))
    return "<!doctype html>\n" + el("html", head, body, lang="en") + "\n"


def _inlined(name: str) -> Html:
    return raw(files("harness.reporting.html").joinpath(name).read_text(encoding="utf-8"))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _where(drills: Sequence[Drill]) -> Html:
    """The first line of every report: where this was measured, and what weakens it."""
    where = dict.fromkeys(line for drill in drills for line in drill.where)
    remarks = dict.fromkeys(remark for drill in drills for remark in drill.remarks)
    told = [el("b", "; ".join(where) or "nothing was run"), *(el("span", each, class_="remark") for each in remarks)]
    return el("p", *told, class_="where-run")


def _when(drills: Sequence[Drill]) -> Html | None:
    headers = [history.header for drill in drills for history in drill.histories]
    if not headers:
        return None
    first = datetime.fromtimestamp(min(each.wall for each in headers) / SECOND, UTC)
    versions = ", ".join(dict.fromkeys(each.version for each in headers))
    count = f"{len(headers)} {'trial' if len(headers) == 1 else 'trials'}"
    return el("p", f"{first:%Y-%m-%d %H:%M:%S} UTC · {count} · rundrill {versions}", class_="quiet")


def _summary(drills: Sequence[Drill]) -> Html:
    names = ("scenario", "verdict", "RTA", "RPA", "people", "treated in time", "control in time")
    head = el("tr", *(el("th", name, scope="col") for name in names))
    rows = [_row(number, drill, names) for number, drill in enumerate(drills, 1)]
    return el("section", el("table", el("thead", head), el("tbody", *rows), class_="summary"), aria_label="Summary")


def _row(number: int, drill: Drill, names: Sequence[str]) -> Html:
    assessment, header = drill.assessment, drill.header
    recovery = header.terms.recovery if header else None
    link = el("a", assessment.scenario, href=f"#drill-{number}")
    cells = (
        join([link, el("small", header.procedure) if header else None]),
        badge(assessment),
        join([between(assessment.rta), el("small", f"RTO {show(recovery.rto if recovery else None)}")]),
        join([between(assessment.rpa), el("small", f"RPO {show(recovery.rpo if recovery else None)}")]),
        f"+ {show(assessment.human)}" if assessment.human else "–",
        trials(assessment, TREATED),
        trials(assessment, CONTROL),
    )
    return el("tr", *(el("td", cell, data_label=name) for name, cell in zip(names, cells, strict=True)))
