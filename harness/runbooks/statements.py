"""Blocks flattened to statements: a text with its line and what it stands under. What targets and alerts are read from."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.runbooks.blocks import Block, Code, Heading, Inline, Item, Listing, Paragraph, Piece, Rule, Table


@dataclass(frozen=True, slots=True)
class Statement:
    """One line of prose (a heading, an item's or a paragraph's line) with the titles it stands under, innermost last.

    `label` is the bold label in force; `pieces` are those of the line, `rest` is the text of the lines that continue it.
    """

    pieces: tuple[Piece, ...]
    line: int
    under: tuple[str, ...]
    label: str
    rest: str = ""

    @property
    def text(self) -> str:
        """The line as plain text."""
        return "".join(piece.text for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Tabled:
    """A table with the titles it stands under."""

    table: Table
    under: tuple[str, ...]
    label: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """A code block with the titles it stands under."""

    code: Code
    under: tuple[str, ...]


Said = Statement | Tabled | Drawn


def flatten(blocks: Sequence[Block]) -> Iterator[Said]:
    """Everything a document says, in order."""
    headings: list[Heading] = []
    label = ""
    for block in blocks:
        if isinstance(block, Heading):
            headings = [*(one for one in headings if one.level < block.level), block]
            label = ""
        under = tuple(_plain(one.inline) for one in headings)
        for said in _said(block, under, label):
            if isinstance(said, Statement):
                label = bold(said.pieces) or label
            yield said


def _said(block: Block, under: tuple[str, ...], label: str) -> Iterator[Said]:
    match block:
        case Heading():
            yield Statement(block.inline.pieces, block.line, under, "")
        case Paragraph():
            yield from _lines(block.inline, under, label)
        case Listing():
            for item in block.items:
                yield from _item(item, under, label)
        case Table():
            yield Tabled(block, under, label)
        case Code():
            yield Drawn(block, under)
        case Rule():
            return


def _item(item: Item, under: tuple[str, ...], label: str) -> Iterator[Said]:
    own = label
    for block in item.blocks:
        for said in _said(block, under, own):
            if isinstance(said, Statement):
                own = bold(said.pieces) or own
            yield said


def _lines(inline: Inline, under: tuple[str, ...], label: str) -> Iterator[Statement]:
    lines = list(inline.lines())
    for index, line in enumerate(lines):
        label = bold(line.pieces) or label
        rest = " ".join(one.text for one in lines[index + 1 : index + 6] if not bold(one.pieces))
        yield Statement(line.pieces, line.line, under, label, rest)


def bold(pieces: Sequence[Piece]) -> str:
    """The bold text a line opens with, its colon removed."""
    text = ""
    for piece in pieces:
        if piece.kind != "strong" and (piece.text.strip() or text):
            break
        text += piece.text
    return text.strip().rstrip(":").strip()


def _plain(inline: Inline) -> str:
    return re.sub(r"\s+", " ", inline.text).strip()
