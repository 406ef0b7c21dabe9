"""The servers of an environment: started, stopped and restarted on request, by the harness or by its operator.

A request is a generator that yields while it waits; the supervisor resumes it every few milliseconds.
"""

# The standard library's slow modules are avoided: pathlib alone costs more than all the rest of the start.
# ruff: noqa: PTH103, PTH120, PTH123
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import TypedDict

from harness.substrates.inside.spawn import Identity, Started, Starter, StartError

NICE = 5
"""What servers yield to the instruments by: a machine that is short of CPU is to starve what is measured first."""

Wait = Generator[None, None, str]
"""Yields while there is something to wait for; returns what went wrong, "" if nothing did."""


class Ready(TypedDict):
    """How it is known to be up: `pidfile` of a postmaster, or `path` answered at `host`:`port` by every process; without
    a path it is enough that they listen; with port 0 whoever started it finds out."""

    pidfile: str
    host: str
    port: int
    path: str


class Spec(TypedDict):
    """A server as the harness defines it. `stop` is the signal number, `patience_s` the limit of a start or stop."""

    name: str
    aliases: Sequence[str]
    argv: Sequence[str]
    processes: int
    env: Mapping[str, str]
    env_file: str
    last: Mapping[str, str]
    cwd: str
    log: str
    ready: Ready
    stop: int
    patience_s: float
    identity: Identity


