"""Pipes between a session's streams and a process: this side's ends belong to the event loop, the other ends are plain."""

import asyncio
import os
from typing import Self

from harness.substrates.cri.sessions import Stdio

CHUNK = 1 << 15


class Pipes:
    """The pipes of one session, of which only those asked for are made. `stdio` holds the far ends until `release`."""

    def __init__(self, *, stdin: bool, stdout: bool, stderr: bool) -> None:
        far_in, self._in = _pipe(wanted=stdin)
        self._out, far_out = _pipe(wanted=stdout)
        self._err, far_err = _pipe(wanted=stderr)
        self.stdio = Stdio(far_in, far_out, far_err)
        for end in (self._in, self._out, self._err):
            if end is not None:
                os.set_blocking(end, False)

    async def feed(self, data: bytes) -> None:
        """Write all of `data` to the process. BrokenPipeError if it does not read any more."""
        view = memoryview(data)
        while view:
            if self._in is None:
                raise BrokenPipeError("standard input is closed")
            try:
                view = view[os.write(self._in, view) :]
            except BlockingIOError:
                await _ready(self._in, writing=True)

    def end_input(self) -> None:
        """There is no more for the process to read."""
        _close(self._in)
        self._in = None

    def end_output(self) -> None:
        """Nobody reads the process's output any more."""
        _close(self._out)
        self._out = None

    def end_errors(self) -> None:
        """Nobody reads the process's error output any more."""
        _close(self._err)
        self._err = None

    async def output(self) -> bytes:
        """The next of the process's output; b"" when nobody can write any more."""
        return await _read(self._out)

    async def errors(self) -> bytes:
        """The next of the process's error output; b"" when nobody can write any more."""
        return await _read(self._err)

    def release(self) -> None:
        """Let go of the far ends: from now on only those who duplicated them hold them."""
        for end in (self.stdio.stdin, self.stdio.stdout, self.stdio.stderr):
            _close(end)
        self.stdio = Stdio(None, None, None)

    def sever(self) -> None:
        """Let go of the near ends: who reads finds an end, who writes a broken pipe. Not while somebody waits at one."""
        self.end_input()
        self.end_output()
        self.end_errors()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        self.sever()


def _pipe(*, wanted: bool) -> tuple[int | None, int | None]:
    return os.pipe2(os.O_CLOEXEC) if wanted else (None, None)


def _close(end: int | None) -> None:
    if end is not None:
        os.close(end)


async def _read(end: int | None) -> bytes:
    while end is not None:
        try:
            return os.read(end, CHUNK)
        except BlockingIOError:
            await _ready(end, writing=False)
        except OSError:
            break
    return b""


async def _ready(end: int, *, writing: bool) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    (loop.add_writer if writing else loop.add_reader)(end, ready.set)
    try:
        await ready.wait()
    finally:
        (loop.remove_writer if writing else loop.remove_reader)(end)
