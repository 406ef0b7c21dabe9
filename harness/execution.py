"""Runs programs of the host: the only user of subprocess. Environment and process group are always the program's own.

Not for programs inside an environment: those are started by the environment's supervisor (harness.substrates.local).
"""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from harness.clock import now
from harness.errors import SubstrateError
from harness.model.units import SECOND, Ns, milliseconds
from harness.ports import Completed

KEPT = 256 * 1024
"""How many bytes of a program's output are kept of its beginning, and as many of its end."""

GRACE = milliseconds(500)
"""How long `run` waits between interrupt, terminate and kill at a time limit."""

DRAIN = milliseconds(200)
"""How long output is still read after a program's end: somebody outside its group may hold the pipe open."""


def find(program: str) -> str | None:
    """The path of a program on the harness's own PATH; None if there is none."""
    return shutil.which(program)


def installed(program: str, path: str = os.defpath) -> bool:
    """Whether a PATH other than the harness's own leads to that program."""
    return shutil.which(program, path=path) is not None


class Bounded:
    """Output in bounded memory: its first and last `kept` bytes, and a line that says how much is missing between."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._head = bytearray()
        self._tail = bytearray()
        self._missing = 0

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        room = self._kept - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        surplus = len(self._tail) - self._kept
        if surplus > 0:
            del self._tail[:surplus]
            self._missing += surplus

    def text(self) -> str:
        """What was kept, undecodable bytes replaced."""
        if not self._missing:
            return (self._head + self._tail).decode("utf-8", "replace")
        gap = f"\n[{self._missing} bytes left out here]\n"
        return self._head.decode("utf-8", "replace") + gap + self._tail.decode("utf-8", "replace")


class Capture:
    """Reads the other end of a pipe while the loop runs. Give `sink` to the program, then call `listen`."""

    def __init__(self) -> None:
        self._source, self.sink = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._source, False)
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._kept = Bounded()

    def listen(self) -> None:
        """Close our copy of the writing end and read from now on."""
        os.close(self.sink)
        self.sink = -1
        self._loop.add_reader(self._source, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._source, 65536)
        except BlockingIOError:
            return
        if data:
            self._kept.add(data)
        else:
            self._loop.remove_reader(self._source)
            self._ended.set()

    async def finish(self) -> str:
        """The text, once everybody has closed the pipe, or shortly after: then it is cut and says nothing of it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN / SECOND):
                await self._ended.wait()
        self.close()
        return self._kept.text()

    def close(self) -> None:
        """Let go of the pipe."""
        if self.sink >= 0:
            os.close(self.sink)
            self.sink = -1
        if self._source >= 0:
            self._loop.remove_reader(self._source)
            os.close(self._source)
            self._source = -1


@contextmanager
def as_input(text: str) -> Iterator[int]:
    """A file descriptor that `text` can be read from, however much it is and whether or not it is read."""
    fd = os.memfd_create("stdin", os.MFD_CLOEXEC)
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(text.encode("utf-8", "surrogateescape"))
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


class Child:
    """A program of the host that was started, in a session of its own. Fulfils ports.Process."""

    def __init__(self, popen: "subprocess.Popen[bytes]") -> None:
        self._popen = popen
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._pidfd = os.pidfd_open(popen.pid)
        self._loop.add_reader(self._pidfd, self._reap)

    @property
    def pid(self) -> int:
        """Its pid, which is its process group's as well."""
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """Its exit status, -n for signal n, None while it runs."""
        return self._popen.returncode

    def _reap(self) -> None:
        # What is left of the group goes before the leader is reaped: afterwards the number may be somebody else's.
        self.signal(signal.SIGKILL)
        self._popen.wait()
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        if self._popen.stdin is not None:
            with suppress(BrokenPipeError):
                self._popen.stdin.close()
        self._ended.set()

    def signal(self, number: int) -> None:
        """Send a signal to its whole group; nothing if it has ended."""
        if self._popen.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._popen.pid, number)

    async def send(self, line: str) -> None:
        """Write one line to its standard input. BrokenPipeError if it does not read any more."""
        if self._popen.stdin is None or self._popen.returncode is not None:
            raise BrokenPipeError(f"{self._popen.args!s} has ended")
        await asyncio.to_thread(_write_line, self._popen.stdin.fileno(), line)

    async def wait(self, timeout: Ns) -> int | None:
        """Its exit status, or None if it still runs after `timeout` ns."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout / SECOND):
                await self._ended.wait()
        return self._popen.returncode

    async def stop(self, grace: Ns = 2 * SECOND) -> int | None:
        """Interrupt, terminate and at last kill its group, `grace` ns apart; its exit status."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self.signal(number)
            if await self.wait(grace) is not None:
                return self._popen.returncode
        return await self.kill()

    async def kill(self) -> int | None:
        """Kill its group at once; its exit status."""
        self.signal(signal.SIGKILL)
        return await self.wait(SECOND)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            await self.stop()
        else:
            await self.kill()


