"""The smallest runtime behind the streaming server: containers are nothing, commands are processes of this machine."""

import asyncio
import fcntl
import os
import struct
import termios
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

from harness.clock import now, until
from harness.errors import SubstrateError
from harness.model.units import SECOND
from harness.substrates.cri.sessions import Size, Stdio


@dataclass
class Processes:
    """Fulfils Sessions. `attached` is written to by those who attach."""

    begun: list[tuple[str, ...]] = field(default_factory=list)
    ended: list[int | str] = field(default_factory=list)
    attached: asyncio.Event = field(default_factory=asyncio.Event)
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def all_ended(self) -> list[int | str]:
        """How what was begun has ended, once it has."""

        async def ended() -> bool | None:
            return bool(self.ended) or None

        await until(ended, deadline=now() + 10 * SECOND)
        return self.ended

    async def exec(
        self,
        container: str,  # noqa: ARG002 - there are none
        command: tuple[str, ...],
        *,
        tty: bool,
        stdio: Stdio,
        resize: AsyncIterator[Size],
    ) -> int:
        self.begun.append(command)
        try:
            code = await (_on_terminal(command, stdio, resize) if tty else _on_pipes(command, stdio))
        except FileNotFoundError as error:
            raise SubstrateError(f'exec: "{command[0]}": executable file not found in $PATH') from error
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        self.ended.append(code)
        return code

    async def attach(
        self,
        container: str,
        *,
        tty: bool,  # noqa: ARG002 - attached to an echo
        stdio: Stdio,
        resize: AsyncIterator[Size],  # noqa: ARG002 - of no terminal
    ) -> None:
        """An echo with a line before it; ends when `stop` is set."""
        assert stdio.stdin is not None
        assert stdio.stdout is not None
        self.attached.set()
        os.write(stdio.stdout, f"attached to {container}\n".encode())
        try:
            echo = await asyncio.create_subprocess_exec("cat", stdin=stdio.stdin, stdout=stdio.stdout)
            try:
                await self.stop.wait()
            finally:
                with suppress(ProcessLookupError):
                    echo.kill()
                await echo.wait()
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise

    async def connect(self, sandbox: str, address: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if sandbox == "gone":
            raise SubstrateError(f'an error occurred when try to find sandbox "{sandbox}": not found')
        return await asyncio.open_connection(address, port)


async def _on_pipes(command: tuple[str, ...], stdio: Stdio) -> int:
    def given(fd: int | None) -> int:
        return asyncio.subprocess.DEVNULL if fd is None else fd

    process = await asyncio.create_subprocess_exec(
        *command, stdin=given(stdio.stdin), stdout=given(stdio.stdout), stderr=given(stdio.stderr)
    )
    return await _ended(process)


async def _ended(process: asyncio.subprocess.Process) -> int:
    try:
        status = await process.wait()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    return status if status >= 0 else 128 - status


async def _on_terminal(command: tuple[str, ...], stdio: Stdio, resize: AsyncIterator[Size]) -> int:
    master, slave = os.openpty()
    loop = asyncio.get_running_loop()

    async def sizes() -> None:
        async for size in resize:
            fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", size.rows, size.columns, 0, 0))

    def upward(source: int) -> None:
        with suppress(OSError), open(source, "rb", buffering=0) as file:
            while data := file.read(1024):
                os.write(master, data)

    def downward() -> None:
        with suppress(OSError):
            while stdio.stdout is not None and (data := os.read(master, 1024)):
                os.write(stdio.stdout, data)

    resizing = asyncio.create_task(sizes())
    process = await asyncio.create_subprocess_exec(
        *command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    # It ends with the session's pipes, after this call: so it has a descriptor of its own.
    reading = loop.run_in_executor(None, upward, os.dup(stdio.stdin)) if stdio.stdin is not None else None
    writing = loop.run_in_executor(None, downward)
    code = await _ended(process)
    await writing
    resizing.cancel()
    if reading:
        reading.add_done_callback(lambda _: os.close(master))
    return code
