"""What a command destroys: data, objects, processes, connections, a primary's role. By what it starts, never by running it."""

import itertools
import re
from collections.abc import Callable, Mapping

from harness.model.runbook import Invocation, Language
from harness.runbooks import invocations, programs, shell, sql

Words = tuple[str, ...]

_VERBS = programs.names(
    "delete destroy remove rm rmi purge prune drop terminate kill wipe flush flushall flushdb "
    "uninstall erase del unlink drain evict"
    "truncate reinit failover switchover step-down stepdown down stop detach deregister "
    "promote replicaof slaveof shutdown force-delete"
    " purge_queue delete_queue forget_cluster_node stop_app reset fail_over"
)
_PROGRAMS = programs.names(
    "rm rmdir kill pkill killall shred truncate unlink wipefs mkfs dropdb dropuser lvremove "
    "vgremove pvremove pg_resetwal pg_rewind reboot"
    " shutdown halt poweroff mongorestore userdel groupdel killall5 fdisk parted"
)
_SAFE = programs.names(
    "echo printf grep egrep fgrep rg man which type test [ cat less more tail head awk sed jq sort uniq wc"
)
_SAFE_PREFIX = re.compile(r"^(?:list|get|describe|show|check|head|wait|create|add|help)(?:-|$)")
_RESTORES = programs.names("psql mysql mariadb")
_MONGO = re.compile(
    r"\.(?:drop(?:Database|Index(?:es)?|User)?|deleteMany|deleteOne|remove|update(?:Many|One)?"
    r"|replaceOne|killOp|stepDown|shutdownServer|reIndex)\s*\("
)
_EMPTIED = re.compile(
    r"(?:(?:^|[;&|]\s*):|/dev/null|\becho\s+(?:\"\"|''"
    r"|-n)?)\s*>(?![>&])\s*(?!/dev/null)[\w/$\"]"
)
_METHOD = re.compile(r"\.(?:delete|destroy|drop|truncate|purge|flush)(?:_all|_by|db|all|!)?\b(?!_)|\bkill\(")
_HEROKU = programs.names("restore reset promote killall destroy stop kill remove unset")
_AWS = programs.names("update-secret put-secret-value failover-db-cluster switchover-global-cluster")
_REDIS = re.compile(
    r"client kill|script flush|[lx]trim|cluster (?:failover|reset|forget)|sentinel failover",
)
_PLAIN_VERB = re.compile(r"(?:delete|terminate|destroy|purge|uninstall|remove)(?:-[a-z-]+)?")
_FATAL = re.compile(
    r"(?:^|[-_./:])(?:delete|destroy|drop|purge|wipe|promote|failover|teardown|nuke|truncate"
    r"|flush|cleanup|clean-up|reset)(?:$|[-_./:])",
    re.IGNORECASE,
)
_SCRIPTED = re.compile(
    r"(?:^|[\s;&|'\"(])(?:rm\s+-|rm\s+/|kill\s+-?\d|pkill\s|DROP\s+(?:TABLE|DATABASE)"
    r"|TRUNCATE\s|DELETE\s+FROM|FLUSHALL|FLUSHDB|pg_terminate_backend"
    r"|pg_cancel_backend|pg_drop_replication_slot|pg_ctl\s+(?:promote|stop)|KILL\s+\d|UPDATE\s+\S+\s+SET\s)",
    re.IGNORECASE,
)


def destructive(
    text: str,
    language: Language,
    calls: tuple[Invocation, ...],
    reading: shell.Reading | None,
    context: tuple[str, ...],
) -> bool:
    """Whether it removes or overwrites data, objects, processes or connections, scales to zero, or changes a primary for good."""
    if language is Language.SQL:
        return sql.destructive(text)
    if reading is None:
        words = text.split()
        console = "redis" in " ".join(context) or language is Language.OTHER
        typed = console and bool(words) and words[0].lower() in _VERBS and words[0].isupper()
        mongo = re.search(r"\b(?:db|rs|sh)\.", text) is not None and _MONGO.search(text) is not None
        return typed or mongo or _METHOD.search(text) is not None
    if re.match(r"^>\s*[^>&\s]", text.strip()):
        return True
    if _EMPTIED.search(text) or any(_destroys(call) for call in calls):
        return True
    return any(_fed_restore(words, text) for words in reading.commands)


