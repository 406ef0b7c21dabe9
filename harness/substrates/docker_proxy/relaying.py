"""How a request that was let through is handed on, and its answer back: as long as it lasts, both ways where it is a stream."""

import asyncio
import http
from contextlib import suppress
from urllib.parse import urlencode

import msgspec

from harness.substrates.docker_proxy.documents import shown
from harness.substrates.docker_proxy.routes import Body, RefusedError, Wanted
from harness.substrates.docker_proxy.wire import CHUNK, Head, WireError, all_of, body, encode_head, read_head

Side = tuple[asyncio.StreamReader, asyncio.StreamWriter]
"""A connection: the client's, or ours to the daemon."""

LARGEST_ANSWER = 1 << 24
FAREWELL_S = 2
"""Seconds that a client may take to close its connection."""

NETWORKS = ("/networks", "/networks/{network}")
"""Where the daemon tells of networks."""

_JSON = (("Content-Type", "application/json"),)


def encoded(wanted: Wanted, path: str, query: tuple[tuple[str, str], ...], *, head: Head, content: bytes) -> bytes:
    """A request line and headers of ours, for what was understood of the client's, and a document."""
    upgrades = wanted.route.hijacks and head.value("upgrade").lower() == "tcp"
    headers = [("Host", "docker"), ("User-Agent", head.value("user-agent") or "rundrill")]
    headers += [("Connection", "Upgrade"), ("Upgrade", "tcp")] if upgrades else [("Connection", "close")]
    if accept := head.value("accept"):
        headers.append(("Accept", accept))
    match wanted.route.body:
        case Body.JSON:
            headers += [("Content-Type", "application/json"), ("Content-Length", str(len(content)))]
        case Body.TAR:
            headers += [("Content-Type", "application/x-tar"), ("Transfer-Encoding", "chunked")]
        case Body.NONE if wanted.method not in {"GET", "HEAD"}:
            headers.append(("Content-Length", "0"))
        case _:
            pass
    target = f"{path}?{urlencode(query)}" if query else path
    return encode_head(f"{wanted.method} {target} HTTP/1.1", headers) + content


async def _upload(head: Head, reader: asyncio.StreamReader, onward: asyncio.StreamWriter) -> None:
    """Hand an archive on as it comes, for as long as the daemon takes it. WireError if it does not come whole."""
    with suppress(ConnectionError):
        async for piece in body(head, reader):
            onward.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await onward.drain()
        onward.write(b"0\r\n\r\n")
        await onward.drain()


async def relay(wanted: Wanted, head: Head, *, client: Side, daemon: Side) -> None:
    """Hand on what belongs to a request, and the answer back, for as long as it lasts and there is somebody who wants it.

    At the same time: a daemon that has heard enough of an archive says so, and ends the connection half a second later.
    """
    tasks = {asyncio.create_task(_hand_back(wanted, client=client, daemon=daemon))}
    if not wanted.route.hijacks:
        tasks.add(asyncio.create_task(_listen(wanted, head, client[0], onward=daemon[1])))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _listen(wanted: Wanted, head: Head, reader: asyncio.StreamReader, *, onward: asyncio.StreamWriter) -> None:
    """Return when the client has gone."""
    if wanted.route.body is Body.TAR:
        await _upload(head, reader, onward)
    await _gone(reader)


async def _gone(reader: asyncio.StreamReader) -> None:
    """Return when the client has. What it still says (the rest of a body that nobody wants) is heard by nobody."""
    with suppress(OSError):
        while await reader.read(CHUNK):
            pass


async def _hand_back(wanted: Wanted, *, client: Side, daemon: Side) -> None:
    (reader, writer), (there, onward) = client, daemon
    head = await read_head(there)
    if head is None:
        raise WireError("the Docker daemon ended the connection")
    _, status, reason = head.first
    if wanted.route.shape in NETWORKS and status == "200":
        await _show_networks(head, there, writer)
        return
    headers = [pair for pair in head.headers if pair[0] not in {"connection", "keep-alive", "upgrade"}]
    headers += [("Connection", "Upgrade"), ("Upgrade", "tcp")] if status == "101" else [("Connection", "close")]
    writer.write(encode_head(f"HTTP/1.1 {status} {reason}", headers))
    # Only what the daemon has made a container's own streams may take the client's bytes: elsewhere they would be requests.
    framed = head.value("content-length") or head.value("transfer-encoding")
    if wanted.route.hijacks and (status == "101" or (status == "200" and not framed)):
        upward = asyncio.create_task(_copy(reader, onward))
        try:
            await _copy(there, writer)
        finally:
            upward.cancel()
            await asyncio.gather(upward, return_exceptions=True)
    else:
        await _copy(there, writer)


async def _show_networks(head: Head, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    told = msgspec.json.decode(await all_of(body(head, there), LARGEST_ANSWER))
    content = msgspec.json.encode(shown(told))
    headers = (*_JSON, ("Content-Length", str(len(content))), ("Connection", "close"))
    writer.write(encode_head("HTTP/1.1 200 OK", headers) + content)
    await writer.drain()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Copy to the end, and hand that on too."""
    with suppress(ConnectionError):
        while data := await source.read(CHUNK):
            target.write(data)
            await target.drain()
    with suppress(OSError):
        target.write_eof()


async def refuse(writer: asyncio.StreamWriter, error: RefusedError | WireError) -> None:
    """Answer as the daemon words its own errors."""
    status = error.status if isinstance(error, RefusedError) else 400
    content = msgspec.json.encode({"message": str(error)})
    headers = (*_JSON, ("Content-Length", str(len(content))), ("Connection", "close"))
    writer.write(encode_head(f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}", headers) + content)
    await writer.drain()


async def let_go(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take what a client still says that was answered already: closed on it, it might lose the answer."""
    with suppress(OSError):
        async with asyncio.timeout(FAREWELL_S):
            await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
            await _gone(reader)
