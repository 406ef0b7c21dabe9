"""Starting a program of an environment as somebody in particular. Not what is started, nor what becomes of it."""

# No pathlib: it costs more than all the rest of the start. Executing is the purpose.
# ruff: noqa: PTH112, PTH123, S606
import json
import os
import signal
from collections.abc import Mapping, Sequence
from typing import NamedTuple, NoReturn, NotRequired, TypedDict

from harness.substrates.inside import kernel, landlock, root


class Identity(TypedDict):
    """Who a program runs as.

    In namespaces: user and group number in a user namespace of its own, with a mount namespace if it is not trusted. In
    process isolation: those of the host, -1 for what the harness has. `hidden` from the system's processes, with a /proc of
    its own: what measures must not be hit by what a runbook kills. `confined`: Landlock, with what it may read.
    """

    uid: int
    gid: int
    nested: bool
    apart: bool
    hidden: bool
    confined: bool


class Confinement(TypedDict):
    """What Landlock leaves to programs of the operator."""

    readable: Sequence[str]
    writable: Sequence[str]
    ports: Sequence[int]


class Program(TypedDict):
    """What is started; `nice` is added to the supervisor's (nice(2))."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    identity: Identity
    nice: NotRequired[int]


class Started(NamedTuple):
    """A program's pid as the supervisor, the harness, and it itself know it."""

    pid: int
    host: int
    own: int


class PidNamespaces(NamedTuple):
    """Descriptors of the supervisor's, for what is hidden, and the system's."""

    ours: int
    system: int


class StartError(Exception):
    """The program could not be started; the text says why."""


class Starter:
    """Forks and executes. `proc` is a writable /proc of this pid namespace, `host_proc` that of the harness.

    Without namespaces there is nothing to enter, and programs are told to die with their parent.
    """

    def __init__(
        self, *, proc: int, host_proc: int, confinement: Confinement, namespaces: PidNamespaces | None
    ) -> None:
        self._proc = proc
        self._host_proc = host_proc
        self._confinement = confinement
        self._namespaces = namespaces

    def start(self, program: Program, stdio: Sequence[int]) -> Started:
        """Start it. StartError if it is not there or may not be executed."""
        report, told = os.pipe2(os.O_CLOEXEC)
        if self._namespaces:
            wanted = self._namespaces.ours if program["identity"]["hidden"] else self._namespaces.system
            kernel.enter(wanted, kernel.CLONE_NEWPID)
        pid = os.fork()
        if not pid:
            self._become(program, stdio, told)
        os.close(told)
        with open(report, "rb") as file:
            numbers, _, trouble = file.read().decode().partition("\n")
        if trouble:
            os.waitpid(pid, 0)
            raise StartError(f"{program['argv'][0]}: {json.loads(trouble)}")
        host, own = numbers.split()
        return Started(pid, int(host), int(own))

    def _become(self, program: Program, stdio: Sequence[int], told: int) -> NoReturn:
        try:
            host_pid = os.readlink("self", dir_fd=self._host_proc)
            os.write(told, f"{host_pid} {os.getpid()}\n".encode())
            os.setsid()
            for each in (signal.SIGPIPE, signal.SIGINT):  # whoever was started in the background is deaf to Ctrl-C
                signal.signal(each, signal.SIG_DFL)
            os.nice(program.get("nice", 0))
            self._take(program["identity"])
            os.chdir(program["cwd"])
            for number, fd in enumerate(stdio):
                os.dup2(fd, number)
            os.execvpe(program["argv"][0], list(program["argv"]), dict(program["env"]))
        except BaseException as error:  # noqa: BLE001 - a forked child may only report and go
            os.write(told, json.dumps(str(error)).encode())
        finally:
            os._exit(127)

    def _take(self, identity: Identity) -> None:
        if identity["hidden"] and self._namespaces:
            kernel.unshare(kernel.CLONE_NEWNS)
            kernel.mount(root.OUR_PROC, "/proc", "", flags=kernel.MS_BIND | kernel.MS_REC)
        if identity["nested"]:
            kernel.unshare(kernel.CLONE_NEWUSER | (kernel.CLONE_NEWNS if identity["apart"] else 0))
            self._map("setgroups", "deny")
            self._map("uid_map", f"{identity['uid']} 0 1")
            self._map("gid_map", f"{identity['gid']} 0 1")
            if identity["apart"] and os.path.isdir(root.OTHER_TMP):
                kernel.mount(root.OTHER_TMP, "/tmp", "", flags=kernel.MS_BIND)  # noqa: S108
        elif identity["uid"] >= 0:
            os.setgroups([])
            os.setresgid(identity["gid"], identity["gid"], identity["gid"])
            os.setresuid(identity["uid"], identity["uid"], identity["uid"])
        if not self._namespaces:
            kernel.die_with_parent(signal.SIGKILL)
        if identity["confined"]:
            limits = self._confinement
            landlock.restrict(writable=limits["writable"], readable=limits["readable"], ports=limits["ports"])
        kernel.no_new_privileges()

    def _map(self, name: str, line: str) -> None:
        fd = os.open(f"self/{name}", os.O_WRONLY, dir_fd=self._proc)
        os.write(fd, line.encode())
        os.close(fd)
