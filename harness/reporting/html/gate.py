"""`gate.html`: one page for a gate, drawn from its trial log alone: the claim, what bounds it, the recovery curve, the trials."""

from collections.abc import Sequence

from harness.checking.evidence import Claim, Evidence
from harness.checking.record import Record
from harness.reporting import gate
from harness.reporting.html import survival
from harness.reporting.html.markup import Html, el, join
from harness.reporting.html.page import document
from harness.reporting.wording import MARK, STATUS, between, duration

Cell = tuple[Evidence, Claim]


def render(cells: Sequence[Cell], *, title: str) -> str:
    """The page: HTML that loads nothing from anywhere."""
    hosts = dict.fromkeys(f"{r.place.host_class}" for evidence, _ in cells for r in evidence.records)
    return document(
        title,
        el("p", el("b", "; ".join(hosts) or "nothing was run"), class_="where-run"),
        el("header", el("h1", title)),
        el("main", *(_article(number, evidence, claim) for number, (evidence, claim) in enumerate(cells, 1))),
    )


def _article(number: int, evidence: Evidence, claim: Claim) -> Html:
    outcome = evidence.outcome
    tried = [
        survival.Tried(r.trial, r.arm, r.verdict.status, r.verdict.rta.fault if r.verdict.rta else None)
        for r in evidence.records
    ]
    recovery = evidence.recovery
    return el(
        "article",
        el("h2", evidence.cell, " ", el("span", f"{MARK[outcome]} {outcome}", class_=f"badge outcome {outcome}")),
        el("p", gate.sentence(evidence, claim), class_="lead"),
        el("ul", *(el("li", each) for each in gate.remarks(evidence, claim)), class_="limits"),
        survival.section(tried, rto=recovery.rto, horizon=recovery.horizon) if tried else None,
        _bounds(claim) if claim.n else None,
        _trials(evidence.records) if evidence.records else None,
        id=f"cell-{number}",
    )


def _bounds(claim: Claim) -> Html:
    rows = (
        ("always valid (however often one looked)", f"{claim.always_valid:.3f}"),
        ("Clopper-Pearson, fixed sample: descriptive here", f"{claim.clopper_pearson:.3f}"),
        ("Wilson, fixed sample: descriptive here", f"{claim.wilson:.3f}"),
    )
    body = [el("tr", el("th", name, scope="row"), el("td", value)) for name, value in rows]
    head = el("tr", el("th", "P(success) is at least, with 95%", scope="col"), el("th", "", scope="col"))
    table = el("table", el("thead", head), el("tbody", *body), class_="figures")
    return el("section", el("h3", "Bounds"), el("div", table, class_="scroll"))


def _trials(records: Sequence[Record]) -> Html:
    names = ("trial", "block", "result", "RTA", "RPA", "bad", "episodes", "budget of 28 days", "why")
    head = el("tr", *(el("th", name, scope="col") for name in names))
    table = el("table", el("thead", head), el("tbody", *(_row(r) for r in records)), class_="events")
    return el("section", el("h3", "Trials"), el("div", table, class_="scroll"))


def _row(record: Record) -> Html:
    verdict = record.verdict
    why = next((f.why for f in verdict.findings if f.outcome is verdict.outcome), "")
    cells = (
        record.trial,
        str(record.block),
        join([MARK[verdict.outcome], " ", STATUS[verdict.status]]),
        between(verdict.rta.fault if verdict.rta else None),
        between(verdict.loss.rpa if verdict.loss else None),
        duration(round(verdict.timings.bad_seconds * 1e9)),
        str(verdict.timings.episodes),
        f"{record.budget:.3g}%",
        why,
    )
    return el("tr", *(el("td", cell) for cell in cells))
