"""What a command line starts: program, verb, object, namespace, what runs elsewhere, and the session it leaves open."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from harness.model.runbook import Invocation
from harness.runbooks import programs, shell

_KUBECTL = frozenset({"kubectl", "k", "oc"})
_DOCKER = frozenset({"docker", "podman", "nerdctl", "docker-compose", "podman-compose"})
_VALUED = {
    "kubectl": programs.names(
        "-n --namespace -l --selector -c --container -o --output -f --filename --context --cluster "
        "--user --kubeconfig -p --patch"
        "--tail --since --field-selector --sort-by --type --image --from --timeout --replicas "
        "--for --server -s --token --as"
        "-k --kustomize --overrides --target --grace-period --to-revision --limits --requests "
        "--from-literal --from-file"
    ),
    "docker": programs.names(
        "-f --file -p --project-name -e --env -u --user -w --workdir --name --network -v --volume "
        "--tail -n --format"
        " --filter -H --host --context --entrypoint --since --until -t --time --scale -a --profile --env-file"
    ),
    "helm": programs.names(
        "-n --namespace -f --values --set --version --kube-context --timeout --set-string -o --revision"
    ),
    "ssh": programs.names("-i -p -l -o -L -R -D -J -F -W -b -c -E -m -S"),
    "sudo": programs.names("-u --user -g --group -h -p -C"),
    "psql": programs.names("-h --host -p --port -U --username -d --dbname -c --command -f --file -v -P -o -F"),
}
_NO_TARGET = frozenset({"exec", "run", "attach", "debug"})


@dataclass(frozen=True, slots=True)
class Session:
    """A session that stays open: `kind` is shell, sql, redis, mongo or python; `text` what opened it."""

    kind: str
    text: str
    remote: bool = False


def read(reading: shell.Reading) -> tuple[Invocation, ...]:
    """One value per simple command of the statement, in order; launchers (`sudo`, `watch`) are looked through."""
    return tuple(invocation(launched(words.argv)) for words in reading.commands if launched(words.argv))


def launched(argv: tuple[str, ...]) -> tuple[str, ...]:
    """The command line that `sudo -u x`, `nohup`, `time`, `xargs`, … launch; else itself."""
    while len(argv) > 1 and argv[0] in programs.LAUNCHERS:
        index = 1
        valued = _VALUED.get(argv[0], frozenset({"-n", "-I", "-P", "-L", "-s", "-k"}))
        while index < len(argv) and (argv[index].startswith("-") or "=" in argv[index] or _is_count(argv[index])):
            index += 2 if argv[index] in valued else 1
        if index >= len(argv):
            return argv
        argv = argv[index:]
    return argv


def _is_count(word: str) -> bool:
    return re.fullmatch(r"\d+(?:\.\d+)?[smhd]?", word) is not None


def invocation(argv: tuple[str, ...]) -> Invocation:
    """What one program is asked to do."""
    program = programs.base(argv[0]) if "/" in argv[0] and not argv[0].startswith("<") else argv[0]
    if program in _KUBECTL:
        return _kubectl(program, argv)
    if program in _DOCKER:
        return _docker(program, argv)
    valued = _VALUED.get(program, frozenset())
    operands = list(_operands(argv[1:], valued))
    if program == "ssh":
        return Invocation(program, argv, object=operands[0] if operands else "", inner=_ssh_inner(argv))
    if program == "helm":
        namespace = _option(argv, "-n", "--namespace")
        return Invocation(program, argv, verb=_at(operands, 0), object=_at(operands, 1), namespace=namespace)
    if program == "psql":
        database = _option(argv, "-d", "--dbname") or _at(operands, 0)
        return Invocation(program, argv, verb="-c" if _option(argv, "-c", "--command") else "", object=database)
    if program == "aws":
        return Invocation(program, argv, verb=" ".join(operands[:2]), object=_at(operands, 2))
    return Invocation(program, argv, verb=_at(operands, 0), object=_at(operands, 1))


def _kubectl(program: str, argv: tuple[str, ...]) -> Invocation:
    own, inner = _split(argv)
    operands = list(_operands(own[1:], _VALUED["kubectl"]))
    verb = _at(operands, 0)
    rest = operands[1:]
    if verb in {"rollout", "set", "config", "auth", "top", "create", "adm"} and rest:
        verb, rest = f"{verb} {rest[0]}", rest[1:]
    if verb.split(" ")[0] in _NO_TARGET and not inner and len(rest) > 1:
        inner, rest = _after(own, rest[0]), rest[:1]
    return Invocation(
        program,
        argv,
        verb=verb,
        object="/".join(rest[:2]) if len(rest) > 1 and "/" not in rest[0] and verb not in _NO_TARGET else _at(rest, 0),
        namespace=_option(own, "-n", "--namespace"),
        selector=_option(own, "-l", "--selector"),
        container=_option(own, "-c", "--container"),
        inner=inner,
    )


def _docker(program: str, argv: tuple[str, ...]) -> Invocation:
    operands = list(_operands(argv[1:], _VALUED["docker"]))
    compose = program.endswith("compose")
    if operands[:1] == ["compose"]:
        compose, operands = True, operands[1:]
    verb = _at(operands, 0)
    if (
        verb in {"system", "container", "image", "volume", "network", "builder", "service", "stack", "node"}
        and len(operands) > 1
    ):
        verb, operands = f"{verb} {operands[1]}", operands[1:]
    target = _at(operands, 1)
    inner = _after(argv, target) if verb in {"exec", "run", "container exec"} and target else ()
    return Invocation(
        program, argv, verb=f"compose {verb}" if compose and program == "docker" else verb, object=target, inner=inner
    )


def _ssh_inner(argv: tuple[str, ...]) -> tuple[str, ...]:
    operands = list(_operands(argv[1:], _VALUED["ssh"]))
    if len(operands) < 2:
        return ()
    inner = _after(argv, operands[0])
    if len(inner) == 1 and " " in inner[0]:
        commands = shell.read(inner[0]).commands
        return commands[0].argv if commands else inner
    return inner


def _split(argv: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if "--" in argv:
        at = argv.index("--")
        return argv[:at], argv[at + 1 :]
    return argv, ()


def _after(argv: tuple[str, ...], word: str) -> tuple[str, ...]:
    at = argv.index(word) if word in argv else len(argv)
    rest = argv[at + 1 :]
    return rest[1:] if rest[:1] == ("--",) else rest


def _operands(words: tuple[str, ...], valued: frozenset[str]) -> Iterator[str]:
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word.startswith("-") and len(word) > 1:
            skip = word in valued
        else:
            yield word


def _option(argv: tuple[str, ...], *names: str) -> str:
    for index, word in enumerate(argv):
        if not word.startswith("-"):
            continue
        for name in names:
            if word == name and index + 1 < len(argv):
                return argv[index + 1]
            if name.startswith("--") and word.startswith(f"{name}="):
                return word[len(name) + 1 :]
            if not name.startswith("--") and word.startswith(name) and len(word) > 2 and not word.startswith("--"):
                return word[2:].removeprefix("=")
    return ""


def _at(words: list[str], index: int) -> str:
    return words[index] if index < len(words) else ""


def opened(reading: shell.Reading, text: str) -> Session | None:
    """The session a statement leaves open for what follows it, if it does."""
    for words in reading.commands:
        if words.argv and not words.fed and (session := _opened(words.argv, text)):
            return session
    return None


def _opened(argv: tuple[str, ...], text: str) -> Session | None:
    if argv[0] == "sudo" and any(word in {"-i", "-s"} for word in argv[1:]) and len(launched(argv)) == len(argv):
        return Session("shell", text)
    called = invocation(launched(argv))
    if called.program in _KUBECTL and called.verb == "rsh":
        return Session("shell", text, remote=True)
    if called.inner:
        inner = _opened(called.inner, text)
        return Session(inner.kind, text, remote=True) if inner else None
    if called.program == "ssh":
        opens = called.object and not any(re.fullmatch(r"-[a-zA-Z]*[NfWG]", word) for word in called.argv[1:])
        return Session("shell", text) if opens else None
    kind = console(called)
    return Session(kind, text) if kind else None


def console(called: Invocation) -> str:
    """The kind of console this opens when started with nothing to do: shell, sql, redis, mongo, python, or empty."""
    words = called.argv[1:]
    base = programs.base(called.program)
    if called.program in programs.SHELLS or base == "su":
        quiet = all(
            word in {"-l", "-i", "--login", "-"} or (base == "su" and not word.startswith("-c")) for word in words
        )
        return "shell" if quiet and "-c" not in words else ""
    if called.program in programs.CONSOLES:
        ends = programs.CONSOLES[called.program]
        runs = any(
            word in ends or word.split("=")[0] in ends or re.fullmatch(r"-[a-zA-Z]*[cefl]", word) for word in words
        )
        return "" if runs else "mongo" if called.program.startswith("mongo") else "sql"
    if called.program in {"redis-cli", "valkey-cli"}:
        acts = list(_operands(words, programs.names("-h -p -a -n -u --user --pass")))
        modes = any(
            word.startswith("--")
            and word.split("=")[0] not in {"--user", "--pass", "--tls", "--cacert", "--no-auth-warning"}
            for word in words
        )
        return "" if acts or modes else "redis"
    if base in programs.PYTHONS:
        return (
            ""
            if any(not word.startswith("-") or word in {"-c", "-m", "-V", "--version"} for word in words)
            else "python"
        )
    return ""
