"""Which language a line is in, by the line; the fence is a hint. No parsing beyond what that needs."""

import re
from enum import StrEnum

import promql_parser

from harness.runbooks import programs, shell


class Hint(StrEnum):
    """What a fence's info string says its content is."""

    SHELL = "shell"
    SQL = "sql"
    PYTHON = "python"
    PROMQL = "promql"
    REPL = "repl"
    CODE = "code"
    NONE = ""


_HINTS = {
    Hint.SHELL: "bash sh shell zsh ksh console shell-session sh-session shellsession terminal prompt bat "
    "cmd powershell ps1 fish command",
    Hint.SQL: "sql psql pgsql postgres postgresql mysql plpgsql tsql sqlite",
    Hint.PYTHON: "python py python3 pycon ipython",
    Hint.PROMQL: "promql",
    Hint.REPL: "ruby rb irb redis mongo mongosh logql cql influxql",
    Hint.NONE: "text txt plaintext plain none output",
}
_BY_WORD = {word: hint for hint, words in _HINTS.items() for word in words.split()}

_SQL_STRONG = re.compile(
    r"""^(?:
    select\s+(?:.*\bfrom\b|.*\(|\*|\d|distinct\b|[^|<>]*;) | select\s*$
        | with\s+(?:recursive\s+)?\w+\s+as\b | insert\s+into\b | replace\s+into\b
    | update\s+[^\s-]\S*\s+set\b | update\s+[^\s-]\S*$ | delete\s+from\b
    | create\s+(?:or\s+replace\s+)?(?:unique\s+|temp(?:orary)?\s+|global\s+)?(?:index|table
        |database|user|role|extension|view|materialized|schema
        |publication|subscription|function|procedure|trigger|sequence|type|tablespace|event
        |external|changefeed|schedule)\b
    | alter\s+(?:table|system|role|user|database|index|sequence|subscription|publication|default
        |extension|schema|type|materialized|view|tablespace|range|instance)\b
    | drop\s+(?:table|database|index|role|user|schema|view|materialized|extension|subscription
        |publication|trigger|function|sequence|owned|type|constraint|event)\b
    | truncate\s+(?:table\s+)?[a-z_"<] | explain\s+(?:\(|analyze\b|select\b|insert\b|update\b|delete\b|with\b)
    | grant\s+.+\s+(?:on|to)\b | revoke\s+.+\s+from\b | refresh\s+materialized\b
        | change\s+(?:master|replication)\b
    | (?:start|stop|reset|show)\s+(?:slave|replica|master|binary|all\s+slaves)\b
        | purge\s+binary\b | lock\s+tables?\b | unlock\s+tables\b
    | flush\s+(?:tables|privileges|logs|hosts|status|binary)\b | kill\s+(?:query|connection)\s
    | (?:pause|resume|cancel)\s+(?:jobs?|quer|sessions?|schedule) | backup\s+(?:database|table
        |into)\b | restore\s+(?:database|table|from)\b
    | do\s+\$\w*\$ | set\s+(?:global|session|local)\s+\w | vacuum\s*\(?\s*(?:full|verbose|freeze
        |analyze)\b | reindex\s+(?:\(|database|table|index|schema|system)
    | copy\s+(?:\(|\w[\w.]*\s*(?:\(|from|to)\b)
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_SQL_WORD = re.compile(
    r"^(SELECT|VACUUM|ANALYZE|REINDEX|SHOW|SET|RESET|BEGIN|COMMIT|ROLLBACK|CHECKPOINT|CALL|USE"
    r"|DESCRIBE|DESC|KILL|LISTEN|NOTIFY|TRUNCATE|EXPLAIN"
    r"|SAVEPOINT|START TRANSACTION|END|COPY|FLUSH|OPTIMIZE TABLE|CHECK TABLE|REPAIR TABLE"
    r"|DISCARD|CLUSTER|DEALLOCATE|LOAD DATA|VALUES|TABLE|COMMENT ON)\b",
    re.IGNORECASE,
)
_META = re.compile(
    r"^\\(?:[lcdxqieogstw?!]|d[tniusvpfxRb+]{0,3}\+?|du|dn|conninfo|copy|timing|watch|gx|set"
    r"|echo|pset|connect|password)(?:\+|\b|\s|$)"
)
_PROM_SHAPE = re.compile(
    r"\b(?:sum|avg|max|min|count|rate|irate|increase|delta|deriv|topk|bottomk"
    r"|histogram_quantile|quantile|absent|predict_linear|changes"
    r"|(?:avg|max|min|sum|count)_over_time|label_replace|vector|resets|clamp_max"
    r"|clamp_min)\s*(?:\(|by\b|without\b)"
    r"|^[a-zA-Z_:][\w:]*\{[^}]*\}|\[\d+[smhdwy](?::\w*)?\]"
)
_PROM_RANGE = re.compile(
    r"\[\$?_*\w+(?::\w*)?\]|\{[^}]*(?:=|!)~?\s*\"[^}]*\}|\w+:\w+:\w+|\b(?:histogram_quantile"
    r"|increase|irate|\w+_over_time)\s*\("
    r"|\b(?:sum|avg|max|min|count|topk|bottomk)\s+(?:by|without)\s*\(|\b(?:sum|avg|max|min"
    r"|count)\s*\(.*\)\s*(?:by|without)\s*\(|^\w+_\w+\{[^}]*\}",
    re.DOTALL,
)
_LOGQL = re.compile(
    r"^\{\s*\w+\s*(?:=~|!~|!=|=)\s*\"[^\"]*\"[^}]*\}\s*(?:\|[=~]|!~|!=|\|\s*(?:json|logfmt"
    r"|pattern|line_format|unwrap))"
)
_REDIS = programs.names(
    """
    ACL AUTH BGREWRITEAOF BGSAVE CLIENT CLUSTER CONFIG DBSIZE DEBUG DECR DEL DUMP EVAL EXISTS EXPIRE EXPIREAT
    FAILOVER FLUSHALL FLUSHDB GET GETEX HDEL HGET HGETALL HKEYS HLEN HSET INCR INFO KEYS LASTSAVE LATENCY
    LINDEX LLEN LPOP LPUSH LRANGE LREM LTRIM MEMORY MGET MODULE MONITOR MSET OBJECT PERSIST PEXPIRE PING PTTL
    PUBLISH RANDOMKEY REPLICAOF RESTORE ROLE RPOP RPUSH SADD SAVE SCAN SCARD SCRIPT SELECT SENTINEL SET SETEX
    SHUTDOWN SLAVEOF SLOWLOG SMEMBERS SREM SUBSCRIBE SWAPDB TTL TYPE UNLINK WAIT XACK XADD XGROUP XINFO XLEN
    XPENDING XRANGE XREAD XTRIM ZADD ZCARD ZCOUNT ZRANGE ZREM ZSCORE
    """
)


def hint(info: str) -> Hint:
    """What the info string of a fence says: its first word, or the second of a directive (`{code-block} bash`)."""
    words = re.findall(r"[\w+#.-]+", info.lower())
    if (
        words
        and info.startswith("{")
        and words[0] in {"code", "code-block", "code-cell", "sourcecode", "prompt", "parsed-literal"}
    ):
        words = words[1:] or ([""] if words[0] != "prompt" else ["bash"])
    if not words or not words[0]:
        return Hint.NONE
    return _BY_WORD.get(words[0], Hint.CODE)


def is_sql(line: str, *, lenient: bool = False) -> bool:
    """Whether a SQL statement or a psql command begins here. `lenient` where the fence or the session is SQL."""
    text = line.strip()
    if _META.match(text) and (lenient or not re.match(r"^\\[a-z]+\(", text)):
        return True
    if _SQL_STRONG.match(text):
        return not re.match(r"select\s+\w+\s+in\b", text)
    word = _SQL_WORD.match(text)
    if not word:
        return False
    if lenient:
        return True
    ends = text.endswith((";", "\\G", "\\g")) or text == word.group()
    return ends and (word.group().isupper() or text.endswith((";", "\\G")))


def is_redis(line: str) -> bool:
    """Whether the line is a Redis command as typed into redis-cli."""
    words = line.split()
    return bool(words) and words[0].upper() in _REDIS and (words[0].isupper() or len(words) > 1)


def is_logql(text: str) -> bool:
    """Whether it is a log query: a stream selector and a filter."""
    return _LOGQL.match(text.strip()) is not None


def is_promql(text: str, *, lenient: bool = False) -> bool:
    """Whether this is a whole PromQL expression; `lenient` where the fence says so: then a bare metric is one."""
    stripped = text.strip()
    if (
        not stripped
        or len(stripped) > 5000
        or (not lenient and not (_PROM_SHAPE.search(stripped) and _PROM_RANGE.search(stripped)))
    ):
        return False
    return parses_as_promql(stripped)


def parses_as_promql(text: str) -> bool:
    """Whether the PromQL grammar accepts it, Grafana's interval variables filled in."""
    filled = re.sub(r"\[\$(?:__)?\w+\]", "[5m]", re.sub(r"<[\w .-]+>", "placeholder", text))
    try:
        promql_parser.parse(filled)
    except (ValueError, TypeError, RuntimeError):
        return False
    return True


_STATEMENT = re.compile(r"^\s*(?:from|import|def|class|with|return|print)\b")
_ASSIGNMENT = re.compile(
    r"^(?:[A-Za-z_]\w*\+?=(?:\"(?:[^\"\\]|\\.)*\"|'[^']*'|\$\((?:[^()]|\([^()]*\))*\)"
    r"|[^\s\"'$`(]*(?:\$\{?\w+[^\s\"'$`(]*)*)\s+)+(?=[^\s#\\])"
)
_PATH = re.compile(r"^(?:\.{1,2}/|~/|/)?(?:[\w.@${}<>-]+/)+[\w.@${}<>-]+$|^\./\S+$|^[\w.-]+\.(?:sh|py|pl|rb)$")
_EVIDENCE = re.compile(r"(?:^|\s)--?[A-Za-z]|[|$\"'`<>*=]|&&|(?:^|\s)[~.]?/|\.\w+(?:\s|$)")
_COLUMNS = re.compile(r"\S(?: {2,}|\t+)\S.*\S(?: {2,}|\t+)\S")
_PROSE = re.compile(r"^[A-Za-z][\w'’,-]*(?: [\w'’(),-]+){2,}[.:!?]?$")
_BLOCKS = re.compile(
    r"^(?:for\s+\(?\(?\w+.*|while\s.+|until\s.+|if\s+(?:\[|!|\w+.*;\s*then|\S+\s).*"
    r"|case\s+\S+\s+in|\w[\w-]*\(\)\s*\{?|function\s+\w+.*|\(\(?.+|\{\s+\S.*|\[\[?\s.+)"
)


def strip_assignments(line: str) -> str:
    """Without the assignments before the program."""
    stripped = line.strip()
    found = _ASSIGNMENT.match(shell.mask(stripped))
    return stripped.encode()[len(shell.mask(stripped)[: found.end()].encode()) :].decode() if found else stripped


def is_command(line: str) -> bool:
    """Whether a shell command begins on this line, whatever the block says; statements of Python look like some."""
    return is_shell(line, tagged=False) and _STATEMENT.match(line) is None


def is_shell(line: str, *, tagged: bool, loose: bool = True) -> bool:
    """Whether a shell command begins on this line. `tagged`: the fence says shell. `loose`: no output was seen before."""
    text = line.strip()
    body = strip_assignments(text)
    word = re.split(r"[\s;|&]", body, maxsplit=1)[0]
    rest = body[len(word) :].strip()
    if not word or (_COLUMNS.search(text) and not _EVIDENCE.search(rest) and not text.endswith("\\")):
        return False
    if re.match(r"^[A-Za-z_]\w*\+?=(?!=)", body):
        # A line of assignments alone may as well be a settings file.
        return loose and (tagged or "$(" in text) and not re.match(r"^\w+=\s", text)
    if programs.known(word):
        return _known(word, rest, tagged=tagged, loose=loose)
    if _PATH.match(word) and not word.startswith("<"):
        return _path(word, rest, tagged=tagged)
    if not tagged or not loose:
        return False
    if re.match(r"^>{1,2}\s*\S+$", text) or _BLOCKS.match(text):
        return True
    if re.match(r"^\"?\$\{?[A-Za-z_]\w*\}?\"?(?:/\S+)?$", word) or re.match(r"^<[\w-]+>$", word):
        return bool(rest)
    return re.match(r"^[a-z_][\w.+-]*$", word) is not None and not _prose(word, rest)


def _known(word: str, rest: str, *, tagged: bool, loose: bool) -> bool:
    words = rest.split()
    if words and all(re.fullmatch(r"[A-Z][a-z]+", one) for one in words):
        return False
    if rest.startswith((":", "=", "- ", "-> ", "is ", "are ", "→")) or re.match(r"^\(\w* ?\w*\)", rest):
        return False
    if word not in programs.WORDS:
        return (
            tagged
            or _EVIDENCE.search(f" {rest}") is not None
            or not _PROSE.match(f"{word} {rest}")
            or len(rest.split()) < 6
        )
    if tagged and loose:
        return not (len(rest.split()) > 3 and not _EVIDENCE.search(rest) and rest.endswith((".", ":")))
    return (
        bool(rest) and _EVIDENCE.search(f" {rest}") is not None and not re.search(r"\[options\]|[a-z]\. |[.:]$", rest)
    )


def _path(word: str, rest: str, *, tagged: bool) -> bool:
    words = rest.split()
    if words and all(re.fullmatch(r"[A-Z][a-z]+", one) for one in words):
        return False
    if rest.startswith((":", "=", "→", "-> ")):
        return False
    runnable = word.startswith("./") or re.search(r"\.(?:sh|py|pl|rb)$|(?:^|/)s?bin/", word) is not None
    return runnable or (
        tagged and not word.endswith(("/", ":")) and not re.search(r"\.(?:md|ya?ml|json|txt|log|conf|go|tf)$", word)
    )


def _prose(word: str, rest: str) -> bool:
    text = f"{word} {rest}"
    return not _EVIDENCE.search(f" {rest}") and (len(rest.split()) > 4 or text.endswith((".", ":", "!", ",")))
