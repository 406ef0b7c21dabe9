"""A plan, shown before anything is started: what would be run, line by line, and why it differs from the text."""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.model.units import show
from harness.plan import Plan, PlannedStep


def render(plan: Plan) -> RenderableType:
    """The plan as a table of steps with a head that says what breaks and what counts as recovered."""
    recovery = plan.terms.recovery
    head = Table.grid(padding=(0, 2))
    for label, value in (
        ("drill", f"{plan.name}: {plan.scenario.title}"),
        ("procedure", f"{plan.runbook} {plan.procedure}"),
        ("fault", str(plan.scenario.fault)),
        ("arms", ", ".join(arm.name for arm in plan.scenario.arms)),
        (
            "recovered",
            f"RTO {show(recovery.rto)}, RPO {show(recovery.rpo)}, window {show(recovery.window)}, hold {show(recovery.hold)}",
        ),
        ("watched", f"for {show(recovery.horizon)} after the fault call at most"),
        ("needs", ", ".join(sorted(plan.needs))),
        ("plan", plan.digest[:16]),
    ):
        head.add_row(Text(label, style="dim"), Text(value))
    remarks = [Text(f"note: {remark}", style="yellow") for remark in plan.remarks]
    return Group(head, Padding(_steps(plan), (1, 0)), *remarks)


def _steps(plan: Plan) -> Table:
    table = Table(
        "line", "runs as", "command", "written otherwise because", box=None, header_style="dim", pad_edge=False
    )
    for step in plan.prepare:
        table.add_row(*_row(step, "before the fault"))
    for step in plan.steps:
        table.add_row(*_row(step, step.executor))
    return table


def _row(step: PlannedStep, how: str) -> tuple[Text, Text, Text, Text]:
    terms = step.terms
    command = Text(
        terms.text if step.executor != "skipped" else terms.written,
        style="strike dim" if step.executor == "skipped" else "",
    )
    return Text(str(terms.source.line), style="dim"), Text(how), command, Text(terms.deviation, style="yellow")
