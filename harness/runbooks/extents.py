"""Where a statement ends that begins on a given line: SQL, PromQL, Python and languages with blocks. The shell's are shell's."""

import ast
import re
from collections.abc import Sequence

from harness.runbooks import language, sql

COMMENT = re.compile(r"^\s*#(?!!)\s?(.*)$")
"""A comment as shells and most languages write it."""

SQL_COMMENT = re.compile(r"^\s*--(?:\s+(.*))?$")
"""A comment as SQL writes it."""

_JOINS = re.compile(r"^(?:[-+*/%^=<>!)]|and\b|or\b|unless\b|by\b|without\b|on\b|ignoring\b)")
_OPEN = re.compile(r"(?:[-+*/%^=<>(,]|\b(?:and|or|unless|by|without|on|ignoring))\s*$")


def sql_end(lines: Sequence[str], index: int, *, own: bool) -> int:
    """The index after the statement. `own`: the block is SQL's, so an empty line may stand inside a statement."""
    if lines[index].strip().startswith("\\"):
        return index + 1
    end = index
    while end < len(lines) and end < index + 400:
        line = lines[end]
        if end > index and _interrupts(lines, end, own=own):
            return end
        end += 1
        if re.search(r";|\\[Gg]", line) and sql.ends("\n".join(lines[index:end])):
            return end
    return end


def _interrupts(lines: Sequence[str], at: int, *, own: bool) -> bool:
    line = lines[at]
    if not line.strip():
        return not own or _begins_sql(lines, at)
    return not own and (COMMENT.match(line) is not None or language.is_command(line))


def _begins_sql(lines: Sequence[str], index: int) -> bool:
    """Whether the next line that is neither empty nor a comment begins a statement."""
    for line in lines[index : index + 20]:
        if line.strip() and not SQL_COMMENT.match(line) and not COMMENT.match(line):
            return language.is_sql(line) or line.strip().startswith("\\")
    return True


def promql_end(lines: Sequence[str], index: int) -> int:
    """The index after the expression: while it is open, by brackets or by an operator at a line's end."""
    text = ""
    for end in range(index, min(len(lines), index + 40)):
        line = re.sub(r"\s+#.*$", "", lines[end])
        if end > index and not line.strip():
            break
        text = f"{text}\n{line}"
        following = lines[end + 1].strip() if end + 1 < len(lines) else ""
        closed = text.count("(") <= text.count(")") and not _OPEN.search(line) and not _JOINS.match(following)
        if closed:
            return end + 1 if language.parses_as_promql(text) else index + 1
    return index + 1


def python_end(lines: Sequence[str], index: int) -> int:
    """A statement and its indented body, an open bracket included."""
    end = index + 1
    while end < len(lines) and end < index + 300:
        line = lines[end]
        inside = line.startswith((" ", "\t", ")", "]", "}")) or re.match(r"^(?:else|elif|except|finally)\b", line)
        ahead = not line.strip() and any(lines[end + 1 : end + 2]) and lines[end + 1].startswith((" ", "\t"))
        if inside or ahead or (not _parses("\n".join(lines[index:end])) and _parses("\n".join(lines[index : end + 1]))):
            end += 1
        else:
            break
    return end


def indented_end(lines: Sequence[str], index: int) -> int:
    """A statement of a language with blocks: what is indented below it, and the word or bracket that closes it."""
    end = index + 1
    while end < len(lines) and end < index + 300:
        line = lines[end]
        ahead = next((one for one in lines[end : end + 3] if one.strip()), "")
        closing = re.match(r"^(?:end\b|else\b|elsif\b|rescue\b|ensure\b|when\b|[)}\]]|\.\w)", ahead)
        if not (ahead.startswith((" ", "\t")) or closing) or (not line.strip() and not ahead):
            break
        end += 1
    return end


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
