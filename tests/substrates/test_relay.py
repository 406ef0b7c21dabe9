"""Doors on real sockets: handed over while they listen, led elsewhere, refused and opened again; gone with who holds them."""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from harness import execution
from harness.clock import now
from harness.model.units import SECOND, milliseconds
from harness.substrates import inside
from harness.substrates.local.layout import free_ports

HOST = "127.0.0.1"
ROOT = Path(__file__).parents[2]


async def says(word: bytes) -> asyncio.Server:
    """A server that says one word to everybody."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.readline()
            writer.write(word)
            await writer.drain()
        writer.close()

    return await asyncio.start_server(answer, HOST, 0)


def port_of(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


async def heard(port: int) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(b"\n")
        async with asyncio.timeout(5):
            return await reader.read(10)
    finally:
        writer.close()


class Relay:
    """A relay as a process, and its control socket."""

    def __init__(self, child: execution.Child, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        self.child = child
        self._reader, self._writer = streams

    async def told(self, order: object) -> str:
        self._writer.write(json.dumps(order).encode() + b"\n")
        return await self.answer()

    async def answer(self) -> str:
        async with asyncio.timeout(10):
            return (await self._reader.readline()).decode().strip()

    def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def relayed(*to: int, bound: int = 0) -> AsyncIterator[tuple[Relay, int]]:
    """A relay in front of these ports, and the port of the socket that it was handed."""
    (number,) = free_ports(1)  # one that was asked for by its number is kept when the socket stops listening (tcp(7))
    listener = socket.create_server((HOST, number))
    ours, theirs = socket.socketpair()
    door = {"name": "db", "sockets": [listener.fileno()], "to": [[HOST, port] for port in to]}
    if bound:
        door["bound"] = [[HOST, bound]]
    with theirs, listener:
        child = execution.start(
            (sys.executable, "-m", "harness.substrates.relay", str(theirs.fileno()), json.dumps([door])),
            env={"PYTHONPATH": f"{ROOT}:{':'.join(sys.path)}"},
            pass_fds=(theirs.fileno(), listener.fileno()),
        )
        port = int(listener.getsockname()[1])
    relay = Relay(child, await asyncio.open_connection(sock=ours))
    try:
        yield relay, port
    finally:
        relay.close()
        await child.stop()


async def test_what_comes_to_a_socket_that_was_handed_over_gets_where_it_leads() -> None:
    async with await says(b"one") as one, relayed(port_of(one)) as (relay, port):
        assert await relay.answer() == "ok"
        assert await heard(port) == b"one"


async def test_several_places_are_taken_in_turn_and_one_that_refuses_is_passed_over() -> None:
    closed = socket.socket()
    closed.bind((HOST, 0))
    with closed:
        async with await says(b"one") as one, await says(b"two") as two:
            places = (port_of(one), closed.getsockname()[1], port_of(two))
            async with relayed(*places) as (relay, port):
                assert await relay.answer() == "ok"
                assert {await heard(port) for _ in range(6)} == {b"one", b"two"}


async def test_a_door_refuses_and_opens_again_although_its_socket_cannot_be_made_anew() -> None:
    async with await says(b"one") as one, relayed(port_of(one)) as (relay, port):
        assert await relay.answer() == "ok"
        assert await relay.told({"door": "db", "behaviour": {"refuse": True}}) == "ok"
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                await heard(port)
        assert await relay.told({"door": "db", "behaviour": {}}) == "ok"
        assert await heard(port) == b"one"


async def test_a_door_can_be_slow_and_be_led_elsewhere() -> None:
    async with await says(b"one") as one, await says(b"two") as two, relayed(port_of(one)) as (relay, port):
        assert await relay.answer() == "ok"
        assert await relay.told({"door": "db", "behaviour": {"latency": milliseconds(100)}}) == "ok"
        begun = now()
        assert await heard(port) == b"one"
        assert now() - begun >= milliseconds(200)
        assert await relay.told({"door": "db", "to": [[HOST, port_of(two)]]}) == "ok"
        assert await heard(port) == b"two"


async def test_an_order_that_means_nothing_is_answered_and_changes_nothing() -> None:
    async with await says(b"one") as one, relayed(port_of(one)) as (relay, port):
        assert await relay.answer() == "ok"
        assert (await relay.told({"door": "none", "behaviour": {}})).startswith("not done")
        assert (await relay.told({"door": "db", "to": 3})).startswith("not done")
        assert await heard(port) == b"one"


async def test_an_address_that_is_taken_is_said() -> None:
    async with await says(b"one") as one, relayed(port_of(one), bound=port_of(one)) as (relay, _):
        answer = await relay.answer()
        assert answer.startswith("not done")
        assert "Address already in use" in answer


async def test_it_ends_with_who_holds_the_other_end() -> None:
    async with await says(b"one") as one, relayed(port_of(one)) as (relay, port):
        assert await relay.answer() == "ok"
        relay.close()
        assert await relay.child.wait(10 * SECOND) == 0
        with pytest.raises(ConnectionRefusedError):
            await heard(port)


async def test_sockets_are_opened_elsewhere_and_handed_out() -> None:
    program = Path(inside.__file__).parent / "listening.py"
    ours, theirs = socket.socketpair()
    with socket.create_server((HOST, 0)) as taken, ours, theirs:
        spare = socket.create_server((HOST, 0))
        port = spare.getsockname()[1]
        spare.close()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", program, f"{HOST}:{port}", stdin=theirs
        )
        assert await process.wait() == 0
        _, (descriptor,), _, _ = socket.recv_fds(ours, 16, 4)
        with socket.socket(fileno=descriptor) as handed:
            assert handed.getsockname() == (HOST, port)
            assert handed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        refused = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", program, f"{HOST}:{taken.getsockname()[1]}"),
            stdin=theirs,
            stderr=asyncio.subprocess.PIPE,
        )
        _, complaint = await refused.communicate()
        assert refused.returncode == 1
        assert b"Address already in use" in complaint
