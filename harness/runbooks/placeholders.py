"""What the operator must supply, as written: `<x>`, `$X`, `UPPER_WORD`, `your-…`, `…`, `[x]`, `{{x}}`. One text at a time."""

import re
from collections.abc import Iterable, Iterator

from harness.model.runbook import Language, Placeholder
from harness.model.source import Source
from harness.runbooks import programs, shell

_DOUBLE = re.compile(r"\{\{\s*[A-Za-z_][\w-]*\s*\}\}")
_SINGLE = re.compile(r"(?<![$\w{])\{[A-Za-z][A-Za-z0-9]*(?:[_-][A-Za-z0-9]+)*\}(?!\})")
_CHOICE = re.compile(r"(?<![\w\]\[$(*.\\])\[[A-Za-z][\w-]*(?:\|[A-Za-z][\w-]*)+\](?![*+?{])")
_SQUARE = re.compile(r"(?<![\w\]\[$.*\\)}|^'-])\[[A-Za-z][A-Za-z]*(?:[ _-][A-Za-z0-9]+)*\](?![\w\[*+?{}])")
_DOTS = re.compile(r"[^\s\"'=,;{}()\[\]<>|`]*(?:(?<!\.)\.\.\.(?!\.)|…)[^\s\"';,{}()\[\]<>|`]*")
_OWNER = re.compile(
    r"(?<![A-Za-z0-9$])(?:your|my)[-_][A-Za-z][\w-]*(?:\.(?:com|org|net|io|dev|local|internal"
    r"|example)\b)?|(?<![A-Za-z0-9$])(?:YOUR|MY)_[A-Z][A-Z0-9_]*",
    re.IGNORECASE,
)
_XXX = re.compile(
    r"(?<![\w$/])(?:[A-Za-z0-9]+[-_])*[xX]{3,}(?:[-_.]?[xX]+)*(?![\w])"
    r"|(?<!\w)[A-Z]{2,6}X{4,}(?!\w)|(?<!\w)(?:Y{5,}|Z{5,})(?!\w)"
)
_PATH = re.compile(r"/?(?:path|PATH)/(?:to|TO)/[^\s\"'`;,)]*")
_DATE = re.compile(
    r"(?<![A-Za-z%+])(?:YYYY|yyyy)(?:[-_/.]?(?:MM|mm))?(?:[-_/.]?(?:DD|dd))?(?:[-_T]?(?:HH"
    r"|hh)(?:[-_:]?(?:MM|mm))?(?:[-_:]?(?:SS|ss))?)?(?![A-Za-z])"
    r"|(?<![A-Za-z])year([-_./]?)month\1day(?![A-Za-z])"
)
_REMARK = re.compile(r"(?m)(?<=\s)#\s[^\n'\"`]*$")
_NOUNS = programs.names("""
    NAME NAMESPACE POD NODE HOST HOSTNAME USER USERNAME PASSWORD DB DATABASE CLUSTER BUCKET REGION URL IP ADDRESS
    PORT PATH FILE FILENAME DATE TIMESTAMP VERSION TAG TOKEN KEY SECRET INSTANCE SERVICE RELEASE ID UUID ARN
    ACCOUNT PROJECT CONTAINER DEPLOYMENT IMAGE VOLUME SNAPSHOT BACKUP TABLE SCHEMA QUEUE TOPIC DOMAIN ENDPOINT ENV
    ENVIRONMENT STACK ZONE GROUP ROLE PID SLOT REVISION COMMIT SHA BRANCH APP APPLICATION PRIMARY REPLICA STANDBY
    TENANT TIME NUMBER SIZE SERVER PVC PV CONTEXT CHANNEL WORKSPACE REPO NS BLOCK SUBSCRIBER PUBLISHER MASTER
    SLAVE CRON JOB FQDN DNS
""")
_ABOUT = re.compile(
    r"\b(?:table|database|index|subscription|publication|user|role|slot|view|schema|extension"
    r"|analyze|vacuum|sequence|trigger)"
    r"\s+(?:(?:if\s+(?:not\s+)?exists|concurrently|full|verbose)\s+)*([a-z][\w]*)\b(?!\s*\()",
    re.IGNORECASE,
)
_UPPER = re.compile(r"^[A-Z][A-Z0-9]*(?:[_-][A-Z0-9]+)*$")
_NOT_UPPER = programs.names(
    "ENV KEY TIME DATE GROUP ROLE TABLE SCHEMA USER PATH ID PRIMARY REPLICA MASTER SLAVE JOB CRON NUMBER SIZE"
)
_PREFIXED = re.compile(r"^([A-Z][A-Z0-9]+(?:-[A-Z0-9]+)*)-[a-z0-9]+$")
_CODED = programs.names(
    "--query -X --request -o --output --sort-by -s --signal --state-value -F --columns -e --type --storage-class"
)
_LITERAL = programs.names("grep egrep fgrep rg awk sed heroku unset printenv echo printf redis-cli valkey-cli cf")
_NAMED = re.compile(r"^[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*[-_](?:name|id)$")
_ENVIRONMENT = programs.names(
    "HOME PWD OLDPWD PATH SHELL USER LOGNAME HOSTNAME RANDOM SECONDS LINENO EDITOR TERM LANG "
    "TMPDIR PPID UID EUID IFS PS1 OPTARG"
    " REPLY BASH_SOURCE FUNCNAME PIPESTATUS OSTYPE"
)


