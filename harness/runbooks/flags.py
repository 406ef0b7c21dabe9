"""What a command needs and does: a person, an end that never comes, a terminal for nothing, destruction. By what it starts."""

import os.path
import re

from harness.model.runbook import Invocation, Language
from harness.runbooks import invocations, programs, shell, sql

_VERBS = frozenset(
    "delete destroy remove rm rmi purge prune drop terminate kill wipe flush flushall flushdb uninstall erase del unlink drain evict"
    " truncate reinit failover switchover step-down stepdown down stop detach deregister promote replicaof slaveof shutdown force-delete"
    " purge_queue delete_queue forget_cluster_node stop_app reset fail_over".split()
)
_PROGRAMS = frozenset(
    "rm rmdir kill pkill killall shred truncate unlink wipefs mkfs dropdb dropuser lvremove vgremove pvremove pg_resetwal pg_rewind reboot"
    " shutdown halt poweroff mongorestore userdel groupdel killall5 fdisk parted".split()
)
_SAFE = frozenset(
    "echo printf grep egrep fgrep rg man which type test [ cat less more tail head awk sed jq sort uniq wc".split()
)
_FOLLOWERS = frozenset("tail journalctl logs log".split())
_LISTENERS = frozenset("port-forward proxy attach".split())
_OWN = frozenset("git npm docker kubectl oc k".split())
_SAFE_PREFIX = re.compile(r"^(?:list|get|describe|show|check|head|wait|create|add|help)(?:-|$)")
_RESTORES = frozenset("psql mysql mariadb".split())
_MONGO = re.compile(
    r"\.(?:drop(?:Database|Index(?:es)?|User)?|deleteMany|deleteOne|remove|update(?:Many|One)?|replaceOne|killOp|stepDown|shutdownServer|reIndex)\s*\("
)
_EMPTIED = re.compile(r"(?:(?:^|[;&|]\s*):|/dev/null|\becho\s+(?:\"\"|''|-n)?)\s*>(?![>&])\s*(?!/dev/null)[\w/$\"]")
_METHOD = re.compile(r"\.(?:delete|destroy|drop|truncate|purge|flush)(?:_all|_by|db|all|!)?\b(?!_)|\bkill\(")
_FATAL = re.compile(
    r"(?:^|[-_./:])(?:delete|destroy|drop|purge|wipe|promote|failover|teardown|nuke|truncate|flush|cleanup|clean-up|reset)(?:$|[-_./:])",
    re.IGNORECASE,
)
_SCRIPTED = re.compile(
    r"(?:^|[\s;&|'\"(])(?:rm\s+-|rm\s+/|kill\s+-?\d|pkill\s|DROP\s+(?:TABLE|DATABASE)|TRUNCATE\s|DELETE\s+FROM|FLUSHALL|FLUSHDB|pg_terminate_backend"
    r"|pg_cancel_backend|pg_drop_replication_slot|pg_ctl\s+(?:promote|stop)|KILL\s+\d|UPDATE\s+\S+\s+SET\s)",
    re.IGNORECASE,
)


def interactive(text: str, calls: tuple[Invocation, ...], reading: shell.Reading) -> bool:
    """Whether it needs a person or a terminal."""
    if invocations.opened(reading, text) is not None:
        return True
    asks = (words for words in reading.commands if words.argv[:1] == ("read",) and not words.fed)
    return any(_personal(call) for call in calls) or any(
        "-p" in words.argv or len(reading.commands) == 1 for words in asks
    )


def _personal(call: Invocation) -> bool:
    words = call.argv[1:]
    verb = call.verb.split(" ")[-1] if call.verb else ""
    if any(
        first in {"rails", "bin/rails"} and second in {"console", "c", "dbconsole"}
        for first, second in zip(call.argv, words, strict=False)
    ):
        return True
    if call.inner and _personal(invocations.invocation(invocations.launched(call.inner))):
        return True
    if call.program in programs.PERSONAL or (
        call.program in {"mysql", "mysqldump", "mysqladmin", "mariadb"} and "-p" in words
    ):
        return "-b" not in words
    match call.program:
        case "kubectl" | "oc" | "k":
            return verb in {"edit", "rsh"} or (
                verb in {"debug", "run", "attach"} and _terminal(words) and not call.inner
            )
        case "crontab":
            return "-e" in words
        case "git":
            return call.verb == "rebase" and "-i" in words or ("-p" in words and call.verb == "add")
        case "aws":
            return (
                call.verb in {"configure", "sso login", "ssm start-session", "ecs execute-command"}
                or "--interactive" in words
            )
        case "gcloud" | "az":
            return "login" in words[:3] or (
                "ssh" in words[:3] and not any(word.startswith("--command") for word in words)
            )
        case "heroku":
            return words[:2] == ("run", "bash") or call.verb in {"pg:psql", "ps:exec", "login"}
        case "docker" | "docker-compose" | "podman":
            entered = verb == "run" and _terminal(words) and "-i" in "".join(words) and not call.inner
            return entered or (
                verb in {"login", "attach"} and not any(word.startswith(("--password", "-p")) for word in words)
            )
        case _:
            return False


