"""Shell text to statements, invocations and variables, by tree-sitter-bash. Knows nothing of Markdown or of drills."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

_BASH = Language(tree_sitter_bash.language())
ANGLE = re.compile(
    r"(?<![<\\])<(?![\s<=>(&/!-])(?:[^\W\d]|\d+[A-Za-z_ -])[^<>\n;|&$\"`]{0,120}(?<![\s-])>"
    r"|<[A-Za-z][\w -]*(?:\|[\w -]+)+>"
)
"""A placeholder in angle brackets."""

_CHOICE = re.compile(r"(?<=\s)\[[A-Za-z][\w-]*(?:\|[A-Za-z][\w-]*)+\](?=\s|$)")

_HEREDOC = re.compile(r"(?<!<)<<-?\s*\\?['\"]?([A-Za-z_]\w*)['\"]?")
_HYPHENATED = re.compile(r"\$\{[a-z]\w*(?:-[a-z]\w*)+\}")
"""A name with hyphens, as people write them: to the shell a name and its default, which nobody writes like this."""

_CLOSER = re.compile(r"['\"`)}]|\b(?:done|fi|esac)\b")
_WINDOW = 300
_LOOK = 10
"""What looking at one line for an end costs, in bytes parsed."""


@dataclass(frozen=True, slots=True)
class Words:
    """One simple command: its words as written and unquoted, and how it is connected.

    `piped` is its place in a pipeline (0 first or alone), `fed` whether its input is redirected or piped in.
    """

    argv: tuple[str, ...]
    raw: tuple[str, ...]
    piped: int = 0
    fed: bool = False
    truncates: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What a statement says: simple commands, variables it sets and uses, and whether the grammar accepts it."""

    commands: tuple[Words, ...]
    sets: tuple[str, ...]
    uses: tuple[str, ...]
    valid: bool
    endless: bool = False


def mask(text: str) -> str:
    """To a shell `<placeholder>` redirects and `[this|that]` pipes: the same text, as long in bytes, with plain words."""
    for pattern in (ANGLE, _CHOICE):
        text = pattern.sub(lambda found: "P" * len(found.group().encode()), text)
    return text


@lru_cache(maxsize=4096)
def read(text: str) -> Reading:
    """Read one statement (or any shell text)."""
    source = text.encode()
    root = _parser().parse(mask(text).encode()).root_node
    commands: list[Words] = []
    sets: dict[str, None] = {}
    uses: dict[str, None] = {}
    endless = False
    for node in _walk(root):
        match node.type:
            case "command" | "declaration_command" | "unset_command" | "test_command":
                commands.append(_words(node, source))
            case "variable_assignment" | "for_statement":
                name = node.child_by_field_name("name") or node.child_by_field_name("variable")
                if name is not None:
                    sets[_text(name, source)] = None
            case "simple_expansion" | "expansion":
                _use(node, source, uses)
            case "while_statement":
                condition = node.child_by_field_name("condition")
                endless = endless or (
                    condition is not None and _text(condition, source).strip(" ;") in {"true", ":", "[ 1 ]", "1"}
                )
            case _:
                continue
    for words in commands:
        if words.argv and words.argv[0] in {"read", "getopts", "mapfile"}:
            sets.update(dict.fromkeys(word for word in words.argv[1:] if re.fullmatch(r"[A-Za-z_]\w*", word)))
    return Reading(tuple(commands), tuple(sets), tuple(uses), not root.has_error, endless)


class Allowance:
    """How many bytes may still be parsed in search of statements' ends: what keeps a hostile text linear."""

    def __init__(self, size: int) -> None:
        self.left = 4 * size + 200_000

    def spend(self, size: int) -> bool:
        """Whether `size` bytes more may be parsed."""
        self.left -= size
        return self.left >= 0


