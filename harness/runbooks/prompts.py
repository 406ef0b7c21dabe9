"""Prompts before typed lines: whose they are, and what was typed. Knows nothing of the block they stand in."""

import re

from harness.model.runbook import Language

_PROMPT = re.compile(
    r"^\s*(?:\([\w.-]+\)\s*)?(?:"
    r"(?P<shell>\$|%|(?:\[[\w.-]+@[^\]]+\]|[\w.-]+@[\w.-]+(?::?\s?[~/][\w./~-]*)?)\s?[$#%>]"
    r"|(?:bash|sh)-[\d.]+[$#]|[~/][\w./-]*\s?[$#])"
    r"|(?P<host>[a-z][\w.-]*:[~/][\w./~-]*\s?[$#])"
    r"|(?P<sql>(?:mysql|MariaDB\s\[[^\]]*\]|postgres|sqlite|clickhouse|cqlsh"
    r"|[a-z_]\w*)(?:=[#>*]|-[#>](?=\s)|>(?<=mysql>)|>(?<=\]>)|>(?<=sqlite>))"
    r"|root@[\w.:-]+/\w+>)"
    r"|(?P<redis>(?:\d{1,3}(?:\.\d{1,3}){3}|localhost|redis[\w.-]*)(?::\d+)?(?:\[\d+\])?>|redis>)"
    r"|(?P<python>>>>|In \[\d+\]:)"
    r"|(?P<other>irb\([\w:]+\)[:\d]*>|\[\d+\] pry\([\w:]+\)>"
    r"|[\w.-]*\s?\[(?:direct: )?(?:primary|secondary)\][^>]*>|test>"
    r"|PS [A-Z]:\\[^>]*>))\s+(?P<text>\S.*)$"
)
_CONTINUED = re.compile(r"^\s*(?:>|\.\.\.|(?:->)|'>|\">)\s")
_SPOKEN = {
    "shell": Language.BASH,
    "host": Language.BASH,
    "sql": Language.SQL,
    "redis": Language.OTHER,
    "python": Language.PYTHON,
    "other": Language.OTHER,
}


def find(line: str) -> re.Match[str] | None:
    """The prompt that `line` begins with; its group `text` is what was typed."""
    return _PROMPT.match(line)


def language(prompt: re.Match[str]) -> Language:
    """What the program that prompts is spoken to in."""
    return next(spoken for name, spoken in _SPOKEN.items() if prompt.group(name))


def unprompted(line: str) -> str:
    """A line that continues what was typed, without the mark that consoles put before it."""
    return _CONTINUED.sub("", line)