def _terminal(words: tuple[str, ...]) -> bool:
    return any(re.fullmatch(r"-[a-z]*t[a-z]*", word) or word == "--tty" or word == "--tty=true" for word in words)


def tty(calls: tuple[Invocation, ...], *, needs_person: bool) -> bool:
    """Whether it asks for a terminal (`-it`) on a body that needs none."""
    if needs_person:
        return False
    for call in calls:
        if call.inner and call.verb.split(" ")[-1] in {"exec", "run", "debug"}:
            own = call.argv[: len(call.argv) - len(call.inner)]
            if _terminal(own):
                return True
        elif call.program in {"kubectl", "oc", "docker", "podman"} and call.verb in {"exec"} and _terminal(call.argv):
            return True
    return False


def blocking(calls: tuple[Invocation, ...], reading: shell.Reading, text: str) -> bool:
    """Whether it never ends by itself."""
    if text.rstrip().endswith("&") and not text.rstrip().endswith("&&"):
        return False
    if reading.endless or any(words.argv[:1] == ("watch",) for words in reading.commands):
        return True
    limited = any(words.argv[:1] in {("timeout",), ("head",)} for words in reading.commands)
    return not limited and any(_endless(call) for call in calls)


def _endless(call: Invocation) -> bool:
    words = call.argv[1:]
    verbs = set(call.verb.split(" ")) | {call.program}
    short = "".join(word[1:] for word in words if re.fullmatch(r"-[A-Za-z]+", word))
    if call.inner and _endless(invocations.invocation(invocations.launched(call.inner))):
        return True
    if verbs & _FOLLOWERS and _follows(call.program, words, verbs):
        return True
    if "--watch" in words or "--watch=true" in words:
        return True
    match call.program:
        case "kubectl" | "oc" | "k":
            watches = call.verb in {"get", "events"} and bool({"-w", "--watch-only", "-Aw"} & set(words))
            return watches or bool(verbs & _LISTENERS)
        case "docker" | "docker-compose" | "podman":
            up = verbs & {"up"} and not {"-d", "--detach", "--no-start"} & set(words)
            return (
                bool(up) or (call.verb == "stats" and "--no-stream" not in words) or bool(verbs & {"events", "attach"})
            )
        case "redis-cli" | "valkey-cli":
            return (
                bool({"--latency", "--latency-history", "--stat", "MONITOR", "monitor"} & set(words))
                or "SUBSCRIBE" in words
            )
        case "ping":
            return not any(word.startswith("-c") for word in words)
        case "stern" | "k6s" | "nodetool-top" | "mongostat" | "mongotop" | "kafka-console-consumer":
            return not any(
                word in {"--no-follow", "--rowcount", "-n", "--max-messages", "--timeout-ms"} for word in words
            )
        case "tcpdump" | "strace" | "nc" | "ncat":
            return "-c" not in words and (call.program in {"tcpdump"} or "-p" in words or "l" in short)
        case "iostat" | "vmstat" | "sar" | "mpstat":
            return len([word for word in words if word.isdigit()]) == 1
        case "dmesg":
            return bool({"-w", "--follow", "-wT", "-Tw"} & set(words))
        case "minikube":
            return bool({"tunnel", "dashboard"} & set(words)) and not {"--cleanup", "--url"} & set(words)
        case "python" | "python3":
            return words[:2] == ("-m", "http.server")
        case "sleep":
            return "infinity" in words
        case "openssl":
            return call.verb == "s_client"
        case _:
            return ("ssh" in verbs and any(re.fullmatch(r"-[A-Za-z]*N[A-Za-z]*", word) for word in words)) or bool(
                verbs & {"port-forward", "pf"}
            )


