"""Markdown to blocks with their lines. The only importer of markdown-it-py; knows nothing of procedures."""

import itertools
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore, text_join
from markdown_it.rules_core import inline as parse_inline
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode

from harness.runbooks import dialects
from harness.runbooks.blocks import Block, Code, Heading, Inline, Item, Listing, Paragraph, Piece, Row, Rule, Table

_HEADING_IN_FENCE = re.compile(r"^#{2,6}[ \t]+\S")
_FENCE = re.compile(r"^\s{0,3}(?:`{3,}[^`]*|~{3,}.*)$")
_OPENER = re.compile(r"^(?:`{3,}|~{3,})\s*[A-Za-z{][^`]*$")
_SPLITS = 20


def blocks(lines: Sequence[str]) -> tuple[Block, ...]:
    """The blocks of a document, quotations opened, at the lines of the file (first line 1)."""
    plain = dialects.plain(lines)
    cuts = [0, *dialects.label_cuts(plain), len(plain)]
    return tuple(block for start, end in itertools.pairwise(cuts) for block in _read(plain[start:end], start))


def _read(lines: Sequence[str], offset: int) -> Iterator[Block]:
    """The blocks of `lines`, of which the first is the file's line `offset` + 1."""
    known: dict[str, Any] = {}
    state = StateCore("", _parser(), known, _tokens(lines, known, _SPLITS))
    parse_inline(state)
    text_join(state)
    yield from _blocks(SyntaxTreeNode(state.tokens).children, offset)


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    """Inline content is left for last: where fences are mended, part of a document is parsed again."""
    parser = MarkdownIt("commonmark", {"maxNesting": 60}).enable(["table", "strikethrough"])
    return parser.disable(["inline", "text_join"])


def _tokens(lines: Sequence[str], known: dict[str, Any], splits: int) -> list[Token]:
    """Block tokens. A fence that was not closed swallows what follows: it ends before the next heading of level 2 or
    deeper instead, and what it had swallowed is read by itself. `known` gathers the definitions of links."""
    tokens = []
    for token in _parser().parse("\n".join(lines), known):
        cut = _unclosed(token, lines) if splits else None
        if cut is None or token.map is None:
            tokens.append(token)
            continue
        start, end = token.map
        content = "".join(f"{line}\n" for line in token.content.split("\n")[: cut - start - 2])
        tokens.append(token.copy(content=content, map=[start, cut - 1]))
        swallowed = _tokens(lines[cut:end], known, splits - 1)
        tokens.extend(one.copy(map=[at + cut for at in one.map]) if one.map else one for one in swallowed)
    return tokens


def _unclosed(token: Token, lines: Sequence[str]) -> int | None:
    """The index of the heading before which a fence ends that was not closed; None for every other token.

    A fence is taken to be one if it runs to the end of the text, or if another is opened inside it below a heading.
    """
    if token.type != "fence" or token.level or not token.map:
        return None
    start, end = token.map
    inside = range(start + 1, end)
    heading = next((at for at in inside if _HEADING_IN_FENCE.match(lines[at]) and not lines[at - 1].strip()), None)
    if heading is None:
        return None
    closed = end > start + 1 and lines[end - 1].strip().startswith(token.markup)
    opened = any(_OPENER.match(line) for line in lines[heading:end])
    return heading if opened or (end >= len(lines) and not closed) else None


def _blocks(nodes: Sequence[SyntaxTreeNode], offset: int) -> Iterator[Block]:
    for node in nodes:
        start, end = node.map or (0, 0)
        line, last = start + 1 + offset, max(start + 1, end) + offset
        match node.type:
            case "heading":
                yield Heading(int(node.tag[1:]), _inline(node, line, last), line)
            case "paragraph":
                yield Paragraph(_inline(node, line, last), line, last)
            case "fence":
                content = tuple(node.content.split("\n")[:-1])
                first = min(line + 1, last)
                yield Code(node.info.strip(), content, first, min(line + max(len(content), 1), last), fenced=True)
            case "code_block":
                content = tuple(node.content.rstrip("\n").split("\n"))
                if any(_FENCE.match(one) for one in content):
                    # A fence indented too far is code to the parser, a fence to its writer.
                    yield from _read(content, line - 1)
                else:
                    yield Code("", content, line, line + len(content) - 1, fenced=False)
            case "bullet_list" | "ordered_list":
                yield Listing(tuple(_items(node, offset)), line, last)
            case "table":
                yield from _table(node, offset)
            case "hr":
                yield Rule(line)
            case "html_block":
                yield from _preformatted(node.content, line)
            case "blockquote":
                yield from _blocks(node.children, offset)
            case _:
                continue


