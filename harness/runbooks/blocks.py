"""What a document is made of, as values: headings, paragraphs, lists, code, tables, each with its line. Parses nothing."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of inline text. `kind` is text, code, strong or link; `line` is the file's."""

    kind: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Inline:
    """The inline content of one block."""

    pieces: tuple[Piece, ...]
    line: int
    end: int

    @property
    def text(self) -> str:
        """As plain text, code spans without their marks; line ends kept."""
        return "".join(piece.text for piece in self.pieces)

    def lines(self) -> Iterator["Inline"]:
        """One value per source line."""
        for line, pieces in itertools.groupby(self.pieces, key=lambda piece: piece.line):
            yield Inline(tuple(piece for piece in pieces if piece.text != "\n"), line, line)


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of level 1 to 6."""

    level: int
    inline: Inline
    line: int


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph."""

    inline: Inline
    line: int
    end: int


@dataclass(frozen=True, slots=True)
class Code:
    """A fenced or indented block; `line` is that of its first line of content, `end` that of its last."""

    info: str
    lines: tuple[str, ...]
    line: int
    end: int
    fenced: bool


@dataclass(frozen=True, slots=True)
class Item:
    """A list item; `number` is as written for ordered lists, else empty."""

    number: str
    blocks: "tuple[Block, ...]"
    line: int
    end: int


@dataclass(frozen=True, slots=True)
class Listing:
    """A list, ordered or not."""

    items: tuple[Item, ...]
    line: int
    end: int


@dataclass(frozen=True, slots=True)
class Row:
    """A table's row."""

    cells: tuple[Inline, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Table:
    """A pipe table."""

    header: Row
    rows: tuple[Row, ...]
    line: int
    end: int


@dataclass(frozen=True, slots=True)
class Rule:
    """A thematic break."""

    line: int


Block = Heading | Paragraph | Code | Listing | Table | Rule
