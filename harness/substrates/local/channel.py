"""The harness's end of the supervisor's control socket, and the programs started through it. Not what they are for."""

import asyncio
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import msgspec

from harness.errors import SubstrateError
from harness.model.units import SECOND, Ns

_LARGEST = 1 << 20


class Message(msgspec.Struct, forbid_unknown_fields=True):
    """What the supervisor says: an answer to request `id`, the end of the program that it started, or news of a service."""

    id: int = 0
    trouble: str = ""
    pid: int = 0
    host_pid: int = 0
    ended: int | None = None
    service: str = ""
    pids: tuple[int, ...] = ()
    landlock: int = 0


@dataclass(slots=True)
class _Exit:
    """How a program ended, once it has; `stdin` is our end of its standard input, let go of at its end."""

    status: int | None = None
    event: asyncio.Event = field(default_factory=asyncio.Event)
    stdin: socket.socket | None = None

    def set(self, status: int) -> None:
        if self.status is None:
            self.status = status
            self.event.set()
        self.let_go()

    def let_go(self) -> None:
        if self.stdin is not None:
            self.stdin.close()
            self.stdin = None


class Channel:
    """Asks the supervisor. `pids` are those of each server as the harness sees them, as it was last told."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)  # noqa: FBT003 - the library's signature
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self.pids: dict[str, tuple[int, ...]] = {}
        self._answers: dict[int, asyncio.Future[Message]] = {}
        self._exits: dict[int, _Exit] = {}
        self._count = 0
        self.closed = asyncio.Event()
        self._loop.add_reader(sock, self._read)

    def _read(self) -> None:
        while True:
            try:
                data = self._sock.recv(_LARGEST)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.close()
                return
            self._take(msgspec.json.decode(data, type=Message))

    def _take(self, message: Message) -> None:
        if message.service:
            self.pids[message.service] = message.pids
        elif message.ended is not None:
            self._exits.pop(message.id).set(message.ended)
        else:
            answer = self._answers.pop(message.id, None)
            if answer and not answer.done():
                answer.set_result(message)

    def close(self) -> None:
        """Let go of the socket: the supervisor, and with it the environment, ends. Whoever waits is told."""
        if self.closed.is_set():
            return
        self.closed.set()
        self._loop.remove_reader(self._sock)
        self._sock.close()
        for exit_ in self._exits.values():
            exit_.set(-signal.SIGKILL)
        self._exits.clear()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_result(Message(trouble="the environment has ended"))

    async def boot(self, plan: object) -> Message:
        """Send the first request; SubstrateError with what went wrong."""
        return await self._exchange(0, plan)

    async def ask(self, do: str, *, fds: Sequence[int] = (), **fields: object) -> Message:
        """The answer to a request; SubstrateError if it says that there was trouble."""
        number = self._number()
        return await self._exchange(number, {"id": number, "do": do, **fields}, fds)

    def _number(self) -> int:
        self._count += 1
        return self._count

    async def _exchange(self, number: int, request: object, fds: Sequence[int] = ()) -> Message:
        data = msgspec.json.encode(request)
        if self.closed.is_set():
            raise SubstrateError("the environment has ended")
        answer: asyncio.Future[Message] = self._loop.create_future()
        self._answers[number] = answer
        try:
            socket.send_fds(self._sock, [data], list(fds))
        except OSError as error:
            del self._answers[number]
            raise SubstrateError(
                f"the environment's supervisor does not take a request of {len(data)} bytes: {error}"
            ) from error
        message = await answer
        if message.trouble:
            raise SubstrateError(message.trouble)
        return message

    async def start(self, program: object, stdio: Sequence[int], *, sweep: bool) -> "Program":
        """Start a program on these three descriptors; `sweep`: what it leaves behind ends with it."""
        number = self._number()
        exit_ = self._exits[number] = _Exit()
        request = {"id": number, "do": "start", "program": program, "sweep": sweep}
        asked = asyncio.ensure_future(self._exchange(number, request, stdio))
        try:
            message = await asyncio.shield(asked)
        except asyncio.CancelledError:
            # It may have been started: it must not outlive the cancellation.
            with suppress(SubstrateError):
                message = await asked
                await Program(self, message.pid, message.host_pid, exit_).kill()
            raise
        except SubstrateError:
            self._exits.pop(number, None)
            raise
        return Program(self, message.pid, message.host_pid, exit_)


class Program:
    """A program in the environment. Fulfils ports.Process."""

    def __init__(self, channel: Channel, pid: int, host_pid: int, exit_: _Exit) -> None:
        self._channel = channel
        self._inner = pid
        self._host_pid = host_pid
        self._exit = exit_

    def fed_by(self, stdin: socket.socket) -> Self:
        """The same, with the other end of its standard input, which is closed at its end."""
        self._exit.stdin = stdin
        if self._exit.status is not None:
            self._exit.let_go()
        return self

    @property
    def pid(self) -> int:
        """Its pid as the harness sees it."""
        return self._host_pid

    @property
    def returncode(self) -> int | None:
        """Its exit status, -n for signal n, None while it runs."""
        return self._exit.status

    async def send(self, line: str) -> None:
        """Write one line to its standard input. BrokenPipeError if it does not read any more."""
        if self._exit.stdin is None:
            raise BrokenPipeError(f"program {self._host_pid} has ended")
        await asyncio.get_running_loop().sock_sendall(self._exit.stdin, line.encode() + b"\n")

    async def wait(self, timeout: Ns) -> int | None:
        """Its exit status, or None if it still runs after `timeout` ns."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout / SECOND):
                await self._exit.event.wait()
        return self._exit.status

    async def _signal(self, number: int) -> None:
        if self._exit.status is None:
            with suppress(SubstrateError):
                await self._channel.ask("signal", pid=self._inner, number=number)

    async def stop(self, grace: Ns = 2 * SECOND) -> int | None:
        """Interrupt, terminate and at last kill its group, `grace` ns apart; its exit status."""
        for number in (signal.SIGINT, signal.SIGTERM):
            await self._signal(number)
            if await self.wait(grace) is not None:
                return self._exit.status
        return await self.kill()

    async def kill(self) -> int | None:
        """Kill its group at once; its exit status."""
        await self._signal(signal.SIGKILL)
        return await self.wait(2 * SECOND)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            await self.stop()
        else:
            await self.kill()
