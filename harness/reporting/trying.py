"""What taking a procedure apart, and breaking it on purpose, have shown; for terminals and CI logs. No figures of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.checking.ablation import Effect
from harness.checking.comparison import FEWEST_BLOCKS, Comparison
from harness.checking.gate import Decision
from harness.model.units import Ns, show
from harness.model.verdict import Outcome
from harness.reporting.wording import MARK, duration, one_line, visible

_STYLE: Final = {
    Effect.NECESSARY: "green",
    Effect.SPEED: "green",
    Effect.DATA: "green",
    Effect.REDUNDANCY: "green",
    Effect.NOTHING: "yellow",
    Effect.SLOWS: "red",
    Effect.HARMFUL: "bold red",
    Effect.UNKNOWN: "magenta",
}
FATE: Final = {
    Decision.FAIL: "killed",
    Decision.PASS: "SURVIVED",
    Decision.OPEN: "undecided",
    Decision.INCONCLUSIVE: "undecided",
}


@dataclass(frozen=True, slots=True)
class Tried:
    """One experiment of an ablation: what was left out (place and text of each step), what that shows, how many trials."""

    steps: tuple[tuple[str, str], ...]
    effect: Effect
    why: str
    trials: int
    confounded: tuple[str, ...] = ()


def render_ablation(whole: str, tried: Sequence[Tried], removable: Sequence[str]) -> RenderableType:
    """A row an experiment; beneath it what can go."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("left out", "", "it", "trials", "why"):
        table.add_column(name, overflow="fold")
    for each in tried:
        later = f"; confounded: {', '.join(each.confounded)} fails without it" if each.confounded else ""
        table.add_row(
            "\n".join(place for place, _ in each.steps),
            "\n".join(one_line(text, limit=60) for _, text in each.steps),
            Text(str(each.effect), style=_STYLE[each.effect]),
            str(each.trials),
            visible(f"{each.why}{later}"),
        )
    gone = f"can go, all of them together: {', '.join(removable)}" if removable else "nothing was shown to be removable"
    return Group(Text(f"the whole procedure: {visible(whole)}"), table, Text(gone))


@dataclass(frozen=True, slots=True)
class Twin:
    """One broken twin: what was done to which line, and what became of it."""

    kind: str
    what: str
    place: str
    fate: Decision
    trials: int
    why: str


def render_mutation(original: Decision, twins: Sequence[Twin], rate: float | None) -> RenderableType:
    """The kill rate, and beneath it each survivor, then the rest."""
    if original is not Decision.PASS:
        head = Text("the text itself does not pass: that its broken twins do not either means nothing", style="magenta")
    elif rate is None:
        head = Text("no broken twin was decided", style="magenta")
    else:
        killed = sum(t.fate is Decision.FAIL for t in twins)
        decided = sum(t.fate in (Decision.FAIL, Decision.PASS) for t in twins)
        head = Text(f"kill rate {rate:.0%}: {killed} of {decided} broken twins did not pass", style="bold")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("fate", "mistake", "line", "what", "trials", "why"):
        table.add_column(name, overflow="fold")
    order = (Decision.PASS, Decision.INCONCLUSIVE, Decision.OPEN, Decision.FAIL)
    for each in sorted(twins, key=lambda t: order.index(t.fate)):
        style = "bold red" if each.fate is Decision.PASS else ""
        table.add_row(
            Text(FATE[each.fate], style=style),
            each.kind,
            each.place,
            visible(each.what),
            str(each.trials),
            visible(each.why),
        )
    return Group(head, table)


def render_comparison(found: Comparison, times: Sequence[tuple[Ns, Ns]], *, horizon: Ns, unseen: int) -> RenderableType:
    """The blocks, the ratio with its interval, and what follows."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("block", "old RTA", "new RTA", "new / old"):
        table.add_column(name, justify="right")
    for number, (old, new) in enumerate(times, 1):
        table.add_row(str(number), duration(old), duration(new), f"{new / old:.2f}")
    lines = [
        f"ratio of geometric means, new / old: {found.ratio:.3f}"
        + (f", 95% [{found.lo:.3f}, {found.hi:.3f}]" if found.blocks > 1 else ""),
    ]
    if found.blocks < FEWEST_BLOCKS:
        lines.append(
            f"{found.blocks} blocks are too few to conclude anything from; at least {FEWEST_BLOCKS} are needed"
        )
    else:
        held = {
            Outcome.PASSED: f"the new version is not slower by more than {found.margin:g}",
            Outcome.FAILED: f"the new version is slower by more than {found.margin:g}",
        }
        said = held.get(found.outcome, f"whether it is slower by more than {found.margin:g} is not settled")
        lines.append(f"{MARK[found.outcome]} {said}: one-sided 95% upper limit {found.limit:.3f}")
        lines.append(
            f"permutation test of no difference: p {found.p:.3g}; {found.blocks} blocks find a ratio of "
            f"{found.detectable:.2f} with power .8"
        )
    if unseen:
        lines.append(
            f"{unseen} recoveries were not seen by the horizon and stand as {show(horizon)}: the ratio is then a bound"
        )
    return Group(table, *(Text(line) for line in lines))
