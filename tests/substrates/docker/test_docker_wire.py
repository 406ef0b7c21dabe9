"""What reaches the daemon's socket, byte for byte: a daemon that records stands behind, answers and lets no one in."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import SubstrateError
from harness.substrates.docker_proxy.serving import serve
from harness.substrates.docker_proxy.wire import WireError, parse_head
from tests.substrates.docker.test_routes import LET_THROUGH, OPERATIONS, concrete

OURS = {"rundrill.environment": "e1", "rundrill.run": "r1", "other": "x"}


@dataclass
class Recorder:
    """What was asked of the daemon, with the bytes that came after each head."""

    asked: list[str] = field(default_factory=list)
    said: list[bytes] = field(default_factory=list)
    upgrades: bool = True
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    def accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.append(asyncio.create_task(self.serve(reader, writer)))

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await asyncio.sleep(0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.answered(reader, writer)
        finally:
            writer.close()

    async def answered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line = head.split("\r\n")[0]
            self.asked.append(line.removesuffix(" HTTP/1.1"))
            place = len(self.said)
            self.said.append(b"")
            if "upgrade: tcp" in head.lower() and self.upgrades:
                writer.write(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
                while data := await reader.read(65536):
                    self.said[place] += data
                    writer.write(data)
            else:
                answer = json.dumps(self.answer(line.split(" ")[1]))
                framed = f"Content-Length: {len(answer)}\r\nConnection: keep-alive"
                if not line.startswith("GET"):
                    with suppress(TimeoutError):
                        async with asyncio.timeout(0.1):
                            while data := await reader.read(65536):
                                self.said[place] += data
                writer.write(f"HTTP/1.1 200 OK\r\n{framed}\r\n\r\n{answer}".encode())
                await writer.drain()
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.3):
                        self.said[place] += await reader.read()

    @staticmethod
    def answer(path: str) -> object:
        name = path.split("/")[2] if path.count("/") > 1 else ""
        foreign = "foreign" in path
        marks = {"rundrill.environment": "e2"} if foreign else OURS
        if path.startswith("/exec/"):
            return {"ID": name, "ContainerID": "foreign" if foreign else "web"}
        return {"Id": f"id-of-{name}", "Name": name, "Labels": marks, "Config": {"Labels": marks}}


@asynccontextmanager
async def recording(tmp_path: Path, *, upgrades: bool = True) -> AsyncIterator[tuple[Recorder, Path]]:
    recorder = Recorder(upgrades=upgrades)
    behind, path = tmp_path / "daemon", tmp_path / "door"
    server = await asyncio.start_unix_server(recorder.accepted, str(behind))
    try:
        async with serve(path, docker=behind, environment="e1", project="proj", network="net"):
            recorder.asked.clear()
            recorder.said.clear()
            yield recorder, path
    finally:
        server.close()
        await recorder.close()


async def raw(path: Path, data: bytes, *, half_close: bool = False) -> bytes:
    """All that is answered to these bytes."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(data)
    if half_close:
        writer.write_eof()
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_nothing_that_is_not_in_the_table_reaches_the_daemon(tmp_path):
    async with recording(tmp_path) as (recorder, path):
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"):
            for shape in sorted({shape for _, shape in OPERATIONS}):
                body = b"{}" if method in {"POST", "PUT"} else b""
                head = f"{method} /v1.41{concrete(shape)} HTTP/1.1\r\nHost: d\r\nContent-Length: {len(body)}\r\n\r\n"
                if (method, shape) not in LET_THROUGH:
                    answer = await raw(path, head.encode() + body)
                    status = answer.split(b" ", 2)[1]
                    assert status in {b"403", b"404"}, (method, shape, answer)
                    assert json.loads(answer.partition(b"\r\n\r\n")[2])["message"]
    assert recorder.asked == []


