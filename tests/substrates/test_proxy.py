"""The faulty link, on real sockets: it does what it is told and otherwise nothing."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from harness.clock import now
from harness.model.units import SECOND, milliseconds
from harness.substrates.proxy import Behaviour, Proxy
from tests.substrates.conftest import TOPOLOGY, Bring
from tests.substrates.test_local_containment import sh

HOST = "127.0.0.1"


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def through(target: int | None = None) -> AsyncIterator[tuple[Proxy, int]]:
    """A proxy in front of an echo server, and its port."""
    server = await asyncio.start_server(echo, HOST, 0)
    spare = await asyncio.start_server(echo, HOST, 0)
    port = spare.sockets[0].getsockname()[1]
    spare.close()
    proxy = Proxy((HOST, port), (HOST, target or server.sockets[0].getsockname()[1]))
    await proxy.listen()
    try:
        yield proxy, port
    finally:
        await proxy.behave(Behaviour(refuse=True, reset=True))
        server.close()
        await asyncio.sleep(0)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def round_trip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    begun = now()
    writer.write(b"x")
    async with asyncio.timeout(5):
        assert await reader.read(1) == b"x"
    return now() - begun


@pytest.mark.parametrize("behaviour", [Behaviour(), Behaviour(latency=milliseconds(5), jitter=milliseconds(5))])
async def test_every_byte_arrives_in_order(behaviour: Behaviour) -> None:
    data = os.urandom(3_000_000)
    async with through() as (proxy, port), connected(port) as (reader, writer):
        await proxy.behave(behaviour)

        async def send() -> None:
            writer.write(data)
            await writer.drain()
            writer.write_eof()

        _, received = await asyncio.gather(send(), reader.read())
    assert len(received) == len(data)
    assert hashlib.sha256(received).digest() == hashlib.sha256(data).digest()


async def test_a_closed_half_leaves_the_other_open() -> None:
    async def answer_at_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"all of " + await reader.read())
        writer.close()

    server = await asyncio.start_server(answer_at_the_end, HOST, 0)
    async with through(server.sockets[0].getsockname()[1]) as (_, port), connected(port) as (reader, writer):
        writer.write(b"it")
        writer.write_eof()
        assert await reader.read() == b"all of it"
    server.close()


async def test_latency_delays_each_direction() -> None:
    async with through() as (proxy, port), connected(port) as (reader, writer):
        assert await round_trip(reader, writer) < milliseconds(50)
        await proxy.behave(Behaviour(latency=milliseconds(60)))
        assert milliseconds(119) < await round_trip(reader, writer) < milliseconds(400)
        await proxy.behave(Behaviour())
        assert await round_trip(reader, writer) < milliseconds(50)


async def test_refusing_turns_new_connections_away_and_keeps_the_old() -> None:
    async with through() as (proxy, port), connected(port) as (reader, writer):
        await round_trip(reader, writer)
        await proxy.behave(Behaviour(refuse=True))
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HOST, port)
        await round_trip(reader, writer)
        await proxy.behave(Behaviour())
        async with connected(port) as (again, writing):
            await round_trip(again, writing)


async def test_in_a_partition_nothing_gets_through_until_it_is_over() -> None:
    async with through() as (proxy, port), connected(port) as (reader, writer):
        await round_trip(reader, writer)
        await proxy.behave(Behaviour(drop=True))
        writer.write(b"x")
        async with connected(port) as (late, writing):
            writing.write(b"y")
            for waiting in (reader, late):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await waiting.read(1)
            await proxy.behave(Behaviour())
            assert await reader.read(1) == b"x"
            assert await late.read(1) == b"y"


async def test_a_reset_ends_what_is_open_and_nothing_later() -> None:
    async with through() as (proxy, port), connected(port) as (reader, writer):
        await round_trip(reader, writer)
        await proxy.behave(Behaviour(reset=True))
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        async with connected(port) as (again, writing):
            await round_trip(again, writing)


async def test_resetting_what_is_open_is_no_trouble_of_the_loop() -> None:
    troubles: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context))
    async with through() as (proxy, port), connected(port) as (reader, writer):
        await round_trip(reader, writer)
        await proxy.behave(Behaviour(reset=True))
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
    assert troubles == []


async def test_a_server_that_is_down_is_a_reset_not_a_hang() -> None:
    async with through(1) as (_, port), connected(port) as (reader, _):
        with pytest.raises(ConnectionResetError):
            async with asyncio.timeout(5):
                await reader.read(1)


@pytest.mark.real
async def test_a_linked_database_is_reached_through_its_link(isolation: str, bring: Bring) -> None:
    async with bring(TOPOLOGY, links=frozenset({"orders"})) as environment:
        peer, link = environment.peer("orders"), environment.link("orders")
        command = f"psql -w -h {peer.host} -p {peer.port} -U shop shop -Atc 'SELECT 1'"
        assert (await sh(environment, command)).stdout == "1\n"
        await link.set(refuse=True)
        assert "Connection refused" in (await sh(environment, command)).stderr
        await link.set(drop=True)
        assert "timeout expired" in (await sh(environment, command, PGCONNECT_TIMEOUT="2")).stderr
        await link.set(latency=milliseconds(50))
        begun = now()
        assert (await sh(environment, command)).stdout == "1\n"
        assert now() - begun > milliseconds(300)
        await link.set()
        begun = now()
        assert (await sh(environment, command)).stdout == "1\n"
        assert now() - begun < SECOND
        with pytest.raises(KeyError):
            environment.link("other")
