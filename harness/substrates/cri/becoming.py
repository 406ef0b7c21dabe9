"""What a fork of the zygote does to become a pod's holder, a container's first process, or a command in a container.

It may only execute, serve as a holder, or report what is wrong and go.
"""

# It runs in a fork of a process that is kept small: no pathlib. Executing is the purpose.
# ruff: noqa: PTH103, PTH113, PTH116, PTH118, PTH123, S606
import fcntl
import json
import os
import signal
import socket
import stat
import termios
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NoReturn, assert_never

from harness.substrates.cri import rootfs
from harness.substrates.cri.orders import Birth, Command, Container, Holder, User
from harness.substrates.inside import kernel

LAST_CAPABILITY = "/proc/sys/kernel/cap_last_cap"
_JOINED = kernel.CLONE_NEWNET | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC
PAUSE = "/pause"
"""What a pod's first process is called, as elsewhere."""

_NOT_FOUND = 127


class BirthError(Exception):
    """The program cannot be executed; the text is as other runtimes word it."""


def become(order: Birth, stdio: Sequence[int], *, report: socket.socket, joined: int, proc: int) -> NoReturn:
    """Do it. `joined` is a pidfd of the process whose namespaces are joined, `proc` the runtime's /proc."""
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        _say(report, {"born": int(os.readlink("self", dir_fd=proc))})
        os.setsid()
        match order["do"]:
            case "holder":
                _hold(order, report, proc)
            case "container":
                _contain(order, stdio, report, joined)
            case "command":
                _command(order, stdio, report, joined)
            case _ as never:
                assert_never(never)
    except BaseException as error:  # noqa: BLE001 - a forked child may only report and go
        _say(report, {"trouble": str(error) or type(error).__name__})
    finally:
        os._exit(_NOT_FOUND)


def _say(report: socket.socket, news: Mapping[str, object], fds: Sequence[int] = ()) -> None:
    socket.send_fds(report, [json.dumps(news).encode()], list(fds))


def _yield_memory(order: Container | Command) -> None:
    """Be ended sooner than others when the machine has no memory left; only root of the machine can be ended later. By the
    container's /proc: the environment's is read-only."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write(str(order["oom_score_adj"]))


def _hold(order: Holder, report: socket.socket, proc: int) -> NoReturn:
    flags = kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS
    flags |= kernel.CLONE_NEWIPC if order["ipc"] else 0
    flags |= kernel.CLONE_NEWNET if order["network"] else 0
    kernel.unshare(flags)
    socket.sethostname(order["hostname"])
    if order["network"]:
        kernel.loopback_up()
        _set(order["sysctls"], order["proc"])
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    if order["program"]:
        os.execve(order["program"][0], list(order["program"]), {})
    with os.fdopen(os.open("self/stat", os.O_RDONLY, dir_fd=proc), encoding="utf-8") as stat:
        kernel.call_itself(PAUSE, stat.read())  # containers that share their processes see it
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    keep = report.detach()
    os.closerange(3, keep)
    os.closerange(keep, 1 << 20)  # the last to go is the report: its end says that all is done
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        signal.sigwait({signal.SIGCHLD})


def _set(sysctls: Mapping[str, str], proc: str) -> None:
    kernel.mount("none", "/", "", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("proc", proc, "proc", flags=kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    for name, value in sysctls.items():
        with open(f"{proc}/sys/{name.replace('.', '/')}", "w", encoding="ascii") as file:
            file.write(value)
    kernel.unmount(proc)


def _contain(order: Container, stdio: Sequence[int], report: socket.socket, pod: int) -> NoReturn:
    last = _last_capability()
    kernel.enter(pod, _JOINED)
    kernel.unshare(kernel.CLONE_NEWNS)
    rootfs.build(order["root"])
    _yield_memory(order)
    _standard(order["terminal"], stdio, report)
    user = order["user"]
    if user["uid"] or user["gid"]:
        kernel.unshare(kernel.CLONE_NEWUSER)
        for name, line in {
            "setgroups": "deny",
            "uid_map": f"{user['uid']} 0 1",
            "gid_map": f"{user['gid']} 0 1",
        }.items():
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(line)
    _limit(user, last)
    _execute(order)


def _command(order: Command, stdio: Sequence[int], report: socket.socket, container: int) -> NoReturn:
    last = _last_capability()
    kernel.enter(container, _JOINED | kernel.CLONE_NEWNS)
    _yield_memory(order)
    _standard(order["terminal"], stdio, report)
    if order["user"]["uid"] or order["user"]["gid"]:
        kernel.enter(container, kernel.CLONE_NEWUSER)
    _limit(order["user"], last)
    _execute(order)


def _last_capability() -> int:
    with open(LAST_CAPABILITY, encoding="ascii") as file:
        return int(file.read())


def _standard(terminal: bool, stdio: Sequence[int], report: socket.socket) -> None:  # noqa: FBT001 - as ordered
    if terminal:
        master, slave = os.openpty()
        _say(report, {}, (master,))
        os.close(master)
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        stdio = (slave, slave, slave)
    for number, fd in enumerate(stdio):
        os.dup2(fd, number)


def _limit(user: User, last: int) -> None:
    for number in range(last + 1):
        if number not in user["capabilities"]:
            kernel.drop_capability(number)
    if user["no_new_privileges"]:
        kernel.no_new_privileges()


def _execute(order: Container | Command) -> NoReturn:
    cwd = order["cwd"] or "/"
    if order["do"] == "container":
        os.makedirs(cwd, exist_ok=True)
    os.chdir(cwd)
    os.umask(0o022)
    program = order["argv"][0]
    path = _found(program, order["env"].get("PATH", os.defpath))
    try:
        os.execve(path, list(order["argv"]), dict(order["env"]))
    except OSError as error:
        raise BirthError(f"exec {program}: {_reason(error)}") from error


def _found(program: str, path: str) -> str:
    """The file of a program, as Go's exec.LookPath finds it and words what is wrong."""
    if "/" in program:
        try:
            mode = os.stat(program).st_mode
        except OSError as error:
            raise BirthError(f'exec: "{program}": stat {program}: {_reason(error)}') from error
        if stat.S_ISDIR(mode):
            raise BirthError(f'exec: "{program}": is a directory')
        if not os.access(program, os.X_OK):
            raise BirthError(f'exec: "{program}": permission denied')
        return program
    for folder in path.split(":"):
        candidate = os.path.join(folder or ".", program)
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    raise BirthError(f'exec: "{program}": executable file not found in $PATH')


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
