"""One trial as a drawing: what the users' probes saw, the fault, each step, recovery; on the axis its drill shares."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from harness.model.history import History, Name, Phase
from harness.model.units import Ns, show
from harness.model.verdict import Verdict
from harness.reporting.drill import origin
from harness.reporting.executed import Execution, executions
from harness.reporting.html.axis import Axis, lanes
from harness.reporting.html.bands import series
from harness.reporting.html.markup import Html, el, join
from harness.reporting.wording import between, duration, one_line

_WIDE: Final = 1080
"""The width in pixels that labels are laid out for; narrower screens show their letters only."""
_LANE: Final = 17
_ROW: Final = 17
_ENDS: Final = {Phase.OK: ("ok", "✓"), Phase.FAIL: ("failed", "✗"), Phase.INFO: ("noted", "–")}


@dataclass(frozen=True, slots=True)
class Mark:
    """A labelled instant: `at` in ns since the origin; `letter` stands for it where there is no room."""

    letter: str
    label: str
    at: Ns
    kind: str


def marks(verdict: Verdict, history: History) -> tuple[Mark, ...]:
    """The trial's instants in order of time, as far as they happened."""
    zero, timings = origin(verdict, history), verdict.timings
    recovered = timings.recovered.hi if timings.recovered else None
    instants = (
        ("F", "fault", timings.call, "fault"),
        ("B", "first bad", timings.onset.hi if timings.onset else None, "plain"),
        ("D", "detected", timings.detected, "plain"),
        ("P", "procedure", timings.started, "procedure"),
        ("G", "first good", timings.first_good if timings.first_good != recovered else None, "plain"),
        ("R", "recovered", recovered, "recovered"),
        ("S", "redundancy back", timings.redundant, "plain"),
    )
    told = [
        Mark(letter, f"{label} {_since(at - zero)}", at - zero, kind)
        for letter, label, at, kind in instants
        if at is not None
    ]
    if timings.call is not None:
        recovery = history.header.terms.recovery
        told.append(Mark("H", f"horizon {show(recovery.horizon)}", recovery.horizon, "limit"))
        told.append(Mark("RTO", f"RTO {show(recovery.rto)}", recovery.rto, "rto"))
    return tuple(sorted(told, key=lambda mark: mark.at))


def timeline(verdict: Verdict, history: History, axis: Axis) -> Html:
    """The drawing. Horizontal places are in percent, vertical ones in pixels, so that it fits any width undistorted."""
    told = marks(verdict, history)
    labels = [_Label.of(mark, axis) for mark in told]
    chosen = lanes([label.extent for label in labels])
    top = _LANE * (max(chosen, default=-1) + 1) + 10
    bands, below = series(history, axis, origin(verdict, history), top + 12)
    steps, bottom = _steps(history, axis, origin(verdict, history), below)
    placed = list(zip(labels, chosen, strict=True))
    return el(
        "svg",
        *_spans(verdict, history, axis, rows=(top, bottom)),
        *_ticks(axis, top=top, bottom=bottom),
        bands,
        *(label.upright(_LANE * lane + 2, bottom) for label, lane in placed if not label.beyond),
        steps,
        *(label.drawn(_LANE * lane + 12) for label, lane in placed),
        class_="timeline",
        width="100%",
        height=bottom + 20,
        role="img",
        aria_label=f"Timeline of {verdict.trial}: " + ", ".join(mark.label for mark in told),
        data_lo=str(axis.lo),
        data_hi=str(axis.hi),
    )


@dataclass(frozen=True, slots=True)
class _Label:
    """A mark's label: `at` and `room` in percent of the width; `leftward` where it stands left of its line."""

    mark: Mark
    at: float
    room: float
    leftward: bool
    beyond: bool

    @staticmethod
    def of(mark: Mark, axis: Axis) -> "_Label":
        at, beyond = axis.percent(mark.at), mark.at > axis.hi
        room = 100 * (6.4 * len(mark.label) + 14) / _WIDE
        return _Label(mark, at=at, room=room, leftward=beyond or at + room > 100, beyond=beyond)

    @property
    def extent(self) -> tuple[float, float]:
        return (self.at - self.room, self.at) if self.leftward else (self.at, self.at + self.room)

    def drawn(self, y: int) -> Html:
        return join(
            el(
                "text",
                f"{text} →" if self.beyond else text,
                class_=f"label {width} {self.mark.kind}",
                x=f"{self.at:.2f}%",
                y=y,
                dx=-5 if self.leftward else 5,
                text_anchor="end" if self.leftward else "start",
            )
            for text, width in ((self.mark.label, "wide"), (self.mark.letter, "narrow"))
        )

    def upright(self, top: int, bottom: int) -> Html:
        """The line at its instant."""
        mark, place = self.mark, f"{self.at:.2f}%"
        return el("line", el("title", mark.label), class_=f"mark {mark.kind}", x1=place, x2=place, y1=top, y2=bottom)


