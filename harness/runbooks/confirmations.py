"""Programs that ask before they act, or for a password: which sub-commands do, and which options answer beforehand."""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from harness.model.runbook import Invocation
from harness.runbooks import programs, shell


@dataclass(frozen=True, slots=True)
class _Asking:
    """Sub-commands that ask unless one of `answers` is given; one letter answers in a cluster too (`-af`)."""

    verbs: frozenset[str]
    answers: frozenset[str]


def _asking(verbs: str, answers: str) -> _Asking:
    return _Asking(programs.names(verbs), programs.names(answers))


_TERRAFORM = _asking("apply destroy", "-auto-approve --auto-approve")
_DOCKER = _asking("prune", "-f --force")
_COMPOSE = _asking("rm prune", "-f --force -s --stop")
_RPM = _asking("install update upgrade remove erase autoremove downgrade", "-y --assumeyes")
_APT = _asking("upgrade dist-upgrade full-upgrade autoremove remove purge", "-y --yes --assume-yes -s --simulate")
_ASKING: Mapping[str, _Asking] = {
    **dict.fromkeys(("terraform", "tofu", "terragrunt"), _TERRAFORM),
    **dict.fromkeys(("docker", "podman", "nerdctl"), _DOCKER),
    **dict.fromkeys(("docker-compose", "podman-compose"), _COMPOSE),
    **dict.fromkeys(("yum", "dnf"), _RPM),
    **dict.fromkeys(("apt", "apt-get", "aptitude"), _APT),
    "pulumi": _asking("up update destroy refresh", "-y --yes --skip-preview"),
    "gcloud": _asking("delete restore restart failover resize upgrade", "-q --quiet"),
    "az": _asking("delete purge", "-y --yes"),
    "cf": _asking("delete delete-service delete-space delete-org delete-route", "-f"),
    "heroku": _asking(
        "apps:destroy destroy addons:destroy pg:reset pg:copy pg:push pg:pull pg:backups:restore", "-c --confirm"
    ),
    "velero": _asking("delete", "--confirm"),
    "kubeadm": _asking("reset", "-f --force"),
    "argocd": _asking("delete login", "-y --yes --password --sso --core"),
    **dict.fromkeys(("fly", "flyctl"), _asking("destroy console connect", "-y --yes -C --command")),
    "ansible-vault": _asking(
        "encrypt encrypt_string decrypt view rekey create edit", "--vault-password-file --vault-id --vault-pass-file"
    ),
    "oc": _asking("login", "-u --username -p --password --token -t"),
    "npm": _asking("init login adduser", "-y --yes"),
    "django-admin": _asking("flush collectstatic createsuperuser changepassword shell dbshell", "--noinput --no-input"),
    "systemctl": _asking("edit", "--stdin"),
    "cockroach": _asking("sql", "-e --execute -f --file"),
    "flask": _asking("shell", ""),
    "virsh": _asking("console edit", ""),
}
_GIT = {
    "commit": "-m --message -F --file -C --no-edit --fixup --squash",
    "revert": "--no-edit -n --no-commit --abort",
}
_REPORTS = re.compile(r"-{1,2}(?:http|top|text|svg|png|pdf|list|raw|proto|web|tree|peek|dot|traces|callgrind)\b.*")


def asks(call: Invocation) -> bool:
    """Whether it asks something of whoever started it: a confirmation, a password, a message in an editor."""
    words = call.argv[1:]
    program = "docker-compose" if call.program == "docker" and words[:1] == ("compose",) else call.program
    if any(word.startswith("--ask-") for word in words) or (
        program.startswith("ansible") and {"-K", "-k"} & set(words)
    ):
        return True
    if program in programs.PYTHONS:
        manage = next((at for at, word in enumerate(words) if programs.base(word) == "manage.py"), None)
        program, words = ("django-admin", words[manage + 1 :]) if manage is not None else (program, words)
    match program:
        case "git":
            quiet = programs.names(_GIT.get(call.verb, ""))
            return bool(quiet) and not _given(words, quiet)
        case "rm" | "mv" | "cp":
            return any(re.fullmatch(r"-[a-z]*i[a-z]*", word) for word in words)
        case "ssh-keygen":
            return not _given(words, frozenset({"-N", "-l", "-R", "-F", "-y", "-A", "-H", "-e", "-i"}))
        case "openssl":
            return words[:1] == ("req",) and "-new" in words and not _given(words, frozenset({"-subj", "-batch"}))
        case "fdisk" | "parted":
            return not _given(words, frozenset({"-l", "-s", "--list", "--script"}))
        case "go":
            return words[:2] == ("tool", "pprof") and not any(map(_REPORTS.fullmatch, words))
        case "make":
            return any(re.search(r"(?:^|[-_])(?:shell|console|bash|repl|psql)$", word) for word in words)
        case "php":
            return words[:2] == ("artisan", "tinker")
        case _:
            rule = _ASKING.get(program)
            return rule is not None and _by_rule(rule, words)


def answered(reading: shell.Reading) -> bool:
    """Whether a pipe gives the answer (`yes |`, `echo y |`)."""
    first = reading.commands[0].argv if reading.commands else ()
    return len(reading.commands) > 1 and (first[:1] == ("yes",) or (first[:1] in {("echo",), ("printf",)}))


def _by_rule(rule: _Asking, words: tuple[str, ...]) -> bool:
    operands = [word for word in words if not word.startswith("-")]
    verb = next((word for word in operands[:4] if word in rule.verbs), None)
    if verb is None or _given(words, rule.answers):
        return False
    # What was planned before is applied without a question.
    planned = any(
        first == verb and not second.startswith("-") and rule is _TERRAFORM
        for first, second in itertools.pairwise(words)
    )
    return not planned


def _given(words: tuple[str, ...], options: frozenset[str]) -> bool:
    letters = "".join(option[1] for option in options if len(option) == 2)
    cluster = re.compile(rf"-[a-zA-Z]*[{letters}][a-zA-Z]*") if letters else None
    return any(word.partition("=")[0] in options or (cluster and cluster.fullmatch(word)) for word in words)
