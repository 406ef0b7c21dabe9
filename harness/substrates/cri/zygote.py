"""The process that all pods and containers are forked from: small, single-threaded, with everything imported.

It is pid 1 of the node's pid namespace, in which all others are, and dies with the runtime: then the kernel ends them all.
It forks, signals, and says what ended with what; it decides nothing.
"""

import array
import gc
import json
import os
import selectors
import signal
import socket
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from harness.substrates.cri import becoming
from harness.substrates.cri.orders import NODE, OWN, Birth, Kill, News
from harness.substrates.inside import kernel

LARGEST = 1 << 16
"""Bytes of a message; an order itself is in a memory file, since an environment can be much larger."""

_FDS = 4


@dataclass(slots=True)
class _Unborn:
    """A child that has not become what it was ordered to."""

    key: str
    pid: int
    report: socket.socket
    news: News = field(default_factory=News)
    terminal: tuple[int, ...] = ()


class Zygote:
    """Serves one control socket until it ends."""

    def __init__(self, control: socket.socket, proc: int) -> None:
        self._control = control
        self._proc = proc
        self._own = os.pidfd_open(os.getpid())
        self._selector = selectors.DefaultSelector()
        self._unborn: dict[int, _Unborn] = {}
        self._pidfds: dict[str, int] = {}
        self._keys: dict[int, str] = {}

    def serve(self) -> None:
        """Do what is asked until nobody is there to ask."""
        wake, woken = socket.socketpair()
        for sock in (wake, woken):
            sock.setblocking(False)  # noqa: FBT003 - the library's signature
        signal.set_wakeup_fd(woken.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector.register(self._control, selectors.EVENT_READ)
        self._selector.register(wake, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._control:
                    if not self._asked():
                        return
                elif key.fileobj is wake:
                    wake.recv(4096)
                else:
                    self._reported(key.fd)
            self._reap()

    def _asked(self) -> bool:
        space = socket.CMSG_SPACE(_FDS * array.array("i").itemsize)
        data, ancillary, _, _ = self._control.recvmsg(LARGEST, space, socket.MSG_CMSG_CLOEXEC)
        if not data:
            return False
        fds = array.array("i")
        for _, _, content in ancillary:
            fds.frombytes(content)
        try:
            if fds:
                with open(fds[0], "rb", closefd=False) as file:
                    self._bear(json.loads(file.read()), fds[1:])
            else:
                self._signal(json.loads(data))
        finally:
            for fd in fds:
                os.close(fd)
        return True

    def _signal(self, order: Kill) -> None:
        pidfd = self._pidfds.get(order["key"])
        if pidfd is not None:
            try:
                signal.pidfd_send_signal(pidfd, order["number"])
            except ProcessLookupError:
                return  # it has ended, and is reaped in a moment

    def _bear(self, order: Birth, stdio: Sequence[int]) -> None:
        key = order["key"]
        joined, pid_namespace = self._joined(order)
        if joined is None or pid_namespace is None:
            self._say({"key": key, "trouble": "what it was to join has ended"})
            return
        try:
            if pid_namespace < 0:
                kernel.unshare(kernel.CLONE_NEWPID)
            else:
                kernel.enter(pid_namespace, kernel.CLONE_NEWPID)
        except OSError as error:
            self._say({"key": key, "trouble": str(error)})
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        trouble = ""
        try:
            pid = os.fork()
        except OSError as error:
            pid, trouble = -1, str(error)
        if not pid:
            becoming.become(order, stdio, report=theirs, joined=joined, proc=self._proc)
        kernel.enter(self._own, kernel.CLONE_NEWPID)
        theirs.close()
        if trouble:
            ours.close()
            self._say({"key": key, "trouble": trouble})
            return
        self._pidfds[key] = os.pidfd_open(pid)
        self._keys[pid] = key
        self._unborn[ours.fileno()] = _Unborn(key, pid, ours)
        self._selector.register(ours, selectors.EVENT_READ)

    def _joined(self, order: Birth) -> tuple[int | None, int | None]:
        """Whose namespaces it joins, and whose pid namespace (-1: a new one); None is nobody that is left."""
        match order["do"]:
            case "holder":
                return self._own, -1
            case "container":
                pids = {OWN: -1, NODE: self._own}.get(order["pid"], self._pidfds.get(order["pid"]))
                return self._pidfds.get(order["pod"]), pids
            case "command":
                container = self._pidfds.get(order["container"])
                return container, container

    def _reported(self, fd: int) -> None:
        """Take what an unborn child says; when it says no more, it is what it was to become, or nothing."""
        unborn = self._unborn[fd]
        data, fds, _, _ = socket.recv_fds(unborn.report, LARGEST, 1, socket.MSG_CMSG_CLOEXEC)
        if data:
            unborn.news.update(json.loads(data))
            unborn.terminal += tuple(fds)
            return
        self._selector.unregister(unborn.report)
        del self._unborn[fd]
        unborn.report.close()
        news = unborn.news
        news["key"] = unborn.key
        if "born" not in news and "trouble" not in news:
            news["trouble"] = "it ended before it began"
        self._say(news, unborn.terminal)
        for terminal in unborn.terminal:
            os.close(terminal)

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            key = self._keys.pop(pid, None)
            if key is None:
                continue
            for fd in [fd for fd, unborn in self._unborn.items() if unborn.pid == pid]:
                while fd in self._unborn:
                    self._reported(fd)
            os.close(self._pidfds.pop(key))
            code = os.waitstatus_to_exitcode(status)
            cpu = round((usage.ru_utime + usage.ru_stime) * 1e9)
            self._say({"key": key, "ended": True, "status": code if code >= 0 else 128 - code, "cpu_ns": cpu})

    def _say(self, news: News, fds: tuple[int, ...] = ()) -> None:
        try:
            socket.send_fds(self._control, [json.dumps(news).encode()], fds)
        except OSError:
            os._exit(1)  # the runtime is gone


def fork() -> socket.socket:
    """Make it, before there are threads; our end of its control socket. OSError where there are no namespaces."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    own = os.pidfd_open(os.getpid())
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    kernel.unshare(kernel.CLONE_NEWPID)
    pid = os.fork()
    if not pid:
        ours.close()
        _live(theirs, proc)
    kernel.enter(own, kernel.CLONE_NEWPID)
    os.close(own)
    os.close(proc)
    theirs.close()
    return ours


def _live(control: socket.socket, proc: int) -> NoReturn:
    kernel.die_with_parent(signal.SIGKILL)
    os.setsid()  # no terminal of ours may interrupt it
    gc.freeze()  # what collecting would touch in each fork, each fork would have to copy
    try:
        Zygote(control, proc).serve()
    except BaseException:  # noqa: BLE001 - nobody else is there to say it
        traceback.print_exc()
    finally:
        os._exit(0)