def _fed_restore(words: shell.Words, text: str) -> bool:
    argv = invocations.launched(words.argv)
    if not argv or not words.fed:
        return False
    call = invocations.invocation(argv)
    program = invocations.invocation(call.inner).program if call.inner else call.program
    if "<<" in text:
        body = text.partition("\n")[2]
        if programs.base(program) in programs.CONSOLES:
            return any(sql.destructive(part) for _, _, part in sql.statements(body))
        return programs.base(program) in {*programs.SHELLS, "ssh"} and _SCRIPTED.search(body) is not None
    dump = re.search(
        r"\.(?:sql|dump|bak|gz|bz2|zst|pgdump)\b|pg_dump|mysqldump|gunzip|zcat|backup|dump", text, re.IGNORECASE
    )
    return programs.base(program) in _RESTORES and dump is not None


def _destroys(call: Invocation) -> bool:
    words = call.argv[1:]
    program = programs.base(call.program)
    if call.inner:
        return _inner(call.inner)
    if program in _PROGRAMS:
        return not ({"-0", "-l", "-L", "--help"} & set(words)) and not (
            program == "kill" and words[:1] in {("-3",), ("-QUIT",), ("-HUP",), ("-USR1",)}
        )
    if program in programs.SHELLS and "-c" in words:
        return _inner(call.argv)
    if re.search(r"\.(?:sh|py|pl|rb)$", program) and _FATAL.search(program):
        return True
    if program in programs.SHELLS and words and _FATAL.search(programs.base(words[0])) and words[0].endswith(".sh"):
        return True
    if program in _SAFE or "--dry-run" in words or any(word.startswith("--dry-run=") for word in words):
        return False
    return _by_program(program, call, words)


def _inner(inner: tuple[str, ...]) -> bool:
    """What runs elsewhere is a command line like any other; a script given to `sh -c` is read as one."""
    call = invocations.invocation(invocations.launched(inner))
    words = list(call.argv)
    if call.program in programs.SHELLS:
        script = next((words[at + 1] for at, word in enumerate(words[:-1]) if re.fullmatch(r"-[a-z]*c", word)), "")
        reading = shell.read(script)
        return any(_destroys(one) for one in invocations.read(reading)) or _SCRIPTED.search(script) is not None
    return _destroys(call)


def _by_program(program: str, call: Invocation, words: Words) -> bool:
    rule = _RULES.get(program)
    if rule is not None:
        return rule(call, words)
    if program.endswith("-ctl"):
        return _services(call, words)
    early = (word for word in words[:4] if not word.startswith("-"))
    named = any(_PLAIN_VERB.fullmatch(word) for word in words)
    return named or any(_is_destructive_verb(word) for word in early) or "--delete" in words or "--drop" in words


def _kubernetes(call: Invocation, words: Words) -> bool:
    verb = call.verb.split(" ", maxsplit=1)[0]
    zero = "--replicas=0" in words or _pair(words, "--replicas", "0")
    return verb in {"delete", "drain", "replace"} or (verb == "scale" and zero)


def _statements(call: Invocation, words: Words) -> bool:
    del call
    given = (word for word in words if " " in word or "(" in word)
    return any(sql.destructive(part) for word in given for _, _, part in sql.statements(word))


def _mongo(call: Invocation, words: Words) -> bool:
    del call
    return _MONGO.search(" ".join(words)) is not None


def _redis(call: Invocation, words: Words) -> bool:
    del call
    named = [word.lower() for word in words]
    return bool(_VERBS & set(named)) or _REDIS.search(" ".join(named)) is not None


def _git(call: Invocation, words: Words) -> bool:
    forced = bool({"-f", "--force", "--delete", "-d"} & set(words))
    return call.verb == "clean" or ("reset" in words and "--hard" in words) or ("push" in words and forced)


def _find(call: Invocation, words: Words) -> bool:
    del call
    runs = bool({"-exec", "-execdir"} & set(words))
    return "-delete" in words or (runs and bool({"rm", "kill", "truncate"} & set(words)))


