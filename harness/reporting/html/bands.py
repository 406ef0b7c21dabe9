"""The bands of a timeline: of each indicator and connection mode, when it was good or bad, and how long answers took."""

from typing import Final

from harness.model.history import History, Mode
from harness.model.objectives import Objective
from harness.model.units import Ns, show
from harness.reporting.html.axis import Axis
from harness.reporting.html.markup import Html, el, join
from harness.reporting.html.series import COLUMNS, Column, columns, height_of, runs, top_of, widest_gap
from harness.reporting.wording import one_line

_BAND: Final = 12
_LATENCY: Final = 46


def series(history: History, axis: Axis, zero: Ns, top: int) -> tuple[Html, int]:
    """A band and a latency line per indicator and mode, and where the space below them begins."""
    terms = history.header.terms
    scale = top_of(objective.within for objective in terms.objectives)
    drawn: list[Html] = []
    y = top
    for objective in terms.objectives:
        for mode in terms.modes:
            found = columns(history.of(objective.indicator, mode), axis, zero)
            gap = widest_gap(terms.period, axis)
            drawn.append(_caption(objective, mode, y + 10))
            drawn.append(_band(found, y=y + 16, gap=gap))
            drawn.append(_latency(found, objective, scale, y=y + 20 + _BAND, gap=gap))
            y += 20 + _BAND + _LATENCY + 12
    return join(drawn), y


def _caption(objective: Objective, mode: Mode, y: int) -> Html:
    meaning = f" — {objective.ratio * 100:.6g}% of probes good within {show(objective.within)}"
    return el(
        "text",
        el("tspan", f"{one_line(objective.indicator, limit=40)} · {mode}", class_="name"),
        el("tspan", meaning, class_="wide"),
        class_="caption",
        x=2,
        y=y,
    )


def _band(found: tuple[Column, ...], *, y: int, gap: int) -> Html:
    """Good is a thin line, bad a full block, both in one column something between: told apart without colour."""
    shapes = {"good": "", "mixed": "", "bad": ""}
    for first, past, good, bad in runs(found, gap=gap):
        kind, height = ("good", 4) if not bad else ("mixed", 9) if good else ("bad", _BAND)
        shapes[kind] += f"M{first} {(_BAND - height) / 2:g}h{past - first}v{height}h{first - past}z"
    paths = [el("path", class_=kind, d=d) for kind, d in shapes.items() if d]
    return _stretched(*paths, y=y, height=_BAND)


def _latency(found: tuple[Column, ...], objective: Objective, scale: Ns, *, y: int, gap: int) -> Html:
    def at(latency: Ns) -> float:
        return height_of(latency, top=scale, height=_LATENCY)

    spans, line, last = "", "", -gap - 2
    for column in found:
        middle = column.number + 0.5
        upper, lower = at(column.most), at(column.least)
        joined = column.number - last <= gap + 1
        line += f"{'L' if joined else 'M'}{middle:g} {upper:.1f}"
        if lower - upper >= 1:
            spans += f"M{middle:g} {upper:.1f}V{lower:.1f}"
        last = column.number
    limit = at(objective.within)
    grid = [Ns(10**power) for power in range(6, 13) if 10**power <= scale]
    stretched = _stretched(
        *(el("path", class_="grid", d=f"M0 {at(each):.1f}H{COLUMNS}") for each in grid),
        el("path", class_="span", d=spans) if spans else None,
        el("path", class_="latency", d=line) if line else None,
        el("path", class_="within", d=f"M0 {limit:.1f}H{COLUMNS}"),
        y=y,
        height=_LATENCY,
    )
    labels = [el("text", show(each), class_="scale", x="100%", dx=5, y=y + at(each) + 3) for each in grid]
    return join([stretched, *labels])


def _stretched(*children: Html | None, y: int, height: int) -> Html:
    box = f"0 0 {COLUMNS} {height}"
    return el("svg", *children, y=y, width="100%", height=height, viewBox=box, preserveAspectRatio="none")
