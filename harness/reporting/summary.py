"""The table at the end of a run, with the why, the findings and the limits of each claim. For terminals and CI logs."""

from collections.abc import Sequence
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.model.design import CONTROL, TREATED
from harness.model.units import show
from harness.model.verdict import Outcome, Word
from harness.reporting.drill import Drill
from harness.reporting.wording import MARK, SYMBOL, between, found, one_line, reason, trials, visible

WORD_STYLE: Final = {
    Word.EFFECTIVE: "bold green",
    Word.SLOW: "bold yellow",
    Word.INEFFECTIVE: "bold red",
    Word.UNNECESSARY: "bold yellow",
    Word.HARMFUL: "bold red",
    Word.BROKEN: "bold red",
    Word.INCONCLUSIVE: "bold magenta",
    Word.INVALID: "bold magenta",
}
OUTCOME_STYLE: Final = {
    Outcome.PASSED: "green",
    Outcome.FAILED: "red",
    Outcome.INCONCLUSIVE: "magenta",
    Outcome.INVALID: "magenta",
}


def render_assessments(drills: Sequence[Drill]) -> RenderableType:
    """The verdict table, then of each drill why, what was found at which runbook line, and what bounds the claim.

    Under `treated` and `control` stands how many trials of that arm recovered in time.
    """
    where = dict.fromkeys(line for drill in drills for line in (*drill.where, *drill.remarks))
    return Group(
        *(Text(visible(line), style="dim") for line in where), _table(drills), *(_details(drill) for drill in drills)
    )


def word(of: Word) -> Text:
    """A verdict word with its sign, coloured."""
    return Text(f"{SYMBOL[of]} {of}", style=WORD_STYLE[of])


def _table(drills: Sequence[Drill]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0), expand=False)
    table.add_column("scenario / procedure", ratio=1, overflow="fold", min_width=14)
    table.add_column("verdict", no_wrap=True)
    table.add_column("RTA (RTO)", no_wrap=True)
    table.add_column("RPA (RPO)", no_wrap=True)
    table.add_column("people", overflow="fold")
    table.add_column("treated", overflow="fold")
    table.add_column("control", overflow="fold")
    for drill in drills:
        table.add_row(*_row(drill))
    return table


def _row(drill: Drill) -> tuple[Text, ...]:
    assessment, header = drill.assessment, drill.header
    recovery = header.terms.recovery if header else None
    title = Text(one_line(assessment.scenario), style="bold")
    if header:
        title.append(f"\n{one_line(header.procedure)}", style="not bold")
    return (
        title,
        _judged(assessment.word, assessment.outcome),
        Text(f"{between(assessment.rta)}\n({show(recovery.rto if recovery else None)})"),
        Text(f"{between(assessment.rpa)}\n({show(recovery.rpo if recovery else None)})"),
        Text(f"+ {show(assessment.human)}" if assessment.human else "–"),
        Text(trials(assessment, TREATED)),
        Text(trials(assessment, CONTROL)),
    )


def _judged(of: Word, outcome: Outcome) -> Text:
    """The word, and below it what it counts as."""
    text = word(of)
    return text.append(f"\n{MARK[outcome]} {outcome}", style=f"not bold {OUTCOME_STYLE[outcome]}")


def _details(drill: Drill) -> RenderableType:
    assessment = drill.assessment
    head = Text.assemble(word(assessment.word), "  ", (one_line(assessment.scenario), "bold"))
    table = Table.grid(padding=(0, 1))
    if drill.header:
        table.add_row(
            "", Text(f"{one_line(str(drill.header.runbook))}  {one_line(drill.header.procedure)}", style="dim")
        )
    table.add_row("", Text(reason(assessment.why, limit=2000)))
    for each in found(assessment):
        finding = each.finding
        if finding.outcome is Outcome.PASSED:
            continue
        told = Text(reason(finding.why, limit=2000)).append(f"  [{each.of}]", style="dim")
        if finding.source:
            told = Text(f"{one_line(str(finding.source))}: ", style="cyan").append_text(told)
        table.add_row(Text(MARK[finding.outcome], style=OUTCOME_STYLE[finding.outcome]), told)
    for alert in assessment.alerts:
        table.add_row(Text("!", style="dim"), Text(one_line(alert, limit=2000), style="dim"))
    for limit in assessment.limits:
        table.add_row(Text("·", style="dim"), Text(one_line(limit, limit=2000), style="dim"))
    return Group(head, Padding(table, (0, 0, 1, 2)))
