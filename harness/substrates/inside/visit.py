"""`visit.py PID FOLDER COMMAND…`: runs somebody's own program, with the files it knows, in an environment's network.

It joins the user, network and pid namespaces of process PID, so that it ends with the environment; of mounts it has a copy of
the host's, in which /proc is the environment's and the files of FOLDER lie over those of the same names in /etc. Not
containment: for what a person runs by hand. Its exit status is the program's.
"""

# Executing is the purpose.
# ruff: noqa: S606
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

sys.path.insert(0, os.path.abspath(__file__).rsplit("/harness/", 1)[0])  # noqa: PTH100 - as its neighbours

from harness.substrates.inside import kernel

NOT_FOUND = 127


def join(pid: int) -> None:
    """Enter the namespaces of that process; the pid namespace with the next child (setns(2): the user's first)."""
    kinds = {"user": kernel.CLONE_NEWUSER, "net": kernel.CLONE_NEWNET, "pid": kernel.CLONE_NEWPID}
    opened = [(os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC), kind) for name, kind in kinds.items()]
    for namespace, kind in opened:
        kernel.enter(namespace, kind)


def furnish(folder: Path) -> None:
    """A copy of the host's mounts with what differs."""
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", "", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("proc", "/proc", "proc", flags=kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    for path in sorted(folder.iterdir()):
        try:
            kernel.mount(str(path), f"/etc/{path.name}", "", flags=kernel.MS_BIND)
        except OSError as error:
            sys.stderr.write(f"rundrill: names of the cluster may not resolve: {error}\n")


def be(uid: int, gid: int) -> None:
    """In a user namespace of its own, the user who asked: the environment's knows nobody but root."""
    kernel.unshare(kernel.CLONE_NEWUSER)
    for name, line in (("setgroups", "deny"), ("uid_map", f"{uid} 0 1"), ("gid_map", f"{gid} 0 1")):
        Path(f"/proc/self/{name}").write_text(line, encoding="ascii")


def become(folder: Path, user: tuple[int, int], argv: Sequence[str]) -> NoReturn:
    """Be that program; 127 with a reason where it cannot be."""
    try:
        furnish(folder)
        if user[0]:
            be(*user)
        os.execvp(argv[0], list(argv))
    except OSError as error:
        sys.stderr.write(f"rundrill: {argv[0]}: {error.strerror or error}\n")
        sys.stderr.flush()
    finally:
        os._exit(NOT_FOUND)


def main() -> int:
    """The program."""
    folder, argv = Path(sys.argv[2]), sys.argv[3:]
    user = os.getuid(), os.getgid()
    join(int(sys.argv[1]))
    child = os.fork()
    if not child:
        become(folder, user, argv)

    def forward(number: int, _: FrameType | None) -> None:
        with suppress(ProcessLookupError):  # the environment may have ended, and it with that
            os.kill(child, number)

    for number in (signal.SIGINT, signal.SIGQUIT):  # the terminal sends them to the program as well
        signal.signal(number, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, forward)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status < 0:
        if -status not in {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


if __name__ == "__main__":
    sys.exit(main())
