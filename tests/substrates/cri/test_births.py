"""What a runtime hears of the processes it orders, whatever comes when."""

import asyncio
import json
import os
import socket

from harness.substrates.cri.births import Births
from harness.substrates.cri.orders import Holder

LIMIT = 5.0


def order(key: str) -> Holder:
    return Holder(do="holder", key=key, hostname="one", network=False, ipc=False, sysctls={}, proc="/proc", program=[])


class Zygote:
    """The other end of the socket, which says what a test wants it to."""

    def __init__(self, control: socket.socket) -> None:
        control.setblocking(False)
        self.control = control

    async def ordered(self) -> bytes:
        async with asyncio.timeout(LIMIT):
            return await asyncio.get_running_loop().sock_recv(self.control, 1 << 16)

    def say(self, fd: int | None = None, **news: object) -> None:
        socket.send_fds(self.control, [json.dumps(news).encode()], [] if fd is None else [fd])


async def test_a_terminal_of_what_nobody_waits_for_any_more_is_closed_and_the_next_birth_is_heard_of() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    births, zygote = Births(ours), Zygote(theirs)
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    waiting = asyncio.ensure_future(births.bear(order("a")))
    await zygote.ordered()
    waiting.cancel()
    assert b'"signal"' in await zygote.ordered()
    source, sink = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    zygote.say(sink, key="a", born=1)
    os.close(sink)
    # It was killed before it was anything, or after: either way there is an end that nobody waits for.
    zygote.say(key="a", ended=True, status=137)
    zygote.say(key="a", ended=True, status=137)
    coming = asyncio.ensure_future(births.bear(order("b")))
    await zygote.ordered()
    zygote.say(key="b", born=2)
    async with asyncio.timeout(LIMIT):
        born = await coming
    assert (born.key, born.pid, complaints) == ("b", 2, [])
    assert os.read(source, 1) == b""  # nobody holds the other end
    os.close(source)
    births.close()
    theirs.close()
