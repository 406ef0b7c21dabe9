"""The write ledger's classes on the page, a column per trial. Counts come from the verdicts."""

from collections.abc import Callable
from typing import Final

from harness.model.verdict import Loss
from harness.reporting.drill import Drill
from harness.reporting.html.markup import Html, el
from harness.reporting.wording import between, duration

_CLASSES: Final[tuple[tuple[str, Callable[[Loss], int], bool], ...]] = (
    ("acknowledged", lambda loss: loss.acked, False),
    ("lost: acknowledged, gone", lambda loss: loss.lost, True),
    ("lost, acknowledged after the fault call", lambda loss: loss.lost_after_fault, True),
    ("holes: lost between survivors", lambda loss: loss.holes, True),
    ("vanished: read once, gone later", lambda loss: loss.vanished, True),
    ("duplicates", lambda loss: loss.duplicates, True),
    ("phantoms: never attempted", lambda loss: loss.phantoms, True),
    ("corrupt", lambda loss: loss.corrupt, True),
    ("refused, but present", lambda loss: loss.failed_but_present, True),
    ("refused", lambda loss: loss.failed, False),
    ("outcome unknown", lambda loss: loss.unknown, False),
    ("outcome unknown, present", lambda loss: loss.recovered_unacked, False),
)


def writes(drill: Drill) -> Html | None:
    """The table, or None where no trial kept a ledger."""
    kept: list[tuple[str, Loss]] = [(each.trial, each.loss) for each in drill.assessment.verdicts if each.loss]
    if not kept:
        return None
    rows = [
        el(
            "tr",
            el("th", name, scope="row"),
            *(el("td", str(count(loss)), class_=_class(count(loss), harm=harm)) for _, loss in kept),
        )
        for name, count, harm in _CLASSES
    ]
    rows.append(_row("RPA", [between(loss.rpa) for _, loss in kept]))
    if any(loss.worst_case is not None for _, loss in kept):
        rows.append(_row("worst case of the drilled schedule", [duration(loss.worst_case) for _, loss in kept]))
        rows.append(_row("the fault came after the backup began by", [duration(loss.phase) for _, loss in kept]))
    rows.append(_row("loss that could go unseen", [duration(loss.resolution) for _, loss in kept]))
    head = el("tr", el("th", "writes", scope="col"), *(el("th", trial, scope="col") for trial, _ in kept))
    table = el("table", el("thead", head), el("tbody", *rows), class_="figures")
    return el("section", el("h3", "Writes"), el("div", table, class_="scroll"))


def _row(name: str, values: list[str]) -> Html:
    return el("tr", el("th", name, scope="row"), *(el("td", value) for value in values))


def _class(count: int, *, harm: bool) -> str:
    return "zero" if count == 0 else "harm" if harm else "some"
