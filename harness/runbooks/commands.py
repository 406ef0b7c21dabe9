"""Makes one `Command` from a text that is known to be one: language, placeholders, flags, invocations. Decides nothing else."""

from dataclasses import dataclass, replace
from functools import lru_cache

from harness.model.runbook import Command, Language
from harness.model.source import Source
from harness.runbooks import destruction, flags, invocations, placeholders, shell


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a command stands: the sessions open around it, its directory, and the variables the document sets."""

    context: tuple[str, ...] = ()
    where: str = "operator"
    directory: str = ""
    settled: frozenset[str] = frozenset()


def make(text: str, language: Language, source: Source, setting: Setting) -> Command:
    """The command `text` in `language`, with all that can be said of it."""
    found = placeholders.find(text, language, source, setting.settled)
    if language is not Language.BASH:
        ruined = destruction.destructive(text, language, (), None, setting.context)
        return Command(language, text, source, placeholders=found, destructive=ruined, context=setting.context)
    known = _anatomy(text, setting.context)
    return replace(
        known,
        source=source,
        placeholders=found,
        invocations=tuple(replace(call, where=setting.where) for call in known.invocations)
        if setting.where != "operator"
        else known.invocations,
        context=setting.context,
        directory=setting.directory,
    )


@lru_cache(maxsize=2048)
def _anatomy(text: str, context: tuple[str, ...]) -> Command:
    """What a shell command does, wherever it stands: runbooks say the same things often."""
    reading = shell.read(text)
    calls = invocations.read(reading)
    person = flags.interactive(text, calls, reading)
    return Command(
        Language.BASH,
        text,
        Source("", 0),
        invocations=calls,
        interactive=person,
        blocking=flags.blocking(calls, reading, text),
        tty=flags.tty(calls, needs_person=person),
        destructive=destruction.destructive(text, Language.BASH, calls, reading, context),
        sets=reading.sets,
    )
