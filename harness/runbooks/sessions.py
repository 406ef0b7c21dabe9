"""Which session the next command belongs to, while a procedure is read from top to bottom."""

import re

from harness.model.runbook import Language
from harness.runbooks import invocations, language, programs, shell
from harness.runbooks.commands import Setting
from harness.runbooks.invocations import Session

_ANNOUNCED = re.compile(
    r"^(?:(?:now|then)\s+)?(?:in|inside|from|within|using|via|run in|run inside"
    r"|execute in)\s+(?:the\s+|a\s+)?(psql|postgres(?:ql)?|database|db|mysql|mariadb|sql"
    r"|redis(?:-cli)?|mongo(?:sh|db)?|python)(?:\s+(?:shell|console|prompt|session|client))?\b",
    re.IGNORECASE,
)
_KINDS = {
    "redis": "redis",
    "redis-cli": "redis",
    "mongo": "mongo",
    "mongosh": "mongo",
    "mongodb": "mongo",
    "python": "python",
}
_NAMES = {"sql": "psql", "redis": "redis-cli", "mongo": "mongosh", "python": "python"}


class Sessions:
    """The open sessions, innermost last. Changed in place as commands are read, in document order."""

    def __init__(self, settled: frozenset[str]) -> None:
        self._settled = settled
        self._open: list[Session] = []
        self._directory = ""
        self._own: set[Session] = set()

    @property
    def kind(self) -> str:
        """The kind of the innermost session, empty for the operator's own shell."""
        return self._open[-1].kind if self._open else ""

    @property
    def settled(self) -> frozenset[str]:
        """The variables the document sets anywhere."""
        return self._settled

    def block(self) -> None:
        """Another block begins: a program of the operator's machine is not expected in a session an earlier one left open."""
        self._own = set()

    def reset(self) -> None:
        """Another procedure, section or branch begins: what was left open is not assumed to be."""
        self._open = []
        self._directory = ""

    def announce(self, comment: str) -> bool:
        """Take a comment such as "In psql:" as the session of what follows; whether it was one."""
        found = _ANNOUNCED.match(comment.strip())
        if not found:
            return False
        word = found.group(1).lower()
        kind = _KINDS.get(word, "sql")
        name = "mysql" if word in {"mysql", "mariadb"} else _NAMES[kind]
        self._leave({"sql", "redis", "mongo", "python"})
        self._open.append(Session(kind, name))
        return True

    def setting(self, spoken: Language, text: str) -> Setting:
        """Where `text` stands, sessions that it cannot be in closed; call before `after`."""
        if spoken is Language.BASH:
            self._leave({"sql", "redis", "mongo", "python"})
            reading = shell.read(text)
            first = next((call.program for call in invocations.read(reading)), "")
            if first in programs.OPERATOR:
                self._open = [session for session in self._open if not session.remote and session in self._own]
        context = tuple(session.text for session in self._open)
        if spoken is Language.SQL and self.kind not in {"sql", ""}:
            context = ()
        where = (
            self._open[-1].text if any(session.kind == "shell" for session in self._open) and self._open else "operator"
        )
        return Setting(context, where, self._directory, self._settled)

    def after(self, spoken: Language, text: str) -> None:
        """Take in what `text` does to the session: it opens one, ends one, or changes directory."""
        stripped = text.strip().rstrip(";").lower()
        if stripped in {"exit", "logout", "quit", "\\q", "exit()", "quit()"}:
            if self._open:
                self._open.pop()
            return
        if spoken is not Language.BASH:
            return
        reading = shell.read(text)
        session = invocations.opened(reading, text)
        if session is not None:
            self._open.append(session)
            self._own.add(session)
            self._directory = ""
        elif (
            len(reading.commands) >= 1 and reading.commands[0].argv[:1] == ("cd",) and len(reading.commands[0].argv) > 1
        ):
            self._directory = reading.commands[0].argv[1]

    def speaks(self, line: str) -> Language | None:
        """The language of a line by the innermost session, where it is a console and the line fits it."""
        match self.kind:
            case "sql":
                return Language.SQL if language.is_sql(line, lenient=not _is_programs(line)) else None
            case "redis":
                return Language.OTHER if language.is_redis(line) else None
            case "mongo":
                return Language.OTHER if re.match(r"(?:db|rs|sh|use|show|exit)\b", line.strip()) else None
            case _:
                return None

    def _leave(self, kinds: set[str]) -> None:
        while self._open and self._open[-1].kind in kinds:
            self._open.pop()


def _is_programs(line: str) -> bool:
    return programs.known(line.strip().split(" ", 1)[0]) and not line.rstrip().endswith(";")
