"""SQL text to statements with their lines and their effects, by sqlglot's tokenizer (PostgreSQL). Executes nothing."""

import re
from collections.abc import Iterator
from functools import lru_cache

from sqlglot.dialects import Postgres
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from harness.runbooks import programs

_KILLERS = re.compile(
    r"pg_(?:terminate|cancel)_backend|pg_drop_replication_slot|pg_replication_origin_drop|pg_promote|lo_unlink"
    r"|pg_stat\w*_reset\w*",
    re.IGNORECASE,
)
_DESTRUCTIVE = programs.names("DELETE DROP TRUNCATE KILL UPDATE PURGE MERGE")
_PAIRS = re.compile(
    r"^(?:reset\s+(?:slave|master|replica|all\s+slaves)|stop\s+(?:slave|replica)"
    r"|change\s+(?:master|replication)|restore\s"
    r"|cancel\s+(?:job|quer|session)|flush\s+(?:hosts|tables\s+with)|alter\b.*\bdrop\b"
    r"|set\s+global\s+(?:super_)?read_only|replace\s+into)",
    re.IGNORECASE | re.DOTALL,
)


@lru_cache(maxsize=4096)
def tokens(text: str) -> tuple[Token, ...] | None:
    """The tokens of `text`, None where it cannot be tokenised (an open quote)."""
    try:
        return tuple(Postgres().tokenize(text))
    except (SqlglotError, ValueError, RecursionError):
        return None


def statements(text: str) -> Iterator[tuple[int, int, str]]:
    """The statements in `text` as (first line, last line, text), lines from 0; comments before a statement left out."""
    found = tokens(text)
    if found is None:
        yield from _by_line_end(text)
        return
    start: int | None = None
    last = 0
    for token in found:
        if token.token_type is TokenType.SEMICOLON:
            if start is not None:
                yield _statement(text, start, token.end + 1)
            start = None
            continue
        start = token.start if start is None else start
        last = token.end + 1
    if start is not None:
        yield _statement(text, start, last)


def _statement(text: str, start: int, end: int) -> tuple[int, int, str]:
    first = text.count("\n", 0, start)
    body = text[start:end].rstrip()
    return first, first + body.count("\n"), body


def _by_line_end(text: str) -> Iterator[tuple[int, int, str]]:
    lines = text.split("\n")
    start = 0
    for index, line in enumerate(lines):
        if re.search(r";\s*(?:--.*)?$", line) or index == len(lines) - 1:
            body = "\n".join(lines[start : index + 1]).strip()
            if body:
                yield start, index, body
            start = index + 1


def ends(text: str) -> bool:
    r"""Whether a statement is complete: it ends in `;`, `\G` or `\gx`, outside of quotes."""
    stripped = re.sub(r"\s--.*$", "", text.rstrip())
    if re.search(r"\\(?:G|g|gx|watch(?:\s+\d+)?|gexec|crosstabview)$", stripped):
        return True
    if not stripped.endswith(";"):
        return False
    found = tokens(text)
    return found is None or (bool(found) and found[-1].token_type is TokenType.SEMICOLON)


def destructive(text: str) -> bool:
    """Whether it removes or overwrites data, objects, processes or connections."""
    stripped = text.strip()
    if _PAIRS.match(stripped):
        return True
    words = _words(stripped)
    if any(map(_KILLERS.fullmatch, words)):
        return True
    first = next((word.upper() for word in words if word.isalpha()), "")
    if first in _DESTRUCTIVE:
        return True
    upper = [word.upper() for word in words]
    analysed = first == "EXPLAIN" and "ANALYZE" in upper[:4]
    body = upper[2:] if analysed else upper
    if first in {"WITH", "EXPLAIN", "BEGIN", "DO"} and (first != "EXPLAIN" or analysed):
        return any(
            word in {"DELETE", "TRUNCATE", "DROP"} or (word == "UPDATE" and body[at - 1 : at] != ["FOR"])
            for at, word in enumerate(body)
        )
    return False


def _words(text: str) -> list[str]:
    """The words outside of quotes. The tokenizer keeps some statements (EXPLAIN, DO) whole: those are cut by their quotes."""
    found = tokens(text)
    if found is None or any(
        token.token_type is TokenType.STRING and text[token.start] not in "'eEnN" for token in found
    ):
        return re.findall(r"\w+", re.sub(r"'[^']*'", "", text))
    skipped = {TokenType.STRING, TokenType.IDENTIFIER}
    return [token.text for token in found if token.token_type not in skipped]