def complete(lines: Sequence[str], start: int, allowance: Allowance) -> int:
    """The index after the last line of the statement that begins at `start`: continuations, quotes, loops, heredocs."""
    end = start + 1
    while end < len(lines) and _dangling(lines[end - 1]):
        end += 1
    first = end
    end = _after_heredocs(lines, start, end, allowance)
    if _whole(lines[start:end], allowance):
        return end
    for index in range(end, min(len(lines), start + _WINDOW)):
        if not allowance.spend(_LOOK):
            break
        if _CLOSER.search(lines[index]) and not _dangling(lines[index]):
            end = _after_heredocs(lines, start, index + 1, allowance)
            if _whole(lines[start:end], allowance):
                return end
    return first


def _whole(lines: Sequence[str], allowance: Allowance) -> bool:
    text = "\n".join(lines)
    return allowance.spend(len(text)) and read(text).valid


def _after_heredocs(lines: Sequence[str], start: int, end: int, allowance: Allowance) -> int:
    marks = [found.group(1) for line in lines[start:end] for found in _HEREDOC.finditer(line)]
    for mark in marks:
        if allowance.left < 0:
            return end
        last = min(len(lines), start + 5 * _WINDOW)
        found = next((index for index in range(end, last) if lines[index].strip() == mark), None)
        allowance.spend(_LOOK * ((last if found is None else found) - end))
        if found is None:
            return end
        end = found + 1
    return end


def _dangling(line: str) -> bool:
    return line.rstrip().endswith(("\\", "|", "&&"))


@lru_cache(maxsize=1)
def _parser() -> Parser:
    return Parser(_BASH)


def _walk(root: Node) -> Iterator[Node]:
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(node.children))


def _text(node: Node, source: bytes) -> str:
    return source[node.start_byte : node.end_byte].decode("utf-8", "replace")


def _words(node: Node, source: bytes) -> Words:
    nodes = [
        child
        for child in node.named_children
        if child.type not in {"variable_assignment", "file_redirect", "herestring_redirect", "comment"}
    ]
    if node.type in {"declaration_command", "unset_command"}:
        raw = tuple(_text(node, source).split())
    else:
        raw = tuple(_text(child, source) for child in nodes)
    place, fed, truncates = _connection(node, source)
    return Words(tuple(map(unquote, raw)), raw, place, fed, truncates)


def _connection(node: Node, source: bytes) -> tuple[int, bool, bool]:
    fed = truncates = False
    place = 0
    current = node
    while (parent := current.parent) is not None and parent.type in {
        "redirected_statement",
        "pipeline",
        "list",
        "negated_command",
    }:
        if parent.type == "redirected_statement":
            kinds = [
                _text(child, source).lstrip("0123456789")[:2]
                for child in parent.children
                if child.type.endswith("_redirect")
            ]
            fed = fed or any(kind.startswith("<") for kind in kinds)
            truncates = truncates or any(kind.startswith(">") and kind not in {">>", ">&"} for kind in kinds)
        if parent.type == "pipeline":
            siblings = list(parent.named_children)
            place = next((index for index, sibling in enumerate(siblings) if sibling == current), 0)
            fed = fed or place > 0
        current = parent
    return place, fed, truncates


def _use(node: Node, source: bytes, uses: dict[str, None]) -> None:
    text = _text(node, source)
    name = next((child for child in node.named_children if child.type == "variable_name"), None)
    if name is None:
        return
    simple = text in {f"${_text(name, source)}", f"${{{_text(name, source)}}}"} or _HYPHENATED.fullmatch(text)
    # `${X:-default}` and `${X:=default}` supply the value themselves.
    if simple or not re.match(r"\$\{\w+:?[-=+]", text):
        uses[text if simple else f"${{{_text(name, source)}}}"] = None


def unquote(word: str) -> str:
    """A word without its outer quotes, where they are simple."""
    if len(word) >= 2 and word[0] == word[-1] and word[0] in "'\"":
        return word[1:-1]
    if word.startswith("$'") and word.endswith("'"):
        return word[2:-1]
    found = re.fullmatch(r"""(--?[\w.-]+=)(['"])(.*)\2""", word, re.DOTALL)
    return found.group(1) + found.group(3) if found else word
