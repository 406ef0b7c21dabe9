"""The operator's `service NAME restart`, `systemctl restart NAME` and `sudo COMMAND`, inside an environment."""

# Executing is the purpose.
# ruff: noqa: S606
import os
import socket
import sys

VERBS = ("start", "stop", "restart", "reload", "status", "is-active", "try-restart", "force-reload")
SAME = {"reload": "restart", "try-restart": "restart", "force-reload": "restart", "is-active": "status"}
SUDO_WITH_VALUE = ("-u", "-g", "-p", "-h", "-C", "-D", "-R", "-T", "--user", "--group", "--prompt", "--host", "--chdir")


def ask(address: str, name: str, verb: str) -> int:
    """Have the supervisor do it; the exit status it says."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.connect(address)
        sock.send(f"{name}\0{SAME.get(verb, verb)}".encode())
        status, _, text = sock.recv(65536).decode().partition("\0")
    if text:
        sys.stdout.write(text + "\n")
    return int(status or 1)


def service(address: str, words: list[str]) -> int:
    """`service NAME VERB` or `systemctl VERB NAME…`: whichever of them is a verb."""
    words = [word for word in words if not word.startswith("-")]
    verbs = [word for word in words if word in VERBS]
    names = [word for word in words if word not in VERBS]
    if not verbs or not names:
        sys.stderr.write(f"expected a service and one of {', '.join(VERBS)}; found: {' '.join(words)}\n")
        return 2
    return max(ask(address, name, verbs[0]) for name in names)


def sudo(words: list[str]) -> int:
    """Run the command as who we are: the operator's shell is the only user there is."""
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word in SUDO_WITH_VALUE and words:
            value = words.pop(0)
            if word in {"-u", "--user"} and value == "postgres":
                os.environ["PGUSER"] = value
    while words and "=" in words[0] and words[0].split("=")[0].isidentifier():
        name, _, value = words.pop(0).partition("=")
        os.environ[name] = value
    if not words:
        return 0
    try:
        os.execvp(words[0], words)
    except OSError as error:
        sys.stderr.write(f"sudo: {words[0]}: {error.strerror}\n")
        return 127


def main() -> int:
    """`command.py NAME ADDRESS ARGUMENT…`."""
    name, address, *words = sys.argv[1:]
    if name == "sudo":
        return sudo(words)
    return service(address, words)


if __name__ == "__main__":
    sys.exit(main())
