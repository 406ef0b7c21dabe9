"""Short forms of a reading, to compare with literals."""

from harness import runbooks
from harness.model.runbook import Branch, Command, Manual, Runbook, Section, Step


def read(text: str) -> Runbook:
    """The runbook `text`."""
    return runbooks.parse(text, "book.md")


def commands(text: str) -> list[tuple[int, str, str]]:
    """Line, language and text of every command."""
    return [(one.source.line, one.language.value, one.text) for one in read(text).commands()]


def fence(info: str, *lines: str) -> list[tuple[int, str, str]]:
    """The commands of one fence; its first line is 1."""
    body = "\n".join(["# title", "", f"```{info}", *lines, "```"])
    return [(line - 3, language, text) for line, language, text in commands(body)]


def command(text: str, info: str = "bash") -> Command:
    """The only command of a fence."""
    (one,) = read(f"# title\n\n```{info}\n{text}\n```\n").commands()
    return one


def shape(item: Section | Branch | Step) -> object:
    """Sections and branches as (kind, title, …), steps as title: [what they do]."""
    match item:
        case Step():
            return {
                item.title: [
                    action.text if isinstance(action, Command) else f"by hand: {action.text}" for action in item.actions
                ]
            }
        case Branch() | Section():
            return (item.kind.value, item.title, *map(shape, item.items))


def manual(text: str) -> list[str]:
    """Every manual instruction."""
    steps = (step for procedure in read(text).procedures for step in procedure.steps())
    return [action.text for step in steps for action in step.actions if isinstance(action, Manual)]