def _items(node: SyntaxTreeNode, offset: int) -> Iterator[Item]:
    ordered = node.type == "ordered_list"
    for item in node.children:
        start, end = item.map or (0, 1)
        number = item.info if ordered else ""
        yield Item(number, tuple(_blocks(item.children, offset)), start + 1 + offset, end + offset)


def _table(node: SyntaxTreeNode, offset: int) -> Iterator[Table]:
    rows = []
    for row in (row for part in node.children for row in part.children):
        line = (row.map or (0, 0))[0] + 1 + offset
        rows.append(Row(tuple(_inline(cell, line, line) for cell in row.children), line))
    if rows:
        yield Table(rows[0], tuple(rows[1:]), rows[0].line, rows[-1].line)


def _preformatted(html: str, line: int) -> Iterator[Code]:
    """`<pre>` blocks are code blocks in other words."""
    found = re.match(
        r"\s*<pre[^>]*>(?:\s*<code[^>]*>)?(.*?)(?:</code>\s*)?(?:</pre>|\Z)", html, re.DOTALL | re.IGNORECASE
    )
    if found and found.group(1).strip():
        first = line + html.count("\n", 0, found.start(1))
        content = tuple(found.group(1).rstrip("\n").split("\n"))
        yield Code("", content, first, first + len(content) - 1, fenced=True)


def _inline(node: SyntaxTreeNode, line: int, end: int) -> Inline:
    if not node.children:
        return Inline((), line, end)
    token = node.children[0]
    pieces = tuple(
        _pieces(token.children[0].children if token.children and token.type != "inline" else token.children, "text")
    )
    return Inline(_placed(pieces, token.content, line), line, end)


def _pieces(nodes: Sequence[SyntaxTreeNode], kind: str) -> Iterator[Piece]:
    """Pieces, their `line` not yet known; a code span's marks are kept in front of its text until it is placed."""
    for node in nodes:
        match node.type:
            case "text" | "text_special":
                yield Piece(kind, node.content, 0)
            case "softbreak" | "hardbreak":
                yield Piece("text", "\n", 0)
            case "code_inline":
                yield Piece("link code" if kind == "link" else "code", f"{node.markup}\0{node.content}", 0)
            case "strong":
                yield from _pieces(node.children, "link" if kind == "link" else "strong")
            case "link" | "image":
                yield from _pieces(node.children, "link")
            case "html_inline":
                yield Piece("html", node.content, 0)
            case _:
                yield from _pieces(node.children, kind)


def _placed(pieces: Sequence[Piece], raw: str, line: int) -> tuple[Piece, ...]:
    """The same pieces with their lines: a code span may hold line ends that the parser turned to spaces."""
    if "\n" not in raw:
        return tuple(
            Piece(piece.kind, piece.text.rsplit("\0", 1)[-1].strip() if "\0" in piece.text else piece.text, line)
            for piece in pieces
        )
    placed: list[Piece] = []
    at = 0
    for piece in pieces:
        if "\0" not in piece.text:
            placed.append(Piece(piece.kind, piece.text, line))
            if piece.text == "\n":
                line += 1
                at = raw.find("\n", at) + 1
            continue
        marks, content = piece.text.split("\0", 1)
        pattern = (
            re.escape(marks)
            + r"\s*"
            + r"\s".join(map(re.escape, re.split(r"\s", content.strip())))
            + r"\s*"
            + re.escape(marks)
        )
        found = re.compile(pattern).search(raw, at)
        placed.append(Piece(piece.kind, content.strip(), line))
        if found:
            line += raw.count("\n", found.start(), found.end())
            at = found.end()
    # Where a span runs over a line end, the piece before it stands on the first of its lines.
    return tuple(placed)
