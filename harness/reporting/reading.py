"""A runbook as it was read, and how well it was read, for `rundrill show`: rich renderables. Reads nothing itself."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from harness.model.runbook import (
    Branch,
    BranchKind,
    Command,
    Manual,
    Procedure,
    Runbook,
    Section,
    SectionKind,
    Step,
    Target,
    TargetKind,
)
from harness.model.units import show
from harness.reporting.wording import one_line
from harness.runbooks.score import Score, Scores

_KIND = {
    SectionKind.SYMPTOMS: "yellow",
    SectionKind.DIAGNOSIS: "cyan",
    SectionKind.RESOLUTION: "green",
    SectionKind.VERIFICATION: "blue",
    SectionKind.ROLLBACK: "magenta",
    SectionKind.PREVENTION: "dim",
    SectionKind.ESCALATION: "dim",
    SectionKind.OTHER: "white",
}
_BRANCH = {BranchKind.CONDITION: "only", BranchKind.ALTERNATIVE: "one way:", BranchKind.LABEL: "part:"}
_TOLD = frozenset({SectionKind.SYMPTOMS, SectionKind.ESCALATION, SectionKind.PREVENTION})
_COMMAND = 160
_TITLE = 90


def render(runbook: Runbook) -> RenderableType:
    """Everything read of `runbook`, with lines: procedures with their steps and commands, then what it promises."""
    parts: list[RenderableType] = [_heading(runbook)]
    parts.extend(_procedure(procedure) for procedure in runbook.procedures)
    if runbook.targets:
        parts.extend((Text(), _targets(runbook)))
    if runbook.alerts:
        parts.extend((Text(), _alerts(runbook)))
    if runbook.response_times:
        parts.extend((Text(), _responses(runbook)))
    if runbook.unclassified:
        parts.extend((Text(), _unclassified(runbook)))
    return Group(*parts)


def _heading(runbook: Runbook) -> Text:
    commands = sum(1 for _ in runbook.commands())
    text = Text.assemble((one_line(runbook.title) or "(no title)", "bold"), f"  {runbook.source.path}\n")
    text.append(f"{len(runbook.procedures)} procedures, {commands} commands, {len(runbook.targets)} targets", "dim")
    if runbook.repaired:
        text.append("; its encoding was damaged and is shown repaired", "yellow")
    return text


def _procedure(procedure: Procedure) -> RenderableType:
    title = Text.assemble(
        ("\n" + one_line(procedure.title or "(before the first heading)"), "bold"), _line(procedure.source.line)
    )
    if len(procedure.title_path) > 2:
        title.append(f"\n{' › '.join(map(one_line, procedure.title_path[:-1]))}", "dim")
    tree = Tree(title, guide_style="dim")
    for section in procedure.sections:
        _section(section, tree, alone=len(procedure.sections) == 1)
    return tree


def _section(section: Section, tree: Tree, *, alone: bool) -> None:
    """`alone`: nothing else is said of the procedure, and a section without a kind is no news."""
    node = tree
    if not (alone and section.kind is SectionKind.OTHER and not section.title):
        label = Text(section.kind.value, style=f"bold {_KIND[section.kind]}")
        if section.title and section.title.casefold() != section.kind.value:
            label.append(f"  {one_line(section.title)}", "default")
        node = tree.add(label)
    by_hand = "" if section.kind in _TOLD else "by hand: "
    for item in section.items:
        _item(item, node, by_hand)


def _item(item: Step | Branch, tree: Tree, by_hand: str) -> None:
    match item:
        case Step():
            _step(item, tree, by_hand)
        case Branch(items=(Step(actions=(Manual(),)) as only,)) if only.source == item.source:
            _step(only, tree, by_hand)
        case Branch():
            title = item.title[:1].lower() + item.title[1:] if item.kind is BranchKind.CONDITION else item.title
            place = _line(item.source.line)
            node = tree.add(Text.assemble((f"{_BRANCH[item.kind]} ", "italic"), _shortened(title, _TITLE), place))
            lone = item.kind is BranchKind.ALTERNATIVE and len(item.items) == 1
            for inner in item.items:
                if isinstance(inner, Step) and (lone or inner.title == item.title):
                    _actions(inner, node, by_hand)
                else:
                    _item(inner, node, by_hand)


def _step(step: Step, tree: Tree, by_hand: str) -> None:
    number = f"{step.number}. " if step.number else ""
    only = step.actions[0] if len(step.actions) == 1 else None
    if isinstance(only, Manual):
        place = _line(step.source.line)
        tree.add(Text.assemble((by_hand, "italic dim"), number, _shortened(only.text, _COMMAND), place))
    elif only and not number and step.title == one_line(only.text):
        tree.add(_command(only))
    else:
        node = tree.add(Text.assemble(number, _shortened(step.title, _TITLE), _line(step.source.line)))
        _actions(step, node, by_hand)


def _actions(step: Step, tree: Tree, by_hand: str) -> None:
    for action in step.actions:
        match action:
            case Command():
                tree.add(_command(action))
            case Manual():
                text = _shortened(action.text, _COMMAND)
                tree.add(Text.assemble((by_hand, "italic dim"), text, _line(action.source.line)))


def _shortened(text: str, width: int) -> str:
    shown = one_line(text)
    return shown if len(shown) <= width else f"{shown[:width].rstrip()}…"


def _command(command: Command) -> Text:
    shown = _shortened(command.text.replace("\\\n", " "), _COMMAND)
    text = Text.assemble(
        (f"{command.source.line:>5} ", "dim"), (f"{command.language.value:<6} ", "dim"), (shown, "bold")
    )
    if command.placeholders:
        text.highlight_words([placeholder.text for placeholder in command.placeholders], "bold yellow")
    for flag, style in _flags(command):
        text.append(f"  [{flag}]", style)
    if command.context:
        text.append(f"\n             in {one_line(' › '.join(command.context))}", "dim")
    return text


def _flags(command: Command) -> Iterator[tuple[str, str]]:
    if command.destructive:
        yield "destructive", "bold red"
    if command.interactive:
        yield "needs a person", "yellow"
    if command.blocking:
        yield "never ends", "yellow"
    if command.tty:
        yield "asks for a terminal it does not need", "yellow"


def _line(number: int) -> tuple[str, str]:
    return f"  :{number}", "dim"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("line", justify="right", style="dim")
    for column in columns:
        table.add_column(column)
    return table


def _targets(runbook: Runbook) -> Table:
    table = _table("What it promises", "target", "value", "of", "as written")
    for target in runbook.targets:
        table.add_row(
            str(target.source.line),
            _named(target),
            _value(target),
            *map(escape, (one_line(target.subject), one_line(target.text))),
        )
    return table


def _named(target: Target) -> str:
    if target.kind in {TargetKind.RTO, TargetKind.RPO}:
        return target.kind.value.upper()
    quantile = f" p{target.quantile * 100:g}" if target.quantile else ""
    return f"{target.kind.value.replace('_', ' ')}{quantile}"


def _value(target: Target) -> str:
    return show(int(target.value)) if target.unit == "ns" else f"{target.value * 100:.6g} %"


def _alerts(runbook: Runbook) -> Table:
    table = _table("What alerts somebody", "alert", "condition", "for", "severity")
    for alert in runbook.alerts:
        lasting = show(alert.duration) if alert.duration is not None else ""
        table.add_row(
            str(alert.source.line),
            *map(escape, (one_line(alert.name), one_line(alert.expression), lasting, alert.severity)),
        )
    return table


def _responses(runbook: Runbook) -> Table:
    table = _table("How soon people answer", "severity", "within", "as written")
    for answer in runbook.response_times:
        within = show(answer.within) if answer.within is not None else ""
        table.add_row(str(answer.source.line), *map(escape, (one_line(answer.severity), within, one_line(answer.text))))
    return table


def _unclassified(runbook: Runbook) -> Table:
    table = _table("Blocks nothing was made of", "why", "begins")
    for block in runbook.unclassified:
        begins = next((line for line in block.text.splitlines() if line.strip()), "")
        table.add_row(str(block.source.line), escape(block.reason), escape(one_line(begins)[:80]))
    return table


def render_scores(scores: Scores) -> RenderableType:
    """The score of each aspect, then every difference by its line."""
    table = Table(title=escape(scores.path), title_justify="left", box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("aspect", "precision", "recall", "right", "missed", "made up"):
        table.add_column(column, justify="left" if column == "aspect" else "right")
    for one in scores.aspects:
        counts = (str(one.right), str(len(one.missed)), str(len(one.extra)))
        table.add_row(one.aspect, _share(one.precision), _share(one.recall), *counts)
    differences = [line for one in scores.aspects for line in _differences(one)]
    return Group(table, *([Text(), *differences] if differences else []))


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _differences(one: Score) -> Iterator[Text]:
    for what in one.missed:
        yield Text.assemble(("missed   ", "yellow"), (f"{one.aspect}  ", "dim"), what)
    for what in one.extra:
        yield Text.assemble(("made up  ", "red"), (f"{one.aspect}  ", "dim"), what)
