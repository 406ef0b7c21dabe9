"""Watches trials on a terminal: a panel per running trial, or plain lines where nobody is at the terminal. The table at the
end is summary's, offered here as well."""

import math
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from harness.model.history import Event, Name, Phase, Sample, StepTerms, Terms
from harness.model.units import SECOND, Ns, show
from harness.model.verdict import Assessment, Verdict
from harness.reporting.progress import KEPT, Cell, Cells, Progress, step_at
from harness.reporting.summary import OUTCOME_STYLE, WORD_STYLE, render_assessments
from harness.reporting.wording import STATUS, SYMBOL, between, duration, one_line, reason, sign

__all__ = ["Terminal", "render_assessments"]

_SPARKS: Final = "▁▂▃▄▅▆▇█"
_PANEL: Final = 76
_LABEL: Final = 16


class Terminal:
    """A Reporter (harness.ports) for people. Enter it for as long as it shows: leaving restores the terminal.

    `live`: redraw panels in place; else, or where `console` is no terminal, one plain line per event worth reading, with
    the seconds since the run's first event. `terms` gives each scenario's terms by its name (the trial's key up to the
    last blank), so that steps can be named.
    """

    def __init__(self, console: Console, *, live: bool, terms: Mapping[str, Terms] | None = None) -> None:
        self._console = console
        self._terms = terms or {}
        self._running: dict[str, Progress] = {}
        self._began: Ns | None = None
        self._live = (
            Live(console=console, get_renderable=self._draw, refresh_per_second=8, transient=True)
            if live and console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._running = {}
            self._live.stop()

    def event(self, trial: str, event: Event) -> None:
        """Something happened in `trial`, a key such as `inventory/slow_queries treated-1`."""
        self._began = event.at if self._began is None else self._began
        progress = self._progress(trial, event.at).event(event)
        self._keep(progress)
        if self._live is None or event.phase is Phase.FAIL:
            told = told_of(event, progress.steps)
            if told:
                self._say(event.at - self._began, one_line(trial), told)

    def samples(self, trial: str, samples: Sequence[Sample]) -> None:
        """New samples of `trial`."""
        if samples and self._live:
            self._keep(self._progress(trial, samples[0].scheduled).samples(samples))

    def verdict(self, trial: str, verdict: Verdict) -> None:
        """A trial was judged."""
        rta = f", RTA {between(verdict.rta.fault)}" if verdict.rta else ""
        text = Text(f"{sign(verdict)} ", style=OUTCOME_STYLE[verdict.outcome])
        self._print(text.append(f"{one_line(trial)}: {STATUS[verdict.status]}{rta}"))

    def assessment(self, assessment: Assessment) -> None:
        """An experiment was judged."""
        text = Text(f"{SYMBOL[assessment.word]} {assessment.word}", style=WORD_STYLE[assessment.word])
        self._print(text.append(f"  {one_line(assessment.scenario)}: {reason(assessment.why)}", style="default"))

    def _progress(self, trial: str, at: Ns) -> Progress:
        terms = self._terms.get(trial.rpartition(" ")[0])
        return self._running.get(trial) or Progress(trial, began=at, steps=terms.steps if terms else ())

    def _keep(self, progress: Progress) -> None:
        # The drawing thread reads `_running` at any time: it is replaced, never changed.
        rest = {trial: each for trial, each in self._running.items() if trial != progress.trial}
        self._running = rest if progress.ended else {**self._running, progress.trial: progress}

    def _say(self, elapsed: Ns, trial: str, told: str) -> None:
        self._print(Text(f"[{elapsed / SECOND:7.1f} s] {trial}: {told}"))

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=self._live is None, highlight=False)

    def _draw(self) -> RenderableType:
        running = list(self._running.values())
        beside = min(len(running), max(1, self._console.width // _PANEL))
        grid = Table.grid(expand=True, padding=(0, 1, 0, 0))
        for _ in range(beside):
            grid.add_column(ratio=1)
        now = time.monotonic_ns()
        width = self._console.width // beside if beside else self._console.width
        panels = [panel(each, now=now, width=width) for each in running]
        for first in range(0, len(panels), beside or 1):
            grid.add_row(*panels[first : first + beside])
        return grid


def panel(progress: Progress, *, now: Ns, width: int) -> Panel:
    """One running trial, `width` characters wide, as of `now` (monotonic ns)."""
    cells = max(8, min(KEPT, (width - _LABEL - 16) // 2))
    strips = Table.grid(padding=(0, 1, 0, 0))
    newest = max((slot for of_series in progress.cells.values() for slot in of_series), default=0)
    for (indicator, mode), of_series in sorted(progress.cells.items()):
        label = Text(one_line(f"{indicator} {mode}", limit=_LABEL), style="dim")
        worst = show(of_series[max(of_series)].worst)
        strips.add_row(
            label,
            availability(of_series, newest=newest, cells=cells),
            latency(of_series, newest=newest, cells=cells),
            Text(worst, style="dim"),
        )
    elapsed = max(now, progress.latest) - progress.began
    doing = Text(f"▸ {progress.doing}", no_wrap=True, overflow="ellipsis")
    return Panel(
        Group(_stations(progress), doing, strips),
        title=Text(one_line(progress.trial), style="bold"),
        title_align="left",
        subtitle=Text(f"{elapsed / SECOND:.1f} s"),
        subtitle_align="right",
        border_style="dim",
        width=width,
    )


def availability(of_series: Cells, *, newest: int, cells: int) -> Text:
    """A strip of half seconds up to cell `newest`: `━` all good, `▒` partly bad, `█` all bad, `·` nothing known."""
    text = Text()
    for slot in range(newest - cells + 1, newest + 1):
        match of_series.get(slot, Cell()):
            case Cell(good=0, bad=0):
                text.append("·", style="dim")
            case Cell(bad=0):
                text.append("━", style="green")
            case Cell(good=0):
                text.append("█", style="red")
            case _:
                text.append("▒", style="yellow")
    return text


def latency(of_series: Cells, *, newest: int, cells: int) -> Text:
    """The worst latency of each half second up to cell `newest`: log scale, one bar from 1 ms on, full from 1 s on."""
    text = Text()
    for slot in range(newest - cells + 1, newest + 1):
        cell = of_series.get(slot)
        if cell is None:
            text.append(" ")
            continue
        share = math.log10(max(1.0, cell.worst / 1_000_000)) / 3
        height = min(len(_SPARKS), 1 + int(share * (len(_SPARKS) - 1)))
        text.append(_SPARKS[height - 1], style="red" if cell.bad else "cyan")
    return text


def told_of(event: Event, steps: tuple[StepTerms, ...]) -> str:
    """An event as one line of a log; empty where it is not worth one."""
    data = {key: one_line(str(value), limit=300) for key, value in event.data.items()}
    why = f": {reason(str(event.data['why']), limit=300)}" if data.get("why") else ""
    match event.name, event.phase:
        case Name.ENVIRONMENT, Phase.OK:
            took = event.data.get("took_ns")
            return f"environment up in {duration(took)}" if isinstance(took, int) else "environment up"
        case Name.ENVIRONMENT, Phase.INFO:
            return data.get("text") or data.get("doing", "")
        case Name.FAULT, Phase.INVOKE:
            return f"injecting {data.get('fault', 'the fault')}"
        case Name.STEP, Phase.INVOKE:
            return ""
        case Name.STEP, _:
            status = f", status {data['status']}" if data.get("status") not in (None, "", "None") else ""
            return f"{step_at(event, steps)} — {_ENDS[event.phase]}{status}{why}"
        case Name.DETECT, _:
            return "detected: the objectives are broken"
        case Name.OBSERVED, _:
            return f"observation ended{why}"
        case (Name.STEADY | Name.FAULT | Name.PROCEDURE, Phase.OK) | (_, Phase.FAIL) | (Name.ABORT, _):
            return f"{event.name} {_ENDS[event.phase]}{why}"
        case _:
            return ""


_ENDS: Final = {Phase.OK: "ok", Phase.FAIL: "failed", Phase.INFO: "noted", Phase.INVOKE: "begins"}


def _stations(progress: Progress) -> Text:
    reached = progress.stages.index(progress.stage) if progress.stage in progress.stages else -1
    text = Text()
    for number, stage in enumerate(progress.stages):
        mark, style = ("✓", "green") if number < reached else ("▶", "bold") if number == reached else ("·", "dim")
        text.append(f"{mark} {stage} ", style=style)
    return text
