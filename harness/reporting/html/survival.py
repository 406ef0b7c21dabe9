"""How long recovery took over many trials, drawn: the share that is not back yet (Kaplan-Meier) with the RTO marked, and a strip
with one mark a trial. The curve comes from checking.survival; nothing is estimated here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from harness.checking.survival import Step, kaplan_meier
from harness.model.design import CONTROL, TREATED, Arm
from harness.model.units import Ns, show
from harness.model.verdict import Interval, Status
from harness.reporting.drill import Drill
from harness.reporting.html.axis import Axis
from harness.reporting.html.markup import Html, el, join
from harness.reporting.wording import STATUS, between

_HEIGHT: Final = 140
_ROW: Final = 14
_FEWEST: Final = 2
_KIND: Final = {
    Status.OK: "good",
    Status.MISS: "mixed",
    Status.CENSORED: "bad",
    Status.NO_BREACH: "none",
    Status.INVALID: "none",
}
_SIGN: Final = {
    Status.OK: "●",
    Status.MISS: "◐",
    Status.CENSORED: "○",
    Status.NO_BREACH: "·",
    Status.INVALID: "∅",
}


@dataclass(frozen=True, slots=True)
class Tried:
    """One trial as it is drawn: `time` is its recovery from the fault call, None where it does not count."""

    name: str
    arm: Arm
    status: Status
    time: Interval | None


def of_drill(drill: Drill) -> Html | None:
    """The section for an ordinary report; None of fewer than two treated trials, which make no curve."""
    tried = [Tried(v.trial, v.arm, v.status, v.rta.fault if v.rta else None) for v in drill.assessment.verdicts]
    if sum(each.arm == TREATED for each in tried) < _FEWEST or drill.header is None:
        return None
    recovery = drill.header.terms.recovery
    return section(tried, rto=recovery.rto, horizon=recovery.horizon)


def section(tried: Sequence[Tried], *, rto: Ns, horizon: Ns) -> Html:
    """Curve and strips of the arms with a fault."""
    axis = Axis(lo=0, hi=max(horizon, 1))
    y = 16
    arms = [arm for arm in (TREATED, CONTROL) if any(t.arm == arm for t in tried)]
    curves = [_curve(kaplan_meier(_times(tried, arm)), axis, arm, horizon) for arm in arms]
    scale = (
        el("text", f"{p}%", class_="scale", x="100%", dx=5, y=y + _HEIGHT * (1 - p / 100) + 3) for p in (0, 50, 100)
    )
    drawn = [
        el("text", _caption(rto, axis), class_="caption", x=2, y=10),
        _stretched(*curves, *_rto(rto, axis), y=y, height=_HEIGHT),
        *scale,
    ]
    y += _HEIGHT + 18
    drawn.extend(
        el("text", show(tick), class_="tick", x=f"{axis.percent(tick):.2f}%", y=y, text_anchor="middle")
        for tick in axis.ticks()
    )
    y += 12
    for arm in arms:
        strip, y = _strip([t for t in tried if t.arm == arm], arm, axis, y)
        drawn.append(strip)
    picture = el("svg", *drawn, class_="recovery", height=y, role="img", aria_label=_spoken(tried, rto))
    key = el("p", "● in time ◐ too late ○ not while watched ∅ · cannot be counted", class_="keys quiet")
    return el("section", el("h3", "Recovery over all trials"), key, el("figure", picture), class_="survival")


def _times(tried: Sequence[Tried], arm: Arm) -> list[Interval]:
    return [t.time for t in tried if t.arm == arm and t.time is not None and t.status is not Status.INVALID]


def _curve(steps: Sequence[Step], axis: Axis, arm: Arm, horizon: Ns) -> Html:
    """The share not yet back, from 100% at the fault call, as a staircase to the horizon."""
    d, share = "M0 0", 1.0
    for step in steps:
        d += f"H{axis.percent(step.time):.2f}V{_HEIGHT * (1 - step.unrecovered):.2f}"
        share = step.unrecovered
    end = max([horizon, *(s.time for s in steps)])
    d += f"H{axis.percent(end):.2f}" if share > 0 else ""
    return el("path", class_="latency" if arm == TREATED else "within", d=d, data_arm=arm.name)


def _rto(rto: Ns, axis: Axis) -> tuple[Html, ...]:
    if rto > axis.hi:
        return ()
    x = f"{axis.percent(rto):.2f}"
    return (el("line", class_="mark rto", x1=x, x2=x, y1=0, y2=_HEIGHT, vector_effect="non-scaling-stroke"),)


def _caption(rto: Ns, axis: Axis) -> str:
    where = "the red line" if rto <= axis.hi else f"right of the picture, which ends at {show(axis.hi)}"
    return f"share not yet recovered, since the fault call (dashed: control); the RTO of {show(rto)} is {where}"


def _strip(tried: Sequence[Tried], arm: Arm, axis: Axis, y: int) -> tuple[Html, int]:
    """One mark a trial, in the order they were run, at the time of its recovery; at the edge where it was not seen."""
    marks = [el("text", f"{arm.name}, {len(tried)} trials", class_="caption", x=2, y=y + 10)]
    y += 16
    for each in tried:
        at = axis.hi if each.time is None or each.time.hi is None else each.time.hi
        told = f"{each.name}: {STATUS[each.status]}{f', {between(each.time)}' if each.time else ''}"
        mark = el(
            "text",
            el("title", told),
            _SIGN[each.status],
            class_=f"trial {_KIND[each.status]}",
            x=f"{axis.percent(at):.2f}%",
            y=y + 10,
            text_anchor="middle",
        )
        marks.append(mark)
        y += _ROW
    return join(marks), y + 8


def _spoken(tried: Sequence[Tried], rto: Ns) -> str:
    told = [
        f"{arm.name}: {sum(t.status is Status.OK for t in tried if t.arm == arm)} of {sum(t.arm == arm for t in tried)}"
        for arm in (TREATED, CONTROL)
    ]
    return f"Recovered within {show(rto)}: {'; '.join(told)}"


def _stretched(*children: Html | None, y: int, height: int) -> Html:
    return el(
        "svg", *children, y=y, width="100%", height=height, viewBox=f"0 0 100 {height}", preserveAspectRatio="none"
    )