def find(text: str, language: Language, source: Source, settled: frozenset[str]) -> tuple[Placeholder, ...]:
    """The placeholders of one command at `source`, in order, each once. `settled` names variables the document sets."""
    found: dict[str, Placeholder] = {}
    if language is Language.BASH:
        text = _REMARK.sub(lambda remark: " " * len(remark.group()), text)
    for word, at in sorted(_candidates(text, language, settled), key=lambda pair: pair[1]):
        covered = any(
            word != other and word in other and text.find(other) <= at < text.find(other) + len(other)
            for other in found
        )
        if word not in found and not covered:
            line = source.line + text.count("\n", 0, at)
            found[word] = Placeholder(word, Source(source.path, line, line))
    return tuple(found.values())


def _candidates(text: str, language: Language, settled: frozenset[str]) -> Iterator[tuple[str, int]]:
    patterns: tuple[re.Pattern[str], ...] = (shell.ANGLE, _DOUBLE, _XXX, _PATH, _DATE)
    if language in {Language.BASH, Language.SQL}:
        patterns = (*patterns, _DOTS)
    if language is not Language.SQL:
        patterns = (*patterns, _OWNER)
    for pattern in patterns:
        for match in pattern.finditer(text):
            if pattern is not _DOTS or _is_omission(match.group(), text, match.start()):
                yield match.group(), match.start()
    if language is Language.BASH:
        yield from _in_shell(text, settled)
    elif language is Language.SQL:
        yield from _in_sql(text)


def _in_sql(text: str) -> Iterator[tuple[str, int]]:
    """In quotes what stands for a name; outside of them only the name that a statement is about."""
    for match in re.finditer(r"'([^']+)'", text):
        if _NAMED.match(match.group(1)) or ("_" in match.group(1) and _is_upper_noun(match.group(1))):
            yield match.group(1), match.start(1)
        for owner in _OWNER.finditer(match.group(1)):
            yield owner.group(), match.start(1) + owner.start()
    for match in _ABOUT.finditer(text):
        if _NAMED.match(match.group(1)) or re.match(
            r"(?i)(?:your|my)[-_](?:table|database|db|index|slot|user|schema)", match.group(1)
        ):
            yield match.group(1), match.start(1)


def _is_omission(word: str, text: str, at: int) -> bool:
    """`...` stands for something, unless it is Go's `./...`, a range of commits or part of a sentence in quotes."""
    if word.startswith("./...") or re.search(r"\w\.\.\.\w", word):
        return False
    before = text[:at]
    in_echo = re.search(r"\b(?:echo|printf)\b[^\n]*$", before.rsplit("\n", 1)[-1])
    return not in_echo


def _in_shell(text: str, settled: frozenset[str]) -> Iterator[tuple[str, int]]:
    reading = shell.read(text)
    for use in reading.uses:
        name = use.strip("${}")
        known = {name, name.partition("-")[0]} & {*settled, *reading.sets, *_ENVIRONMENT}
        if not name[:1].isdigit() and not known:
            yield use, max(text.find(use), 0)
    for words in reading.commands:
        if set(words.argv) & set(programs.CONSOLES):
            yield from (
                (name, text.find(name))
                for part in words.argv
                if " " in part
                for name, _ in _in_sql(part)
                if name in text
            )
        for word in _arguments(words.argv):
            name = found.group(1) if (found := _PREFIXED.match(word)) else word
            at = text.find(name)
            literal = words.argv[0] in _LITERAL
            if at >= 0 and (_NAMED.match(name) or (_is_upper_noun(name) and not literal)):
                yield name, at
        for raw in words.raw:
            if raw.startswith("'") or text.find(raw) < 0 or re.search(r"jsonpath|template|\{\.|\{range|'", raw):
                continue
            for pattern in (_SQUARE, _SINGLE, _CHOICE):
                for match in pattern.finditer(raw):
                    if pattern is not _SQUARE or match.group() == shell.unquote(raw):
                        yield match.group(), text.find(raw) + match.start()


def _arguments(argv: Iterable[str]) -> Iterator[str]:
    """Operands and option values that may stand for something, cut where names are joined (`host:PORT`, `ns/NAME`)."""
    words = list(argv)
    for index, word in enumerate(words[1:], 1):
        if words[index - 1] in _CODED:
            continue
        if word.startswith("-"):
            option, mark, value = word.partition("=")
            if mark and option not in {"--sort-by", "--output", "--columns"}:
                yield value
            continue
        if " " in word:
            yield from (value for part in word.split() if (value := part.partition("=")[2]).isupper())
            continue
        _, mark, value = word.partition("=")
        yield from ([value] if mark else _components(word))


def _components(word: str) -> Iterator[str]:
    """The names joined in a word; a long name inside a path is more likely that of a file."""
    parts = re.split(r"[/:@,]", word)
    yield from (part for part in parts if len(parts) == 1 or part.count("_") < 2)


def _is_upper_noun(word: str) -> bool:
    if not _UPPER.match(word) or len(word) < 2:
        return False
    parts = re.split(r"[_-]", word)
    if len(parts) == 1:
        return word in _NOUNS and word not in _NOT_UPPER
    return any(part in _NOUNS for part in parts)