def _follows(program: str, words: tuple[str, ...], verbs: set[str]) -> bool:
    at = next((index for index, word in enumerate(words) if word in verbs & _FOLLOWERS), -1)
    options = words[at + 1 :]
    if program == "heroku":
        return bool({"-t", "--tail"} & set(options))
    return any(
        word in {"--follow", "--follow=true"} or re.fullmatch(r"-[a-zA-Z]*[fF][a-zA-Z]*", word) for word in options
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
        if os.path.basename(program) in programs.CONSOLES:
            return any(sql.destructive(part) for _, _, part in sql.statements(body))
        return os.path.basename(program) in {*programs.SHELLS, "ssh"} and _SCRIPTED.search(body) is not None
    dump = re.search(
        r"\.(?:sql|dump|bak|gz|bz2|zst|pgdump)\b|pg_dump|mysqldump|gunzip|zcat|backup|dump", text, re.IGNORECASE
    )
    return os.path.basename(program) in _RESTORES and dump is not None


def _destroys(call: Invocation) -> bool:
    words = call.argv[1:]
    program = os.path.basename(call.program)
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
    if program in programs.SHELLS and words and _FATAL.search(os.path.basename(words[0])) and words[0].endswith(".sh"):
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


def _by_program(program: str, call: Invocation, words: tuple[str, ...]) -> bool:
    match program:
        case "kubectl" | "oc" | "k":
            verb = call.verb.split(" ")[0]
            zero = verb == "scale" and any(re.fullmatch(r"--replicas=?0", word) for word in words)
            zero = zero or (verb == "scale" and _pair(words, "--replicas", "0"))
            return zero or verb in {"delete", "drain"} or (verb == "replace" and "--force" in words)
        case "psql" | "mysql" | "mariadb" | "clickhouse-client" | "sqlcmd" | "sqlite3":
            return any(
                sql.destructive(part)
                for word in words
                if " " in word or "(" in word
                for _, _, part in sql.statements(word)
            )
        case "mongo" | "mongosh":
            return _MONGO.search(" ".join(words)) is not None
        case "redis-cli" | "valkey-cli":
            named = [word.lower() for word in words]
            paired = " ".join(named)
            return (
                bool(_VERBS & set(named))
                or re.search(
                    r"client kill|script flush|[lx]trim|cluster (?:failover|reset|forget)|sentinel failover", paired
                )
                is not None
            )
        case "git":
            return (
                ("reset" in words and "--hard" in words)
                or ("push" in words and bool({"-f", "--force", "--delete", "-d"} & set(words)))
                or (call.verb == "clean")
            )
        case "find":
            return "-delete" in words or (
                bool({"-exec", "-execdir"} & set(words)) and bool({"rm", "kill", "truncate"} & set(words))
            )
        case "dd":
            return any(re.match(r"of=/(?!dev/null)", word) for word in words)
        case "rsync" | "rclone":
            return any(word.startswith("--delete") for word in words) or call.verb in {"purge", "delete"}
        case "systemctl" | "service" | "supervisorctl" | "gitlab-ctl":
            return bool({"stop", "kill", "mask", "disable"} & set(words[:3]))
        case "pg_ctl" | "pg_ctlcluster":
            return bool({"promote", "stop"} & set(words))
        case "pg_restore":
            return not ({"-l", "--list", "-f", "--file"} & set(words)) and not any(
                word.startswith("--file=") for word in words
            )
        case "crontab":
            return "-r" in words
        case "make":
            return any(
                _FATAL.search(word) or re.search(r"(?:^|[-_])(?:restore|down)$", word)
                for word in words
                if not word.startswith("-")
            )
        case "heroku":
            action = call.verb.split(":")[-1]
            return (
                action in {"restore", "reset", "promote", "killall", "destroy", "stop", "kill", "remove", "unset"}
                and call.verb != "config:unset"
            )
        case "gcloud":
            restores = call.verb == "sql" and "restore" in words
            return restores or any(
                _is_destructive_verb(word)
                for word in words
                if re.fullmatch(r"[a-z-]+", word) and not word.startswith("-")
            )
        case "iptables":
            return "-F" in words
        case "aws":
            action = call.verb.split(" ")[-1]
            replaced = action in {
                "update-secret",
                "put-secret-value",
                "failover-db-cluster",
                "switchover-global-cluster",
            }
            return (
                replaced
                or _is_destructive_verb(action)
                or ("sync" in words and "--delete" in words)
                or ("update-service" in words and _pair(words, "--desired-count", "0"))
            )
        case "terraform" | "tofu" | "terragrunt":
            return bool({"destroy", "-destroy", "taint"} & set(words)) or words[:2] == ("state", "rm")
        case "curl":
            return any(_pair(words, option, "DELETE") for option in ("-X", "--request")) or "-XDELETE" in words
        case "docker-compose" | "docker" | "podman":
            return _is_destructive_verb(call.verb.split(" ")[-1]) or "--remove-orphans" in words
        case _:
            early = (word for word in words[:4] if not word.startswith("-"))
            named = any(
                re.fullmatch(r"(?:delete|terminate|destroy|purge|uninstall|remove)(?:-[a-z-]+)?", word)
                for word in words
            )
            return (
                named or any(_is_destructive_verb(word) for word in early) or "--delete" in words or "--drop" in words
            )


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
    return any(first == option and second == value for first, second in zip(words, words[1:], strict=False))
