"""A code block to its entries, line by line: comments, commands in their language, output. Makes no steps of them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.model.runbook import Command, Language
from harness.model.source import Source
from harness.runbooks import commands, extents, language, prompts, shell, sql
from harness.runbooks.blocks import Code
from harness.runbooks.language import Hint
from harness.runbooks.sessions import Sessions


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment in a block, its mark removed."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Blank:
    """An empty line between entries."""

    line: int


@dataclass(frozen=True, slots=True)
class Output:
    """Lines that are neither command nor comment."""

    text: str
    line: int


Entry = Comment | Blank | Output | Command

_SLASHES = re.compile(r"^\s*(?://|;;)\s?(.*)$")
_IN_FILE = re.compile(r"\bin\s+[`'\"]?(?:[\w.~-]*/)*[\w-]*\.[A-Za-z]\w{0,9}[`'\"]?\s*:?$", re.IGNORECASE)
_ASSIGNED = re.compile(r"^(?:export\s+)?[A-Za-z_][\w.]*\s*=(?!=)")
_RULER = re.compile(r"^[\s=\-#*_~+]*$")


class Reader:
    """Reads one code block; `sessions` is told of what its commands open and close."""

    def __init__(self, code: Code, path: str, sessions: Sessions) -> None:
        self._lines = _dedented(code.lines)
        self._first = code.line
        self._path = path
        self._sessions = sessions
        self._hint = language.hint(code.info)
        self._allowance = shell.Allowance(sum(map(len, code.lines)))
        self._quiet = True
        self._filed = False
        self._prompts: list[re.Match[str] | None] = []
        self._commanded = any(map(language.is_command, self._lines))

    def entries(self) -> Iterator[Entry]:
        """The block's entries, in order."""
        self._prompts = [self._prompt(line) for line in self._lines]
        if any(self._prompts):
            yield from self._prompted()
            return
        if self._hint is Hint.CODE and not self._mislabelled():
            yield from self._rest(0, len(self._lines))
            return
        if self._hint is Hint.PYTHON:
            yield from self._python()
            return
        if self._hint in {Hint.NONE, Hint.SHELL} and (query := self._whole_query()):
            yield query
            return
        index = 0
        while index < len(self._lines):
            entry, index = self._next(index)
            yield entry

    def _prompt(self, line: str) -> re.Match[str] | None:
        """`$` begins names in SQL and Python: there it is no prompt."""
        found = prompts.find(line)
        return None if found and found.group("shell") and self._hint in {Hint.PYTHON, Hint.SQL} else found

    def _mislabelled(self) -> bool:
        """A block of another language whose lines are, most of them, command lines."""
        lines = [line for line in self._lines if line.strip() and not extents.COMMENT.match(line)]
        return (
            bool(lines)
            and language.is_command(lines[0])
            and (
                sum(map(language.is_command, lines)) * 2 >= len(lines)
                or lines[0].rstrip().endswith("\\")
                or len(lines) <= 2
            )
        )

    def _whole_query(self) -> Command | None:
        """A block without a language that is one PromQL expression over several lines."""
        lines = [
            (index, line) for index, line in enumerate(self._lines) if line.strip() and not extents.COMMENT.match(line)
        ]
        text = "\n".join(line for _, line in lines)
        if len(lines) < 2 or not language.is_promql(text) or language.is_promql(lines[0][1]):
            return None
        return self._command(text, Language.PROMQL, lines[0][0], lines[-1][0])

    def _prompted(self) -> Iterator[Entry]:
        index = 0
        while index < len(self._lines):
            found = self._prompts[index]
            if found is None:
                yield self._remark(index)
                index += 1
                continue
            rest = [found.group("text"), *map(prompts.unprompted, self._following(index))]
            spoken = self._spoken(rest[0], prompts.language(found))
            length = self._extent(rest, spoken)
            yield self._command("\n".join(rest[:length]), spoken, index, index + length - 1)
            index += length

    def _following(self, index: int) -> Iterator[str]:
        for at in range(index + 1, len(self._lines)):
            if self._prompts[at]:
                return
            yield self._lines[at]

    def _spoken(self, text: str, by_prompt: Language) -> Language:
        if by_prompt is Language.BASH:
            return Language.SQL if language.is_sql(text) else Language.BASH
        return by_prompt

    def _extent(self, rest: Sequence[str], spoken: Language) -> int:
        if spoken is Language.BASH:
            return shell.complete(rest, 0, self._allowance)
        if spoken is Language.SQL and not rest[0].startswith("\\"):
            for length in range(1, min(len(rest), 60) + 1):
                if sql.ends("\n".join(rest[:length])):
                    return length
        return 1

    def _remark(self, index: int) -> Entry:
        line = self._lines[index]
        if not line.strip():
            return Blank(self._first + index)
        comment = extents.COMMENT.match(line)
        return Comment(comment.group(1).strip(), self._first + index) if comment else Output(line, self._first + index)

    def _rest(self, start: int, end: int) -> Iterator[Entry]:
        for index in range(start, end):
            line = self._lines[index]
            yield Output(line, self._first + index) if line.strip() else Blank(self._first + index)

    def _next(self, index: int) -> tuple[Entry, int]:
        line = self._lines[index]
        if not line.strip():
            self._filed = False
            return Blank(self._first + index), index + 1
        comment = self._comment(line)
        if comment is not None:
            if comment:
                self._sessions.announce(comment)
            self._filed = _IN_FILE.search(comment) is not None
            return Comment(comment, self._first + index), index + 1
        spoken = self._language(line, index)
        if spoken is None:
            self._quiet = False
            return Output(line, self._first + index), index + 1
        return self._statement(index, spoken)

    def _statement(self, index: int, spoken: Language) -> tuple[Entry, int]:
        """What begins at `index`, and the index after it. An assignment that a comment places in a file is no command."""
        end = self._end(index, spoken)
        text = "\n".join(self._lines[index:end]).strip()
        if self._filed and _ASSIGNED.match(text):
            return Output(text, self._first + index), end
        return self._command(text, spoken, index, end - 1), end

    def _comment(self, line: str) -> str | None:
        for pattern in (extents.COMMENT, extents.SQL_COMMENT, _SLASHES):
            found = pattern.match(line)
            if found and not (pattern is _SLASHES and self._hint is Hint.SHELL and not line.strip().startswith("//")):
                text = (found.group(1) or "").strip()
                return "" if _RULER.match(text) else text
        return "" if re.match(r"^\s*#!", line) else None

    def _language(self, line: str, index: int) -> Language | None:
        session = self._sessions.speaks(line)
        if session is not None and not language.is_shell(line, tagged=False):
            return session
        if self._hint is Hint.REPL:
            return Language.OTHER
        if self._hint is Hint.SQL:
            return Language.BASH if language.is_command(line) and not language.is_sql(line) else Language.SQL
        if language.is_sql(line) or (line[:1].isalpha() and language.is_sql(self._paragraph(index))):
            return Language.SQL
        if self._hint is Hint.PROMQL or language.is_promql(line.split(" # ", maxsplit=1)[0]):
            return self._promql(index)
        if self._sessions.kind == "python" and not language.is_command(line):
            return Language.PYTHON
        if self._json(index):
            return None
        if language.is_logql(line):
            return Language.OTHER
        if self._hint is Hint.NONE and self._quiet and (self._setting(line) or self._short_command(line)):
            return Language.BASH
        return Language.BASH if language.is_shell(line, tagged=self._hint is Hint.SHELL, loose=self._quiet) else None

    def _setting(self, line: str) -> bool:
        """An assignment in a block without a language, where other lines are commands."""
        return re.match(r"^[A-Za-z_]\w*=(?=[\"'$<\w./])", line) is not None and self._commanded

    def _short_command(self, line: str) -> bool:
        """One unknown program with options, alone in a block."""
        alone = len(self._lines) <= 12 and sum(1 for one in self._lines if one.strip()) <= 3
        shaped = re.match(r"^[a-z][\w-]+(?:\s[\w./:=-]+)*\s--?[A-Za-z][\w-]*(?:[\s=]|$)", line.strip()) is not None
        return alone and shaped and shell.read(line).valid

    def _paragraph(self, index: int) -> str:
        """The line and those that follow it without a gap, as one: a statement's second word may stand on the next."""
        lines = []
        for line in self._lines[index : index + 12]:
            if not line.strip() or extents.COMMENT.match(line):
                break
            lines.append(line.strip())
            if line.rstrip().endswith(";"):
                break
        return (
            " ".join(lines)
            if lines
            and lines[0].split()[0].upper() in {"SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER"}
            else ""
        )

    def _promql(self, index: int) -> Language | None:
        line = self._lines[index].strip()
        return Language.PROMQL if not line.startswith((")", "}", "/", "*")) else None

    def _json(self, index: int) -> bool:
        text = self._lines[index].strip()
        return text in {"{", "[", "}", "]", "},", "],"} or re.match(r"^[\"']?[\w.-]+[\"']?:(?:\s|$)", text) is not None

    def _end(self, index: int, spoken: Language) -> int:
        """The index after the last line of the command that begins at `index`."""
        match spoken:
            case Language.BASH:
                return shell.complete(self._lines, index, self._allowance)
            case Language.SQL:
                return extents.sql_end(self._lines, index, own=self._hint is Hint.SQL)
            case Language.PROMQL:
                return extents.promql_end(self._lines, index)
            case Language.PYTHON:
                return extents.python_end(self._lines, index)
            case _:
                return extents.indented_end(self._lines, index) if self._hint is Hint.REPL else index + 1

    def _python(self) -> Iterator[Entry]:
        index = 0
        while index < len(self._lines):
            line = self._lines[index]
            if not line.strip() or extents.COMMENT.match(line):
                remark = self._remark(index)
                self._filed = isinstance(remark, Comment) and _IN_FILE.search(remark.text) is not None
                yield remark
                index += 1
                continue
            entry, index = self._statement(index, Language.BASH if language.is_command(line) else Language.PYTHON)
            yield entry

    def _command(self, text: str, spoken: Language, start: int, end: int) -> Command:
        source = Source(self._path, self._first + start, self._first + max(start, end))
        setting = self._sessions.setting(spoken, text)
        self._sessions.after(spoken, text)
        self._quiet = True
        return commands.make(text, spoken, source, setting)


def _dedented(lines: Sequence[str]) -> list[str]:
    widths = [len(line) - len(line.lstrip(" \t")) for line in lines if line.strip()]
    width = min(widths, default=0)
    return [line[width:].rstrip() if line.strip() else "" for line in lines]