def _spans(verdict: Verdict, history: History, axis: Axis, *, rows: tuple[int, int]) -> Iterator[Html]:
    """The fault's span as a bar above the bands; the window that counts as recovered, and the hold after it, as tints."""
    zero, timings, recovery = origin(verdict, history), verdict.timings, history.header.terms.recovery
    if timings.call is not None:
        healed = history.first(Name.HEAL, Phase.INVOKE)
        span = (timings.call - zero, healed.at - zero if healed else axis.hi)
        yield _tint(axis, span, rows=(rows[0], rows[0] + 6), kind="fault", title="the fault is in force")
    if timings.recovered and timings.recovered.hi is not None:
        start = timings.recovered.hi - zero
        end = start + recovery.window
        title = f"recovery window: the objectives hold for {show(recovery.window)}"
        yield _tint(axis, (start, end), rows=rows, kind="window", title=title)
        title = f"and for {show(recovery.hold)} more"
        yield _tint(axis, (end, end + recovery.hold), rows=rows, kind="hold", title=title)


def _tint(axis: Axis, span: tuple[Ns, Ns], *, rows: tuple[int, int], kind: str, title: str) -> Html:
    (lo, hi), (top, bottom) = (axis.percent(at) for at in span), rows
    return el(
        "rect",
        el("title", title),
        class_=f"tint {kind}",
        x=f"{lo:.2f}%",
        width=f"{hi - lo:.2f}%",
        y=top,
        height=bottom - top,
    )


def _ticks(axis: Axis, *, top: int, bottom: int) -> Iterator[Html]:
    for tick in axis.ticks():
        place = f"{axis.percent(tick):.2f}%"
        yield el("line", class_="grid", x1=place, x2=place, y1=top, y2=bottom + 4)
        yield el("text", show(tick), class_="tick", x=place, y=bottom + 16, text_anchor="middle")


def _steps(history: History, axis: Axis, zero: Ns, top: int) -> tuple[Html, int]:
    """A row per step that was begun in sight, and where the space below them begins."""
    drawn: list[Html] = []
    y = top
    for number, each in enumerate(executions(history), 1):
        if each.begun is None or each.begun.at - zero > axis.hi or (each.ended or each.begun).at - zero < axis.lo:
            continue
        drawn.append(_step(number, each, axis, zero=zero, y=y))
        y += _ROW
    return join(drawn), y + 4


def _step(number: int, each: Execution, axis: Axis, *, zero: Ns, y: int) -> Html:
    start = each.begun.at - zero if each.begun else 0
    lo, hi = axis.percent(start), axis.percent(each.ended.at - zero if each.ended else axis.hi)
    word, sign = _ENDS.get(each.ended.phase, ("", "")) if each.ended else ("without end", "…")
    text = one_line(each.terms.text if each.terms else str(each.data.get("text", "")), limit=64)
    leftward = hi > 52
    place = f"{lo if leftward else hi:.2f}%"
    kind = each.terms.what if each.terms else "command"
    took = duration(each.took) if kind == "command" else kind
    return el(
        "g",
        el("title", f"step {number} at {_since(start)}, {took}, {word}: {text}"),
        el(
            "rect",
            class_=f"step {word} {kind}",
            x=f"{lo:.2f}%",
            width=f"{max(hi - lo, 0.05):.2f}%",
            y=y + 3,
            height=_ROW - 6,
        ),
        el(
            "text",
            el("tspan", f"{number} {sign}", class_=f"number {word}"),
            el("tspan", f" {text}", class_="wide"),
            el("tspan", f" {took}", class_="took"),
            class_="row",
            x=place,
            dx=-7 if leftward else 7,
            y=y + 12,
            text_anchor="end" if leftward else "start",
        ),
    )


def _since(at: Ns) -> str:
    return f"+{duration(at)}" if at > 0 else duration(at)


def in_words(verdict: Verdict, history: History) -> Html:
    """The drawing's instants with their brackets, as a list: for reading, and for those who cannot see it."""
    told = [
        el("li", None if mark.label.startswith(mark.letter) else el("b", mark.letter, " "), mark.label)
        for mark in marks(verdict, history)
    ]
    if verdict.rta:
        told.append(el("li", el("b", "RTA"), " ", between(verdict.rta.fault)))
    return el("ul", *told, class_="instants")
