"""The entries of a code block to steps: comment groups, numbered comments, conditions and alternatives."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from harness.model.runbook import Action, Branch, BranchKind, Command, Language, Manual, Step
from harness.model.source import Source
from harness.runbooks import kinds
from harness.runbooks.fences import Blank, Comment, Entry, Output

Found = Step | Branch


@dataclass(frozen=True, slots=True)
class _Group:
    """The comments and commands between two gaps."""

    comments: tuple[Comment, ...]
    commands: tuple[Command, ...]

    @property
    def heading(self) -> str:
        return self.comments[0].text if self.comments else ""


def of_block(entries: Iterable[Entry], title: str, path: str) -> tuple[Found, ...]:
    """The steps of one block; `title` names what carries no comment of its own."""
    groups = tuple(_groups(entries))
    if not any(group.commands for group in groups) and not any(group.comments for group in groups):
        return ()
    items: list[Found] = []
    index = 0
    while index < len(groups):
        ways = _ways(groups, index)
        if len(ways) > 1:
            items.append(_alternatives(ways, title, path))
            index += len(ways)
            continue
        items.extend(_steps(groups[index], title, path))
        index += 1
    return tuple(items)


def _groups(entries: Iterable[Entry]) -> Iterator[_Group]:
    comments: list[Comment] = []
    commands: list[Command] = []
    for entry in entries:
        match entry:
            case Comment():
                if commands and not (kinds.expectation(entry.text) or not entry.text):
                    yield _Group(tuple(comments), tuple(commands))
                    comments, commands = [], []
                if not commands and entry.text:
                    comments.append(entry)
            case Command():
                commands.append(entry)
            case Blank():
                if commands and commands[-1].language is Language.PYTHON:
                    continue
                if comments or commands:
                    yield _Group(tuple(comments), tuple(commands))
                comments, commands = [], []
            case Output():
                continue
    if comments or commands:
        yield _Group(tuple(comments), tuple(commands))


def _ways(groups: Sequence[_Group], index: int) -> Sequence[_Group]:
    """The groups from `index` on that are ways to do the same."""
    end = index + 1
    first = groups[index]
    if kinds.platform(kinds.numbered(first.heading)[1]) or kinds.option(first.heading):
        same = kinds.option if kinds.option(first.heading) else (lambda text: kinds.platform(kinds.numbered(text)[1]))
        while (
            end < len(groups)
            and groups[end].comments
            and (same(groups[end].heading) or kinds.alternative(groups[end].heading))
        ):
            end += 1
    else:
        while (
            end < len(groups)
            and groups[end].comments
            and kinds.alternative(groups[end].heading)
            and groups[end].commands
        ):
            end += 1
    ways = groups[index:end]
    return ways if all(group.commands for group in ways) else ways[:1]


def _alternatives(ways: Sequence[_Group], title: str, path: str) -> Branch:
    branches = tuple(_way(group, title, path) for group in ways)
    source = Source(path, branches[0].source.line, branches[-1].source.last)
    heading = kinds.numbered(ways[0].heading)[1] or title
    if kinds.platform(heading) or kinds.option(heading):
        heading = title
    return Branch(heading, BranchKind.LABEL, branches, source)


def _way(group: _Group, title: str, path: str) -> Branch:
    items = tuple(_plain_steps(group, title, path))
    name = group.heading or title
    if name.strip(" :.").lower() in {"or", "alternatively"}:
        name = f"or {group.commands[0].text.split()[0]}"
    return Branch(name, BranchKind.ALTERNATIVE, items, Source(path, items[0].source.line, items[-1].source.last))


def _steps(group: _Group, title: str, path: str) -> Iterator[Found]:
    for step in _plain_steps(group, title, path):
        if (kinds.condition(step.title) and step.source.line == (group.comments[0].line if group.comments else 0)) or (
            step.number and kinds.condition(step.title)
        ):
            yield Branch(step.title, BranchKind.CONDITION, (step,), step.source)
        else:
            yield step


def _plain_steps(group: _Group, title: str, path: str) -> Iterator[Step]:
    """Each numbered comment is a step; of the rest, the first names the step and those that tell to do something are manual."""
    parts: list[list[Comment]] = []
    for comment in group.comments:
        if not parts or kinds.numbered(comment.text)[0]:
            parts.append([])
        parts[-1].append(comment)
    for part in parts[:-1] or ():
        yield _manual(part, path)
    if group.commands:
        yield _commanded(parts[-1] if parts else [], group.commands, title, path)
    elif parts:
        yield _manual(parts[-1], path)


def _manual(comments: Sequence[Comment], path: str) -> Step:
    number, title = kinds.numbered(comments[0].text)
    source = Source(path, comments[0].line, comments[-1].line)
    text = "\n".join([title, *(comment.text for comment in comments[1:])])
    return Step(title, (Manual(text, source),), source, number)


def _commanded(comments: Sequence[Comment], commands: Sequence[Command], title: str, path: str) -> Step:
    number, name = kinds.numbered(comments[0].text) if comments else ("", title)
    notes: list[Action] = [
        Manual(comment.text, Source(path, comment.line, comment.line))
        for comment in comments[1:]
        if kinds.imperative(comment.text) and not kinds.expectation(comment.text)
    ]
    first = comments[0].line if comments else commands[0].source.line
    source = Source(path, first, commands[-1].source.last)
    return Step(name, (*notes, *commands), source, number)


def retitled(step: Step, title: str) -> Step:
    """The same step under another title."""
    return replace(step, title=title)