async def test_names_become_the_ids_of_what_is_the_environments(tmp_path):
    async with recording(tmp_path) as (recorder, path):
        await raw(path, b"POST /v1.41/containers/web/restart?t=3 HTTP/1.1\r\nHost: d\r\n\r\n")
        assert recorder.asked == ["GET /containers/web/json", "POST /v1.41/containers/id-of-web/restart?t=3"]


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/containers/foreign/restart"),
        ("GET", "/containers/foreign/json"),
        ("DELETE", "/containers/foreign"),
        ("GET", "/networks/foreign"),
        ("DELETE", "/volumes/foreign"),
        ("POST", "/exec/foreign/start"),
        ("PUT", "/containers/foreign/archive?path=/"),
    ],
)
async def test_what_is_of_another_environment_is_not_there(tmp_path, method, target):
    async with recording(tmp_path) as (recorder, path):
        answer = await raw(path, f"{method} {target} HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        assert b" 404 " in answer.split(b"\r\n")[0]
        assert b"the drill shows what is of e1 alone" in answer
    assert all(asked.startswith("GET ") and asked.count("foreign") <= 1 for asked in recorder.asked)
    assert f"{method} {target}" not in [asked for asked in recorder.asked if method != "GET"]


async def test_the_environments_own_network_stays(tmp_path):
    async with recording(tmp_path) as (recorder, path):
        answer = await raw(path, b"DELETE /networks/net HTTP/1.1\r\nHost: d\r\n\r\n")
        assert b" 403 " in answer
        assert not any(asked.startswith("DELETE") for asked in recorder.asked)


@pytest.mark.parametrize(
    ("asked", "filters"),
    [
        ("/containers/json?all=1", {}),
        (
            '/containers/json?filters={"label":["a=b"],"status":{"running":true}}',
            {"label": ["a=b"], "status": ["running"]},
        ),
        ('/events?filters={"label":["rundrill.environment=e2"]}', {"label": ["rundrill.environment=e2"]}),
        ('/networks?filters={}&filters={"label":["x"]}', {}),
        ("/volumes", {}),
    ],
)
async def test_lists_are_of_the_environment_whatever_else_is_asked(tmp_path, asked, filters):
    from urllib.parse import parse_qs, urlsplit

    async with recording(tmp_path) as (recorder, path):
        target = asked.replace('"', "%22")
        await raw(path, f"GET {target} HTTP/1.1\r\nHost: d\r\n\r\n".encode())
        (line,) = recorder.asked
        (told,) = parse_qs(urlsplit(line.split(" ")[1]).query)["filters"]
        wanted = {key: dict.fromkeys(values, True) for key, values in filters.items()}
        wanted["label"] = {**wanted.get("label", {}), "rundrill.environment=e1": True}
        assert json.loads(told) == wanted


HIDDEN = b"POST /containers/prune HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n"
SMUGGLED = {
    "a second request behind the first": b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n" + HIDDEN,
    "a body of a GET": b"GET /_ping HTTP/1.1\r\nHost: d\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
    "a body of a POST that needs none": (
        b"POST /containers/web/start HTTP/1.1\r\nHost: d\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN
    ),
    "two lengths": b"POST /containers/web/exec HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 99\r\n\r\n{}" + HIDDEN,
    "a length and chunks": (
        b"POST /containers/web/exec HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        + HIDDEN
    ),
    "a length that is none": b"POST /containers/web/exec HTTP/1.1\r\nContent-Length: +2\r\n\r\n{}" + HIDDEN,
    "an odd coding": b"POST /containers/web/exec HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    + HIDDEN,
    "a line folded": b"GET /_ping HTTP/1.1\r\nX: a\r\n b: c\r\n\r\n" + HIDDEN,
    "bare line feeds": b"GET /_ping HTTP/1.1\nX: a\r\n\r\n" + HIDDEN,
    "chunks that lie": (
        b"PUT /containers/web/archive?path=/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n"
        + HIDDEN
    ),
    "after a document": b"POST /containers/web/exec HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}" + HIDDEN,
    "in a version": b"GET /_ping HTTP/1.1 X\r\nHost: d\r\n\r\n" + HIDDEN,
}


@pytest.mark.parametrize("name", SMUGGLED)
async def test_no_request_hides_behind_another(tmp_path, name):
    async with recording(tmp_path) as (recorder, path):
        await raw(path, SMUGGLED[name])
    assert not any("prune" in asked for asked in recorder.asked)
    assert not any(b"prune" in said for said in recorder.said)


async def test_a_hijack_that_the_daemon_declines_lets_no_bytes_after_it(tmp_path):
    start = b"POST /exec/e/start HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 2\r\n\r\n{}"
    async with recording(tmp_path, upgrades=False) as (recorder, path):
        assert b" 200 " in await raw(path, start + HIDDEN)
        assert not any(b"prune" in said for said in recorder.said)
    (tmp_path / "other").mkdir()
    async with recording(tmp_path / "other") as (recorder, path):
        answer = await raw(path, start + b"hello", half_close=True)
        assert answer.startswith(b"HTTP/1.1 101 UPGRADED\r\n")
        assert answer.endswith(b"\r\n\r\n{}hello")


async def test_an_upgrade_of_anything_else_is_not_handed_on(tmp_path):
    async with recording(tmp_path) as (recorder, path):
        answer = await raw(path, b"GET /version HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        assert b" 200 " in answer.split(b"\r\n")[0]
        assert recorder.asked == ["GET /version"]


@settings(deadline=None)
@given(st.binary(max_size=200))
async def test_any_bytes_are_a_head_or_an_error(data):
    with suppress(WireError):
        head = parse_head(data + b"\r\n\r\n")
        assert all(head.first)


async def test_a_daemon_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SubstrateError, match=r"the network net: the Docker daemon does not answer at .*nowhere"):
        async with serve(tmp_path / "s", docker=tmp_path / "nowhere", environment="e", project="p", network="net"):
            pass


async def test_a_socket_that_cannot_be_made_is_told(tmp_path):
    async with recording(tmp_path) as (_, path):
        again = serve(path, docker=tmp_path / "daemon", environment="e1", project="p", network="net")
        with pytest.raises(SubstrateError, match="no Docker socket can be served there"):
            await again.__aenter__()
    assert not path.exists()
