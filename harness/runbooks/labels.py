"""Titles, labels and first sentences: the words by which the parts of a text are called. No meaning is given to them here."""

import re
from collections.abc import Sequence
from dataclasses import replace

from harness.runbooks import kinds
from harness.runbooks.blocks import Heading, Inline, Piece


def title(heading: Heading) -> str:
    """A heading's words, without marks that some close it with."""
    return clean(heading.inline.text).strip("# ").rstrip(":")


def clean(text: str) -> str:
    """The text on one line."""
    return re.sub(r"\s+", " ", text).strip()


def sentence(text: str) -> str:
    """The first sentence, or what stands before the first colon: what a step is called."""
    plain = clean(text)
    return re.split(r"(?<=[.!?])\s|(?<=:)\s*$|:\s(?=\S)", plain, maxsplit=1)[0][:160].rstrip(":. ")


def last_sentence(text: str) -> str:
    """The last sentence: what leads in the block that follows."""
    return re.split(r"(?<=[.!?])\s+", text)[-1][:160]


def present(content: Inline) -> bool:
    """Whether any line of a paragraph opens with a label."""
    return any(split(line)[0] for line in content.lines())


def split(line: Inline) -> tuple[str, Inline]:
    """The bold label a line opens with (`**X**:`, `**X:**`, bold alone), or a section's plain name and a colon; and the rest."""
    pieces = [piece for piece in line.pieces if piece.kind != "html"]
    while pieces and not pieces[0].text.strip():
        pieces = pieces[1:]
    count = 0
    while count < len(pieces) and pieces[count].kind == "strong":
        count += 1
    bold = "".join(piece.text for piece in pieces[:count]).strip()
    after = pieces[count:]
    tail = "".join(piece.text for piece in after)
    if not count:
        plain = re.match(r"^([A-Z][\w -]{2,30}):\s*$", clean(line.text))
        if plain and kinds.exact_section(plain.group(1)):
            return plain.group(1), Inline((), line.line, line.line)
        return "", line
    parenthesis = re.match(r"^\s*(\([^)]*\))\s*(?=:)", tail)
    if parenthesis:
        bold, tail = f"{bold} {parenthesis.group(1)}", tail[parenthesis.end() :]
        after = _without(after, parenthesis.end())
    if bold.endswith(":") or tail.lstrip().startswith(":") or not tail.strip():
        cut = len(tail) - len(tail.lstrip().removeprefix(":").lstrip()) if tail.strip() else 0
        return bold.rstrip(":").strip(), Inline(tuple(_without(after, cut)), line.line, line.end)
    return "", line


def _without(pieces: Sequence[Piece], count: int) -> list[Piece]:
    """The pieces without their first `count` characters."""
    left = list(pieces)
    while left and count >= len(left[0].text):
        count -= len(left[0].text)
        left = left[1:]
    if left and count:
        left[0] = replace(left[0], text=left[0].text[count:])
    return left
