"""A code block to its entries, line by line: comments, commands in their language, output. Makes no steps of them."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.model.runbook import Command, Language
from harness.model.source import Source
from harness.runbooks import commands, language, shell, sql
from harness.runbooks.language import Hint
from harness.runbooks.markdown import Code
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

_PROMPT = re.compile(
    r"^\s*(?:\([\w.-]+\)\s*)?(?:"
    r"(?P<shell>\$|%|(?:\[[\w.-]+@[^\]]+\]|[\w.-]+@[\w.-]+(?::?\s?[~/][\w./~-]*)?)\s?[$#%>]|(?:bash|sh)-[\d.]+[$#]|[~/][\w./-]*\s?[$#])"
    r"|(?P<host>[a-z][\w.-]*:[~/][\w./~-]*\s?[$#])"
    r"|(?P<sql>(?:mysql|MariaDB\s\[[^\]]*\]|postgres|sqlite|clickhouse|cqlsh|[a-z_]\w*)(?:=[#>*]|-[#>](?=\s)|>(?<=mysql>)|>(?<=\]>)|>(?<=sqlite>))|root@[\w.:-]+/\w+>)"
    r"|(?P<redis>(?:\d{1,3}(?:\.\d{1,3}){3}|localhost|redis[\w.-]*)(?::\d+)?(?:\[\d+\])?>|redis>)"
    r"|(?P<python>>>>|In \[\d+\]:)"
    r"|(?P<other>irb\([\w:]+\)[:\d]*>|\[\d+\] pry\([\w:]+\)>|[\w.-]*\s?\[(?:direct: )?(?:primary|secondary)\][^>]*>|test>|PS [A-Z]:\\[^>]*>))\s+(?P<text>\S.*)$"
)
_COMMENT = re.compile(r"^\s*#(?!!)\s?(.*)$")
_SQL_COMMENT = re.compile(r"^\s*--(?:\s+(.*))?$")
_SLASHES = re.compile(r"^\s*(?://|;;)\s?(.*)$")
_RULER = re.compile(r"^[\s=\-#*_~+]*$")
_CONTINUED = re.compile(r"^\s*(?:>|\.\.\.|(?:->)|'>|\">)\s")
_SPOKEN = {
    "shell": Language.BASH,
    "host": Language.BASH,
    "sql": Language.SQL,
    "redis": Language.OTHER,
    "python": Language.PYTHON,
    "other": Language.OTHER,
}


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

    def entries(self) -> Iterator[Entry]:
        """The block's entries, in order."""
        prompts = [index for index, line in enumerate(self._lines) if self._prompt(line)]
        if prompts:
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
        found = _PROMPT.match(line)
        if (
            found
            and found.lastgroup
            and self._hint in {Hint.CODE, Hint.PYTHON, Hint.SQL}
            and found.group("shell")
            and self._hint is not Hint.CODE
        ):
            return None
        return found

    def _mislabelled(self) -> bool:
        """A block of another language whose lines are, most of them, command lines."""
        lines = [line for line in self._lines if line.strip() and not _COMMENT.match(line)]
        return (
            bool(lines)
            and _is_command(lines[0])
            and (sum(map(_is_command, lines)) * 2 >= len(lines) or lines[0].rstrip().endswith("\\") or len(lines) <= 2)
        )

    def _whole_query(self) -> Command | None:
        """A block without a language that is one PromQL expression over several lines."""
        lines = [(index, line) for index, line in enumerate(self._lines) if line.strip() and not _COMMENT.match(line)]
        text = "\n".join(line for _, line in lines)
        if len(lines) < 2 or not language.is_promql(text) or language.is_promql(lines[0][1]):
            return None
        return self._command(text, Language.PROMQL, lines[0][0], lines[-1][0])

    def _prompted(self) -> Iterator[Entry]:
        index = 0
        while index < len(self._lines):
            found = self._prompt(self._lines[index])
            if found is None:
                yield self._remark(index)
                index += 1
                continue
            group = next(name for name in _SPOKEN if found.group(name))
            rest = [found.group("text"), *(self._unprompted(line) for line in self._following(index))]
            spoken = self._spoken(rest[0], _SPOKEN[group])
            length = self._extent(rest, spoken)
            yield self._command("\n".join(rest[:length]), spoken, index, index + length - 1)
            index += length

    def _following(self, index: int) -> Iterator[str]:
        for line in self._lines[index + 1 :]:
            if self._prompt(line):
                return
            yield line

    def _unprompted(self, line: str) -> str:
        return _CONTINUED.sub("", line) if _CONTINUED.match(line) else line

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
        comment = _COMMENT.match(line)
        return Comment(comment.group(1).strip(), self._first + index) if comment else Output(line, self._first + index)

    def _rest(self, start: int, end: int) -> Iterator[Entry]:
        for index in range(start, end):
            line = self._lines[index]
            yield Output(line, self._first + index) if line.strip() else Blank(self._first + index)

    def _next(self, index: int) -> tuple[Entry, int]:
        line = self._lines[index]
        if not line.strip():
            return Blank(self._first + index), index + 1
        comment = self._comment(line)
        if comment is not None:
            if comment:
                self._sessions.announce(comment)
            return Comment(comment, self._first + index), index + 1
        spoken = self._language(line, index)
        if spoken is None:
            self._quiet = False
            return Output(line, self._first + index), index + 1
        end = self._end(index, spoken)
        text = "\n".join(self._lines[index:end]).strip()
        return self._command(text, spoken, index, end - 1), end

    def _comment(self, line: str) -> str | None:
        for pattern in (_COMMENT, _SQL_COMMENT, _SLASHES):
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
            return Language.BASH if _is_command(line) and not language.is_sql(line) else Language.SQL
        if language.is_sql(line) or (line[:1].isalpha() and language.is_sql(self._paragraph(index))):
            return Language.SQL
        if self._hint is Hint.PROMQL or language.is_promql(line.split(" # ")[0]):
            return self._promql(index)
        if self._sessions.kind == "python" and not _is_command(line):
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
        return re.match(r"^[A-Za-z_]\w*=(?=[\"'$<\w./])", line) is not None and any(map(_is_command, self._lines))

    def _short_command(self, line: str) -> bool:
        """One unknown program with options, alone in a block."""
        alone = sum(1 for one in self._lines if one.strip()) <= 3
        shaped = re.match(r"^[a-z][\w-]+(?:\s[\w./:=-]+)*\s--?[A-Za-z][\w-]*(?:[\s=]|$)", line.strip()) is not None
        return alone and shaped and shell.read(line).valid

    def _paragraph(self, index: int) -> str:
        """The line and those that follow it without a gap, as one: a statement's second word may stand on the next."""
        lines = []
        for line in self._lines[index : index + 12]:
            if not line.strip() or _COMMENT.match(line):
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
                return self._sql_end(index)
            case Language.PROMQL:
                return self._promql_end(index)
            case Language.PYTHON:
                return self._python_end(index)
            case _:
                return self._indented_end(index) if self._hint is Hint.REPL else index + 1

    def _sql_end(self, index: int) -> int:
        if self._lines[index].strip().startswith("\\"):
            return index + 1
        end = index
        while end < len(self._lines) and end < index + 400:
            line = self._lines[end]
            stop = not line.strip() or (
                self._hint is not Hint.SQL and (_COMMENT.match(line) is not None or (end > index and _is_command(line)))
            )
            if end > index and stop and not (self._hint is Hint.SQL and not line.strip() and not self._begins_sql(end)):
                return end
            end += 1
            if re.search(r";|\\[Gg]", line) and sql.ends("\n".join(self._lines[index:end])):
                return end
        return end

    def _begins_sql(self, index: int) -> bool:
        """Whether the next line that is neither empty nor a comment begins a statement."""
        for line in self._lines[index : index + 20]:
            if line.strip() and not _SQL_COMMENT.match(line) and not _COMMENT.match(line):
                return language.is_sql(line) or line.strip().startswith("\\")
        return True

    def _promql_end(self, index: int) -> int:
        text = ""
        for end in range(index, min(len(self._lines), index + 30)):
            line = re.sub(r"\s+#.*$", "", self._lines[end])
            if end > index and not line.strip():
                break
            text = f"{text}\n{line}"
            following = self._lines[end + 1].strip() if end + 1 < len(self._lines) else ""
            joined = re.match(r"^(?:[-+*/%^=<>!)]|and\b|or\b|unless\b|by\b|without\b|on\b|ignoring\b)", following)
            if language.parses_as_promql(text) and not joined:
                return end + 1
        return index + 1

    def _python(self) -> Iterator[Entry]:
        index = 0
        while index < len(self._lines):
            line = self._lines[index]
            comment = _COMMENT.match(line)
            if not line.strip() or comment:
                yield self._remark(index)
                index += 1
                continue
            spoken = Language.BASH if _is_command(line) else Language.PYTHON
            end = self._end(index, spoken)
            yield self._command("\n".join(self._lines[index:end]).rstrip(), spoken, index, end - 1)
            index = end

    def _python_end(self, index: int) -> int:
        """A statement and its indented body, an open bracket included."""
        end = index + 1
        while end < len(self._lines) and end < index + 300:
            line = self._lines[end]
            inside = line.startswith((" ", "\t", ")", "]", "}")) or re.match(r"^(?:else|elif|except|finally)\b", line)
            ahead = (
                not line.strip()
                and any(self._lines[end + 1 : end + 2])
                and self._lines[end + 1].startswith((" ", "\t"))
            )
            if (
                inside
                or ahead
                or not _parses("\n".join(self._lines[index:end]))
                and _parses("\n".join(self._lines[index : end + 1]))
            ):
                end += 1
            else:
                break
        return end

    def _indented_end(self, index: int) -> int:
        """A statement of a language with blocks: what is indented below it, and the word or bracket that closes it."""
        end = index + 1
        while end < len(self._lines) and end < index + 300:
            line = self._lines[end]
            ahead = next((one for one in self._lines[end : end + 3] if one.strip()), "")
            closing = re.match(r"^(?:end\b|else\b|elsif\b|rescue\b|ensure\b|when\b|[)}\]]|\.\w)", ahead)
            if not (ahead.startswith((" ", "\t")) or closing) or (not line.strip() and not ahead):
                break
            end += 1
        return end

    def _command(self, text: str, spoken: Language, start: int, end: int) -> Command:
        source = Source(self._path, self._first + start, self._first + max(start, end))
        setting = self._sessions.setting(spoken, text)
        self._sessions.after(spoken, text)
        self._quiet = True
        return commands.make(text, spoken, source, setting)


def _is_command(line: str) -> bool:
    return language.is_shell(line, tagged=False) and not re.match(
        r"^\s*(?:from|import|def|class|with|return|print)\b", line
    )


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _dedented(lines: Sequence[str]) -> list[str]:
    widths = [len(line) - len(line.lstrip(" \t")) for line in lines if line.strip()]
    width = min(widths, default=0)
    return [line[width:].rstrip() if line.strip() else "" for line in lines]
