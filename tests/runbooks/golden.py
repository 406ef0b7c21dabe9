"""Every command of the five seeds, and of the hardest runbooks of others, in a form that copies no prose: file, line, language,
where it stands, flags, placeholders, and the command or (of others' files) a digest of it.

`python -m tests.runbooks.golden` writes the files anew; compare each changed line with the runbook before committing it."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from harness import runbooks
from harness.model.runbook import Branch, Command, Runbook, Section, Step
from tests.runbooks.shared import FILES, SEEDS

FOLDER = Path(__file__).parent / "expected"
HARDEST = 10


def listing(book: Runbook, *, digests: bool) -> Iterator[str]:
    """One line for each command, in order."""
    for procedure in book.procedures:
        for section in procedure.sections:
            for item in section.items:
                yield from _item(item, section.kind.value, digests=digests)


def _item(item: Section | Branch | Step, place: str, *, digests: bool) -> Iterator[str]:
    if isinstance(item, Step):
        for command in item.commands():
            yield _line(command, place, digests=digests)
        return
    for inner in item.items:
        yield from _item(inner, f"{place}/{item.kind.value}@{item.source.line}", digests=digests)


def _line(command: Command, place: str, *, digests: bool) -> str:
    flags = "".join(
        letter
        for letter, given in zip(
            "IBTD", (command.interactive, command.blocking, command.tty, command.destructive), strict=True
        )
        if given
    )
    holes = " ".join(hole.text for hole in command.placeholders)
    text = hashlib.sha256(command.text.encode()).hexdigest()[:12] if digests else command.text.replace("\n", "⏎")
    context = f" in {len(command.context)}" if command.context else ""
    span = f"{command.source.line}-{command.source.last}"
    return f"{span} {command.language.value} {place} [{flags}]{context} | {text}" + (
        f" | {holes}" if holes and not digests else ""
    )


def seeds() -> str:
    """The five seeds."""
    parts = []
    for path in sorted(SEEDS.iterdir()):
        parts.append(f"== {path.name[:3]}")
        parts.extend(listing(runbooks.read(path), digests=False))
    return "\n".join(parts) + "\n"


def hardness(path: Path) -> tuple[int, str]:
    """How much there is in a file that is easily taken for something else, by counting."""
    book = runbooks.read(path)
    commands = list(book.commands())
    languages = len({command.language for command in commands})
    odd = sum(1 for one in commands if one.context or one.tty or one.interactive or one.source.last > one.source.line)
    return -(languages * 20 + odd + 3 * len(book.unclassified)), path.name


def hardest() -> str:
    """The ten files of others that hold most of what is hard to read."""
    parts = []
    for path in sorted(FILES.iterdir(), key=hardness)[:HARDEST]:
        parts.append(f"== {hashlib.sha256(path.name.encode()).hexdigest()[:12]}")
        parts.extend(listing(runbooks.read(path), digests=True))
    return "\n".join(parts) + "\n"


def counts() -> str:
    """For each file of others: procedures, commands, targets, blocks nothing was made of."""
    parts = []
    for path in sorted(FILES.iterdir()):
        book = runbooks.read(path)
        name = hashlib.sha256(path.name.encode()).hexdigest()[:12]
        parts.append(
            f"{name} {len(book.procedures)} {sum(1 for _ in book.commands())} {len(book.targets)} {len(book.unclassified)}"
        )
    return "\n".join(parts) + "\n"


FILES_WRITTEN = {"seeds.txt": seeds, "hardest.txt": hardest, "counts.txt": counts}

if __name__ == "__main__":
    for name, make in FILES_WRITTEN.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")
