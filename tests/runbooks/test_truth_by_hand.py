"""The five seeds against what a person found in them before the reader was asked."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from harness import runbooks
from harness.model.runbook import Command
from tests.runbooks.shared import SEEDS, needs_shared

TABLE = Path(__file__).parent / "truth_by_hand" / "seeds.tsv"
FLAGS = (("I", "interactive"), ("B", "blocking"), ("T", "tty"), ("D", "destructive"))

DISPUTED = {
    # A restore from a dump was held to add, the reader holds it to overwrite.
    ("000", 226, "flags"),
    ("004", 197, "flags"),
    # psql's backslash commands were held to be no SQL; they are typed where SQL is.
    *(("002", line, "language") for line in (848, 851, 854, 860)),
}
"""Where neither is plainly right: file, line, what differs."""


class Told(msgspec.Struct, frozen=True):
    """One line of the table."""

    file: str
    line: int
    language: str
    flags: str
    begins: str


def told() -> Iterator[Told]:
    for row in TABLE.read_text(encoding="utf-8").splitlines()[1:]:
        file, line, language, _, flags, begins = row.split("\t")
        yield Told(file, int(line), language, flags, begins)


def flags(command: Command) -> str:
    return "".join(letter for letter, name in FLAGS if getattr(command, name))


@needs_shared
def test_every_command_of_the_seeds_is_found_as_it_was_by_hand_and_no_other() -> None:
    found = {path.name[:3]: list(runbooks.read(path).commands()) for path in sorted(SEEDS.iterdir())}
    lines = Counter((file, one.source.line) for file, commands in found.items() for one in commands)
    assert lines == Counter((one.file, one.line) for one in told())
    differences = set()
    for one in told():
        begins = " ".join(one.begins.partition("  #")[0].rstrip("\\ ").split())
        same = [
            command
            for command in found[one.file]
            if command.source.line == one.line and " ".join(command.text.split()).startswith(begins)
        ]
        assert len(same) == 1, one
        if same[0].language.value != one.language:
            differences.add((one.file, one.line, "language"))
        if flags(same[0]) != one.flags:
            differences.add((one.file, one.line, "flags"))
    assert differences == DISPUTED