def _write_line(fd: int, line: str) -> None:
    data = line.encode() + b"\n"
    while data:
        data = data[os.write(fd, data) :]


class Running(Protocol):
    """A program under way, wherever it runs."""

    async def wait(self, timeout: Ns) -> int | None:
        """Its exit status, or None if it still runs after `timeout` ns."""
        ...

    async def stop(self, grace: Ns) -> int | None:
        """Interrupt, terminate and at last kill its group, `grace` ns apart."""
        ...

    async def kill(self) -> int | None:
        """Kill its group at once."""
        ...


Launch = Callable[[int, int, int], Awaitable[Running]]
"""Starts a program on descriptors for its standard input, output and error, which are the caller's to close."""


async def captured(argv: Sequence[str], launch: Launch, *, stdin: str, timeout: Ns) -> Completed:
    """Have a program launched, and follow it to its end as `run` does."""
    begun = now()
    out, err = Capture(), Capture()
    try:
        with as_input(stdin) as source:
            program = await launch(source, out.sink, err.sink)
        out.listen()
        err.listen()
        try:
            status = await program.wait(timeout)
            if status is None:
                await program.stop(GRACE)
        except BaseException:
            await program.kill()
            raise
        took = now() - begun
        return Completed(tuple(argv), status, await out.finish(), await err.finish(), took)
    finally:
        out.close()
        err.close()


async def run(
    argv: Sequence[str], *, env: Mapping[str, str], cwd: Path | None = None, stdin: str = "", timeout: Ns
) -> Completed:
    """Run a program to its end; at `timeout` ns its group is interrupted, terminated, killed, and `status` is None.

    What it had printed by then is kept. SubstrateError if it cannot be started.
    """

    async def launch(source: int, out: int, err: int) -> Running:
        return Child(_popen(argv, env=env, cwd=cwd, stdin=source, stdout=out, stderr=err))

    return await captured(argv, launch, stdin=stdin, timeout=timeout)


def succeeds(argv: Sequence[str], *, env: Mapping[str, str], timeout: Ns) -> bool:
    """Whether a program ends with status 0 within `timeout` ns. It blocks: for a question asked once, before any loop."""
    try:
        done = subprocess.run(  # noqa: PLW1510 - its status is the answer
            list(argv), env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout / SECOND
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def said(argv: Sequence[str], *, env: Mapping[str, str], timeout: Ns) -> str:
    """What a program prints; empty where it cannot be started or takes longer than `timeout` ns. It blocks, as `succeeds`."""
    try:
        done = subprocess.run(  # noqa: PLW1510 - its output is the answer
            list(argv), env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout / SECOND
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace")


def start(  # noqa: PLR0913 - each is a part of how a program starts
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    stdout: Path | None = None,
    stderr: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> Child:
    """Start a program, appending its output to files (None: it is dropped). SubstrateError if it cannot be started."""
    with _appended(stdout) as out, _appended(stderr) as err:
        popen = _popen(argv, env=env, cwd=cwd, stdin=subprocess.PIPE, stdout=out, stderr=err, pass_fds=pass_fds)
    return Child(popen)


async def foreground(argv: Sequence[str], *, env: Mapping[str, str]) -> int:
    """Run a program on the harness's own terminal, and return its exit status, -n for signal n.

    Ctrl-C is meant for it, not for the harness meanwhile; it is killed when the harness gives up. SubstrateError if it cannot
    be started.
    """
    popen = _on_the_terminal(argv, env)
    deaf = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGQUIT)}
    ended = asyncio.Event()
    pidfd = os.pidfd_open(popen.pid)
    asyncio.get_running_loop().add_reader(pidfd, ended.set)
    try:
        await ended.wait()
        return popen.wait()
    finally:
        asyncio.get_running_loop().remove_reader(pidfd)
        os.close(pidfd)
        popen.kill()
        popen.wait()
        for number, handler in deaf.items():
            signal.signal(number, handler)


def _on_the_terminal(argv: Sequence[str], env: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(list(argv), env=dict(env))
    except (OSError, ValueError) as error:
        raise SubstrateError(f"{argv[0]}: cannot be started: {error}") from error


@contextmanager
def _appended(path: Path | None) -> Iterator[int]:
    if path is None:
        yield subprocess.DEVNULL
        return
    with path.open("ab") as file:
        yield file.fileno()


def _popen(  # noqa: PLR0913 - each is a part of how a program starts
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None,
    stdin: int,
    stdout: int,
    stderr: int,
    pass_fds: Sequence[int] = (),
) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(
            list(argv),
            env=dict(env),
            cwd=cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=tuple(pass_fds),
            start_new_session=True,
            bufsize=0,
        )
    except (OSError, ValueError) as error:
        raise SubstrateError(f"{argv[0]}: cannot be started: {error}") from error