def _dd(call: Invocation, words: Words) -> bool:
    del call
    return any(re.match(r"of=/(?!dev/null)", word) for word in words)


def _copies(call: Invocation, words: Words) -> bool:
    return any(word.startswith("--delete") for word in words) or call.verb in {"purge", "delete"}


def _services(call: Invocation, words: Words) -> bool:
    del call
    return bool({"stop", "kill", "mask", "disable"} & set(words[:3]))


def _pg_ctl(call: Invocation, words: Words) -> bool:
    del call
    return bool({"promote", "stop"} & set(words))


def _pg_restore(call: Invocation, words: Words) -> bool:
    del call
    written = {"-l", "--list", "-f", "--file"} & set(words) or any(word.startswith("--file=") for word in words)
    return not written


def _crontab(call: Invocation, words: Words) -> bool:
    del call
    return "-r" in words


def _firewall(call: Invocation, words: Words) -> bool:
    del call
    return "-F" in words


def _make(call: Invocation, words: Words) -> bool:
    del call
    targets = (word for word in words if not word.startswith("-"))
    return any(_FATAL.search(word) or re.search(r"(?:^|[-_])(?:restore|down)$", word) for word in targets)


def _heroku(call: Invocation, words: Words) -> bool:
    del words
    return call.verb.rsplit(":", maxsplit=1)[-1] in _HEROKU and call.verb != "config:unset"


def _gcloud(call: Invocation, words: Words) -> bool:
    restores = call.verb == "sql" and "restore" in words
    return restores or any(_is_destructive_verb(word) for word in words if re.fullmatch(r"[a-z][a-z-]*", word))


def _aws(call: Invocation, words: Words) -> bool:
    action = call.verb.rsplit(" ", maxsplit=1)[-1]
    stopped = "update-service" in words and _pair(words, "--desired-count", "0")
    return action in _AWS or _is_destructive_verb(action) or ("sync" in words and "--delete" in words) or stopped


def _terraform(call: Invocation, words: Words) -> bool:
    del call
    return bool({"destroy", "-destroy", "taint"} & set(words)) or words[:2] == ("state", "rm")


def _curl(call: Invocation, words: Words) -> bool:
    del call
    return any(_pair(words, option, "DELETE") for option in ("-X", "--request")) or "-XDELETE" in words


def _docker(call: Invocation, words: Words) -> bool:
    return _is_destructive_verb(call.verb.rsplit(" ", maxsplit=1)[-1]) or "--remove-orphans" in words


_RULES: Mapping[str, Callable[[Invocation, Words], bool]] = {
    **dict.fromkeys(("kubectl", "oc", "k"), _kubernetes),
    **dict.fromkeys(("psql", "mysql", "mariadb", "clickhouse-client", "sqlcmd", "sqlite3"), _statements),
    **dict.fromkeys(("mongo", "mongosh"), _mongo),
    **dict.fromkeys(("redis-cli", "valkey-cli"), _redis),
    **dict.fromkeys(("rsync", "rclone"), _copies),
    **dict.fromkeys(("systemctl", "service", "supervisorctl"), _services),
    **dict.fromkeys(("pg_ctl", "pg_ctlcluster"), _pg_ctl),
    **dict.fromkeys(("terraform", "tofu", "terragrunt"), _terraform),
    **dict.fromkeys(("docker-compose", "docker", "podman"), _docker),
    "aws": _aws,
    "crontab": _crontab,
    "curl": _curl,
    "dd": _dd,
    "find": _find,
    "gcloud": _gcloud,
    "git": _git,
    "heroku": _heroku,
    "iptables": _firewall,
    "make": _make,
    "pg_restore": _pg_restore,
}


def _is_destructive_verb(word: str) -> bool:
    if _SAFE_PREFIX.match(word):
        return False
    lowered = word.lower()
    return (
        lowered in _VERBS
        or lowered.split("-")[0].split(":")[-1] in _VERBS - {"stop", "down", "reset", "fail"}
        or lowered.startswith("stop-")
    )


def _pair(words: tuple[str, ...], option: str, value: str) -> bool:
    return any(first == option and second == value for first, second in itertools.pairwise(words))
