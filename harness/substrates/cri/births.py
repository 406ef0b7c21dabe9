"""The runtime's side of its zygote: processes are ordered, signalled and their ends awaited. Not what they are for."""

import asyncio
import json
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from harness.errors import SubstrateError
from harness.substrates.cri.orders import Birth, Kill
from harness.substrates.cri.zygote import LARGEST

_BUSY_S = 0.002
_TRIES = 5000


class _News(msgspec.Struct, forbid_unknown_fields=True):
    """orders.News, decoded strictly."""

    key: str
    born: int = 0
    trouble: str = ""
    ended: bool = False
    status: int = 0
    cpu_ns: int = 0


@dataclass(frozen=True, slots=True)
class End:
    """How a process ended: its status as the shell has it (128+n for signal n), and the CPU time it took, in ns, with that
    of the children it waited for."""

    status: int
    cpu_ns: int


@dataclass(frozen=True, slots=True)
class Born:
    """A process that is what was ordered. `pid` is as the runtime sees it; `terminal` is the master of its terminal, the
    caller's to close; `ended` becomes its end."""

    key: str
    pid: int
    terminal: int | None
    ended: "asyncio.Future[End]"


class Births:
    """Orders processes of the zygote at the other end of the socket. `over` is set when there is none any more."""

    def __init__(self, control: socket.socket) -> None:
        control.setblocking(False)  # noqa: FBT003 - the library's signature
        self._control = control
        self._loop = asyncio.get_running_loop()
        self._born: dict[str, asyncio.Future[tuple[_News, tuple[int, ...]]]] = {}
        self._ended: dict[str, asyncio.Future[End]] = {}
        self._sending = asyncio.Lock()
        self.over = asyncio.Event()
        self._loop.add_reader(control, self._read)

    async def bear(self, order: Birth, stdio: Sequence[int] = ()) -> Born:
        """Have a process started on those three descriptors, which stay the caller's; SubstrateError with what is wrong."""
        key = order["key"]
        born = self._born[key] = self._loop.create_future()
        ended = self._ended[key] = self._loop.create_future()
        memory = _in_memory(msgspec.json.encode(order))
        try:
            await self._send(b"{}", (memory, *stdio))
            news, fds = await asyncio.shield(born)
        except asyncio.CancelledError:
            born.add_done_callback(_let_go)
            self.signal(key, 9)
            raise
        finally:
            os.close(memory)
        if news.trouble:
            for fd in fds:
                os.close(fd)
            raise SubstrateError(news.trouble)
        return Born(key, news.born, fds[0] if fds else None, ended)

    def signal(self, key: str, number: int) -> None:
        """Send it a signal; nothing happens if it has ended."""
        if not self.over.is_set():
            task = self._loop.create_task(self._tell(Kill(do="signal", key=key, number=number)))
            _TASKS.add(task)
            task.add_done_callback(_TASKS.discard)

    async def _tell(self, order: Kill) -> None:
        with suppress(SubstrateError):  # without a zygote there is nobody to signal
            await self._send(json.dumps(order).encode())

    async def _send(self, data: bytes, fds: Sequence[int] = ()) -> None:
        async with self._sending:
            for _ in range(_TRIES):
                if self.over.is_set():
                    raise SubstrateError("the process that containers are forked from has ended")
                try:
                    socket.send_fds(self._control, [data], list(fds))
                except BlockingIOError:
                    await asyncio.sleep(_BUSY_S)
                except OSError:
                    self._close()
                else:
                    return
            raise SubstrateError("the process that containers are forked from does not answer")

    def _read(self) -> None:
        with suppress(BlockingIOError):
            while True:
                try:
                    data, fds, _, _ = socket.recv_fds(self._control, LARGEST, 1, socket.MSG_CMSG_CLOEXEC)
                except ConnectionError:
                    data, fds = b"", []
                if not data:
                    self._close()
                    return
                self._take(msgspec.json.decode(data, type=_News), tuple(fds))

    def _take(self, news: _News, fds: tuple[int, ...]) -> None:
        if news.ended:
            if ended := self._ended.pop(news.key, None):  # none waits for what ended before it was anything
                ended.set_result(End(news.status, news.cpu_ns))
            return
        born = self._born.pop(news.key)
        if news.trouble and not news.born:
            self._ended.pop(news.key, None)  # nothing of it will be heard any more
        if not born.cancelled():
            born.set_result((news, fds))

    def _close(self) -> None:
        if self.over.is_set():
            return
        self.over.set()
        self._loop.remove_reader(self._control)
        self._control.close()
        gone = SubstrateError("the process that containers are forked from has ended")
        for born in self._born.values():
            if not born.done():
                born.set_exception(gone)
        for ended in self._ended.values():
            if not ended.done():
                ended.set_result(End(137, 0))

    def close(self) -> None:
        """Let go of the zygote: it ends, and with it every pod."""
        self._close()


def _let_go(born: "asyncio.Future[tuple[_News, tuple[int, ...]]]") -> None:
    """Close the terminal of what nobody waits for any more."""
    if not born.exception():
        for fd in born.result()[1]:
            os.close(fd)


def _in_memory(data: bytes) -> int:
    memory = os.memfd_create("order", os.MFD_CLOEXEC)
    while data:
        data = data[os.write(memory, data) :]
    os.lseek(memory, 0, os.SEEK_SET)
    return memory


_TASKS: set["asyncio.Task[None]"] = set()
