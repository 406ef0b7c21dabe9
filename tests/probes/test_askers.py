"""What each kind of probe calls good, and what it calls the rest."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from harness.clock import now
from harness.model.history import Mode
from harness.model.load import HttpProbe, SqlProbe
from harness.model.units import Ns, milliseconds, seconds
from harness.probes.http import HttpAsker
from harness.probes.prober import Asker
from harness.probes.rig import Rig, Trouble, rig
from harness.probes.sql import SqlAsker
from harness.probes.tcp import TcpAsker
from tests.real_postgres import Server, postgres

SHORT = milliseconds(200)


async def ask(asker: Asker, within: Ns = seconds(2), number: int = 1) -> str:
    return await asker.ask(number, now() + within)


@asynccontextmanager
async def troubled(stub: Rig, trouble: Trouble, duration: Ns = milliseconds(400)) -> AsyncIterator[None]:
    task = asyncio.create_task(stub.trouble(trouble, duration))
    await asyncio.sleep(0.02)
    yield
    await task


@asynccontextmanager
async def http(mode: Mode = Mode.FRESH, **changed: object) -> AsyncIterator[tuple[Rig, HttpAsker]]:
    async with rig() as stub:
        probe = HttpProbe(**{"indicator": "i", "service": "s", "path": "/", "contains": "true", **changed})
        asker = HttpAsker(probe, ("127.0.0.1", stub.port), mode)
        try:
            yield stub, asker
        finally:
            await asker.close()


@pytest.mark.parametrize("mode", Mode)
async def test_the_right_answer_is_good(mode: Mode) -> None:
    async with http(mode) as (_, asker):
        assert [await ask(asker) for _ in range(3)] == ["", "", ""]


async def test_the_payload_and_the_status_are_checked() -> None:
    async with http(contains="false") as (_, asker):
        assert await ask(asker) == "payload"
    async with http(status=201) as (_, asker):
        assert await ask(asker) == "status 200"


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize(
    ("trouble", "reason"),
    [(Trouble.HANG, "timeout"), (Trouble.REFUSE, "refused"), (Trouble.SLOW, "timeout"), (Trouble.ERROR, "status 503")],
)
async def test_each_trouble_has_its_reason(mode: Mode, trouble: Trouble, reason: str) -> None:
    async with http(mode) as (stub, asker), troubled(stub, trouble):
        began = now()
        assert await ask(asker, SHORT) == reason
        assert now() - began < SHORT + milliseconds(100)


async def test_a_name_that_is_not_known_is_dns() -> None:
    asker = HttpAsker(HttpProbe(indicator="i", service="s", path="/"), ("no-such-host.invalid", 80), Mode.FRESH)
    assert await ask(asker) in ("dns", "timeout")
    await asker.close()


@pytest.mark.parametrize("mode", Mode)
async def test_a_stale_connection_shows_once_and_only_where_connections_are_kept(mode: Mode) -> None:
    """A server that swallows a request on a kept connection and closes it: other clients would silently ask again."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue")
        if connections == 1 and mode is Mode.POOLED:
            await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    asker = HttpAsker(
        HttpProbe(indicator="i", service="s", path="/", contains="true"), server.sockets[0].getsockname(), mode
    )
    answers = [await ask(asker) for _ in range(3)]
    assert answers == (["", "closed", ""] if mode is Mode.POOLED else ["", "", ""])
    await asker.close()
    server.close()


async def test_the_number_goes_from_one_to_a_thousand_and_around() -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split()[1])
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    probe = HttpProbe(indicator="i", service="s", path="/products/{n}")
    asker = HttpAsker(probe, server.sockets[0].getsockname(), Mode.FRESH)
    for number in (1, 1000, 1001):
        assert await ask(asker, number=number) == ""
    assert asked == [b"/products/1", b"/products/1000", b"/products/1"]
    await asker.close()
    server.close()


@pytest.mark.parametrize("mode", Mode)
async def test_tcp_is_good_while_connections_are_accepted(mode: Mode) -> None:
    async with rig() as stub:
        asker = TcpAsker(("127.0.0.1", stub.port), mode)
        assert [await ask(asker), await ask(asker)] == ["", ""]
        async with troubled(stub, Trouble.REFUSE):
            assert await ask(asker) == ("closed" if mode is Mode.POOLED else "refused")
            assert await ask(asker) == "refused"
        assert await ask(asker) == ""
        await asker.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with postgres(tmp_path_factory.mktemp("asked") / "pg") as running:
        yield running


def sql(server: Server, mode: Mode, statement: str = "SELECT 41 + 1", expect: str = "42") -> SqlAsker:
    return SqlAsker(
        SqlProbe(indicator="i", database="d", role="r", statement=statement, expect=expect), server.conninfo, mode
    )


@pytest.mark.real
@pytest.mark.parametrize("mode", Mode)
async def test_sql_checks_the_first_value(server: Server, mode: Mode) -> None:
    good, other, broken = sql(server, mode), sql(server, mode, expect="43"), sql(server, mode, "SELECT * FROM nothing")
    assert await ask(good) == ""
    assert await ask(other) == "payload"
    assert await ask(broken) == "42P01"
    quiet = sql(server, mode, "SET search_path TO public", expect="")
    assert await ask(quiet) == ""
    for asker in (good, other, broken, quiet):
        await asker.close()


@pytest.mark.real
@pytest.mark.parametrize("mode", Mode)
async def test_sql_gives_up_at_the_deadline_and_is_well_again(server: Server, mode: Mode) -> None:
    server.run("CREATE TABLE IF NOT EXISTS locked (n integer); TRUNCATE locked")
    asker = sql(server, mode, "SELECT count(*) FROM locked", expect="0")
    assert await ask(asker) == ""
    with psycopg.connect(server.conninfo) as other:
        other.execute("LOCK TABLE locked")
        began = now()
        assert await asyncio.gather(*(ask(asker, SHORT) for _ in range(8))) == ["timeout"] * 8
        assert now() - began < SHORT + milliseconds(150)
        other.rollback()
    assert await ask(asker) == ""
    await asker.close()


@pytest.mark.real
async def test_only_kept_connections_are_stale_after_a_restart(server: Server, tmp_path: Path) -> None:
    fresh, kept = sql(server, Mode.FRESH), sql(server, Mode.POOLED)
    assert [await ask(fresh), await ask(kept)] == ["", ""]
    server.stop()
    try:
        assert await ask(fresh) == "refused"
    finally:
        server.start()
    assert await ask(fresh) == ""
    assert await ask(kept) in ("57P01", "closed")
    assert await ask(kept) == ""
    await kept.close()
