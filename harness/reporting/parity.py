"""Two substrates side by side: a table a scenario for people, JSON for programs. Values → text; nothing is judged here."""

from collections.abc import Sequence

import msgspec
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.checking.parity import Parity, Side
from harness.model.design import CONTROL, TREATED
from harness.model.units import Ns
from harness.reporting.summary import OUTCOME_STYLE
from harness.reporting.wording import MARK, between, duration, one_line, trials

_DIFFERENT = "yellow"
_SAID = {"passed": "they agree", "failed": "they do not agree", "inconclusive": "nothing can be compared"}


class _Sided(msgspec.Struct, frozen=True):
    substrate: str
    verdict: str
    why: str
    treated: str
    control: str
    rta_ns: tuple[Ns, Ns | None] | None
    rpa_ns: tuple[Ns, Ns | None] | None
    up_ns: Ns | None
    trial_ns: Ns | None
    down_ns: Ns | None


class _Compared(msgspec.Struct, frozen=True):
    scenario: str
    outcome: str
    why: str
    sides: tuple[_Sided, _Sided]
    steps: tuple[tuple[str, str, str, str], ...]
    differences: tuple[str, ...]


def render(parity: Parity) -> RenderableType:
    """Verdict, trials, RTA, RPA, times and every command's end, one column a substrate; below it what is not the same."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, title_justify="left")
    sides = (parity.one, parity.other)
    for heading in (one_line(parity.scenario), *(side.substrate for side in sides)):
        table.add_column(heading, overflow="fold")
    for name, values in _rows(*sides):
        table.add_row(name, *values)
    for step in parity.steps:
        style = "" if step.alike else _DIFFERENT
        table.add_row(Text(f"{step.source}  {one_line(step.text, limit=70)}", style=style), step.one, step.other)
    told = Text(f"{MARK[parity.outcome]} {_SAID[parity.outcome.value]}: ", style=OUTCOME_STYLE[parity.outcome])
    told.append(one_line(parity.why, limit=2000), style="default")
    return Group(table, told, *(Text(f"  · {one_line(each, limit=400)}") for each in parity.differences))


def _rows(*sides: Side) -> Sequence[tuple[str, Sequence[str]]]:
    return (
        ("verdict", [str(side.assessment.word) for side in sides]),
        ("treated, in time", [trials(side.assessment, TREATED) for side in sides]),
        ("control, in time", [trials(side.assessment, CONTROL) for side in sides]),
        ("RTA", [between(side.assessment.rta) for side in sides]),
        ("RPA", [between(side.assessment.rpa) for side in sides]),
        ("environment up", [f"{duration(side.times.up)} (≤ {duration(side.times.slowest)})" for side in sides]),
        ("trial", [duration(side.times.trial) for side in sides]),
        ("environment gone", [duration(side.times.down) for side in sides]),
    )


def encode(found: Sequence[Parity]) -> bytes:
    """The same as JSON, a list; times in ns, medians over trials; `steps` are source, command, and its end on either side."""
    return msgspec.json.format(msgspec.json.encode([_compared(each) for each in found]), indent=2)


def _compared(parity: Parity) -> _Compared:
    return _Compared(
        scenario=parity.scenario,
        outcome=parity.outcome.value,
        why=parity.why,
        sides=(_sided(parity.one), _sided(parity.other)),
        steps=tuple((step.source, step.text, step.one, step.other) for step in parity.steps),
        differences=parity.differences,
    )


def _sided(side: Side) -> _Sided:
    assessment, times = side.assessment, side.times
    rta, rpa = ((each.lo, each.hi) if each else None for each in (assessment.rta, assessment.rpa))
    return _Sided(
        substrate=side.substrate,
        verdict=assessment.word.value,
        why=assessment.why,
        treated=trials(assessment, TREATED),
        control=trials(assessment, CONTROL),
        rta_ns=rta,
        rpa_ns=rpa,
        up_ns=times.up,
        trial_ns=times.trial,
        down_ns=times.down,
    )