class Service:
    """One server, up or down. `on_change` is told its pids as the harness sees them."""

    def __init__(self, spec: Spec, starter: Starter, proc: int, on_change: Callable[["Service"], None]) -> None:
        self.spec = spec
        self.pids: dict[int, Started] = {}
        self._starter = starter
        self._proc = proc
        self._on_change = on_change
        self._stops = 0

    def known_as(self, name: str) -> bool:
        """Whether somebody who says `name` means it."""
        return name.removesuffix(".service") in {self.spec["name"], *self.spec["aliases"]}

    def ended(self, pid: int) -> bool:
        """Take note that a process has ended; whether it was one of its own."""
        if self.pids.pop(pid, None) is None:
            return False
        self._on_change(self)
        return True

    def status(self) -> str:
        """One line for the operator."""
        state = "active (running)" if self.pids else "inactive (dead)"
        return f"{self.spec['name']}: {state}, pids {', '.join(str(pid.own) for pid in self.pids.values()) or 'none'}"

    def start(self) -> Wait:
        """Start it if it is not running or is about to be no more, and wait until it is ready."""
        deadline = time.monotonic() + self.spec["patience_s"]
        while self._unsettled():
            yield
            if time.monotonic() > deadline:
                return f"{self.spec['name']} has been starting or stopping for {self.spec['patience_s']:.0f} s"
        while not self.pids:
            trouble = self._launch()
            if trouble:
                return trouble
            ready = self._ready()
            while not next(ready):
                yield
                if len(self.pids) < self.spec["processes"]:
                    break
                if time.monotonic() > deadline:
                    return f"{self.spec['name']} is not ready after {self.spec['patience_s']:.0f} s"
            else:
                return ""
            yield from self.stop(signal.SIGKILL)
            # Backends of a server that was killed hold its shared memory for a moment longer.
            if time.monotonic() > deadline or not self.spec["ready"]["pidfile"] or "pre-existing" not in self._tail():
                return f"{self.spec['name']} ended while it started"
            yield
        return ""

    def stop(self, number: int = 0) -> Wait:
        """Send the stop signal, then after the patience SIGKILL, and wait until all its processes are gone."""
        deadline = time.monotonic() + self.spec["patience_s"]
        meant = set(self.pids)  # somebody else may start it again as soon as they are gone
        self._signal(meant, number or self.spec["stop"])
        self._stops += 1
        try:
            while left := meant & set(self.pids):
                yield
                if time.monotonic() > deadline:
                    self._signal(left, signal.SIGKILL)
        finally:
            self._stops -= 1
        return ""

    def _unsettled(self) -> bool:
        """Whether it runs, but may be down in a moment: a stop is under way, it dies, or is a postmaster not quite up."""
        if not self.pids:
            return False
        up = not self.spec["ready"]["pidfile"] or self._postmaster_up()
        return bool(self._stops) or not up or any(dying(pid, self._proc) for pid in self.pids)

    def restart(self) -> Wait:
        """Stop, then start."""
        yield from self.stop()
        return (yield from self.start())

    def _signal(self, pids: Iterable[int], number: int) -> None:
        for pid in set(pids) & set(self.pids):
            os.kill(pid, number)
            if number != signal.SIGKILL:
                os.kill(pid, signal.SIGCONT)

    def _launch(self) -> str:
        env = {**self.spec["env"], **_variables(self.spec["env_file"]), **self.spec["last"]}
        os.makedirs(os.path.dirname(self.spec["log"]), exist_ok=True)
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        log = os.open(self.spec["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            for number in range(self.spec["processes"]):
                started = self._starter.start(
                    {
                        "argv": self.spec["argv"],
                        "env": {**env, "WORKER": str(number)},
                        "cwd": self.spec["cwd"],
                        "identity": self.spec["identity"],
                        "nice": NICE,
                    },
                    (null, log, log),
                )
                self.pids[started.pid] = started
        except StartError as error:
            return str(error)
        finally:
            os.close(null)
            os.close(log)
            self._on_change(self)
        return ""

    def _tail(self) -> str:
        with open(self.spec["log"], "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 2000))
            return file.read().decode("utf-8", "replace")

    def _ready(self) -> Generator[bool, None, None]:
        ready = self.spec["ready"]
        if ready["pidfile"]:
            while True:
                yield self._postmaster_up()
        while ready["port"] and _listeners(ready, self._proc) < self.spec["processes"]:
            yield False
        answered = not (ready["port"] and ready["path"])
        while not answered:
            answered = yield from _asked(ready)
        while True:
            yield True

    def _postmaster_up(self) -> bool:
        """Line 1 of postmaster.pid is its pid; line 8 is `ready` or, on a standby, `standby` (utils/pidfile.h)."""
        try:
            with open(self.spec["ready"]["pidfile"], encoding="utf-8") as file:
                lines = file.read().split("\n")
        except OSError:
            return False
        ours = lines[0] in {str(pid.own) for pid in self.pids.values()}  # a killed server's file stays
        return ours and len(lines) > 7 and lines[7].strip() in {"ready", "standby"}


_PF_EXITING = 0x4
"""Of a zombie as well (include/linux/sched.h)."""


def dying(pid: int, proc: int) -> bool:
    """Whether that process has a SIGKILL coming, is exiting, or is gone (proc_pid_stat(5): fields 9 and 31)."""
    try:
        with open(os.open(f"{pid}/stat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc), "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return True
    return bool(int(fields[6]) & _PF_EXITING or int(fields[28]) >> (signal.SIGKILL - 1) & 1)


def _listeners(ready: Ready, proc: int) -> int:
    """How many sockets listen at that IPv4 address, counting those that listen at every one (proc_net_tcp(5))."""
    addresses = {
        f"{int.from_bytes(socket.inet_aton(address), 'little'):08X}:{ready['port']:04X}"
        for address in (ready["host"], "0.0.0.0")
    }
    with open(os.open("net/tcp", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc), encoding="utf-8") as file:
        fields = [line.split() for line in file]
    return sum(1 for field in fields if field[1] in addresses and field[3] == "0A")


def _asked(ready: Ready) -> Generator[bool, None, bool]:
    """Whether any answer to GET `path` comes within a second."""
    deadline = time.monotonic() + 1.0
    request = f"GET {ready['path']} HTTP/1.0\r\nHost: {ready['host']}\r\n\r\n".encode()
    with socket.socket() as sock:
        sock.setblocking(False)  # noqa: FBT003 - the library's signature
        sock.connect_ex((ready["host"], ready["port"]))
        while time.monotonic() < deadline:
            try:
                if request:
                    request = request[sock.send(request) :]
                else:
                    return sock.recv(12).startswith(b"HTTP/1.")
            except BlockingIOError:
                yield False
            except OSError:
                break
    yield False
    return False


_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*")


def _variables(path: str) -> dict[str, str]:
    """What the operator's environment file says; nothing where there is none."""
    if not path:
        return {}
    with open(path, encoding="utf-8", errors="replace") as file:
        return read_variables(file)


def read_variables(lines: Iterable[str]) -> dict[str, str]:
    """The NAME=value lines among them; quotes around a value are taken off."""
    found = [_LINE.fullmatch(line) for line in lines if not line.lstrip().startswith("#")]
    return {match[1]: _unquoted(match[2]) for match in found if match}


def _unquoted(value: str) -> str:
    quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if quoted else value
