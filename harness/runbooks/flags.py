"""What a command needs: a person, a terminal, an end that never comes. By what it starts."""

import itertools
import re

from harness.model.runbook import Invocation
from harness.runbooks import confirmations, invocations, programs, shell

_FOLLOWERS = programs.names("tail journalctl logs log")
_LISTENERS = programs.names("port-forward proxy attach")


def interactive(text: str, calls: tuple[Invocation, ...], reading: shell.Reading) -> bool:
    """Whether it needs a person or a terminal."""
    if invocations.opened(reading, text) is not None:
        return True
    if not confirmations.answered(reading) and any(confirmations.asks(call) for call in calls):
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
        for first, second in itertools.pairwise(call.argv)
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
            return (call.verb == "rebase" and "-i" in words) or ("-p" in words and call.verb == "add")
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
    return any(re.fullmatch(r"-[a-z]*t[a-z]*", word) or word in {"--tty", "--tty=true"} for word in words)


def tty(calls: tuple[Invocation, ...], *, needs_person: bool) -> bool:
    """Whether it asks for a terminal (`-it`) on a body that needs none."""
    if needs_person:
        return False
    for call in calls:
        if call.inner and call.verb.split(" ")[-1] in {"exec", "run", "debug"}:
            own = call.argv[: len(call.argv) - len(call.inner)]
            if _terminal(own):
                return True
        elif call.program in {"kubectl", "oc", "docker", "podman"} and call.verb == "exec" and _terminal(call.argv):
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
            return "-c" not in words and (call.program == "tcpdump" or "-p" in words or "l" in short)
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
