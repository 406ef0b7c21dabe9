"""Port-forward: pairs of streams (data, error) that share a request's number, each a connection into a sandbox.

As k8s.io/kubelet/pkg/cri/streaming/portforward does it; the words of what went wrong are containerd's.
"""

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass

from harness.errors import SubstrateError
from harness.model.units import SECOND, Ns
from harness.substrates.cri.sessions import PortForward, Sessions
from harness.substrates.cri.spdy_frames import Status
from harness.substrates.cri.spdy_session import Session
from harness.substrates.cri.spdy_stream import Stream

PROTOCOLS = ("portforward.k8s.io",)
CHUNK = 1 << 15


@dataclass(slots=True)
class Pair:
    """The streams of one connection, as they come."""

    data: Stream | None = None
    error: Stream | None = None


async def serve(session: Session, request: PortForward, sessions: Sessions, *, patience: Ns) -> None:
    """Connect for every pair of streams until the client goes. A pair that is not whole after `patience` ns is told so."""
    waiting: dict[str, Pair] = {}
    async with asyncio.TaskGroup() as group:
        under_way = set()
        while stream := await session.opened():
            key = _request(stream)
            if key is None:
                stream.reset(Status.CANCEL)
                continue
            with suppress(ConnectionError):
                await stream.accept()
            if key not in waiting:
                waiting[key] = Pair()
                under_way.add(group.create_task(_expire(key, waiting, patience)))
            pair = waiting[key]
            if not _put(pair, stream):
                stream.reset(Status.CANCEL)
            elif pair.data and pair.error:
                del waiting[key]
                under_way.add(group.create_task(_forward(pair.data, pair.error, request.sandbox, sessions=sessions)))
            under_way = {task for task in under_way if not task.done()}
        for task in under_way:
            task.cancel()


def _port(stream: Stream) -> int:
    """The port that a stream is for; 0 if it names none."""
    text = stream.headers.get("port", "")
    port = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
    return port if port < 1 << 16 else 0


def _request(stream: Stream) -> str | None:
    """What a pair's streams have in common; None for a stream that is none of a pair."""
    kind = stream.headers.get("streamtype")
    if kind not in {"data", "error"} or not _port(stream):
        return None
    # Clients that number no requests open a pair's streams one after the other, the error stream first.
    return stream.headers.get("requestid") or f"stream {stream.id if kind == 'error' else stream.id - 2}"


def _put(pair: Pair, stream: Stream) -> bool:
    """Whether the pair had no such stream yet."""
    if stream.headers["streamtype"] == "data":
        fresh, pair.data = pair.data is None, pair.data or stream
    else:
        fresh, pair.error = pair.error is None, pair.error or stream
    return fresh


async def _expire(key: str, waiting: dict[str, Pair], patience: Ns) -> None:
    pair = waiting[key]
    await asyncio.sleep(patience / SECOND)
    if waiting.get(key) is pair:
        del waiting[key]
        await _told(pair.error, f"request {key}: timed out waiting for streams")
        if pair.data:
            pair.data.reset(Status.CANCEL)


async def _told(error: Stream | None, why: str) -> None:
    if error:
        with suppress(ConnectionError):
            await error.write(why.encode())
            await error.finish()


async def _forward(data: Stream, error: Stream, sandbox: str, *, sessions: Sessions) -> None:
    port = _port(data)
    context = f'failed to execute portforward in network namespace "{sandbox}"'
    try:
        reader, writer = await _connected(sandbox, port, sessions)
    except ConnectionError as problem:
        why = f'{context}: failed to connect to localhost:{port} inside namespace "{sandbox}", {problem} '
    except SubstrateError as problem:
        why = f"{context}: {problem}"
    else:
        why = await _copied(data, reader, writer)
        why = why and f"{context}: {why}"
    with suppress(ConnectionError):
        await data.finish()
    if why:
        await _told(error, f"error forwarding port {port} to pod {sandbox}, uid : {why}")
    with suppress(ConnectionError):
        await error.finish()


async def _connected(sandbox: str, port: int, sessions: Sessions) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """To the pod's own loopback, by either protocol. ConnectionError with what each said."""
    try:
        return await sessions.connect(sandbox, "127.0.0.1", port)
    except OSError as problem:
        said = f"IPv4: dial tcp4 127.0.0.1:{port}: connect: {_words(problem)}"
    try:
        return await sessions.connect(sandbox, "::1", port)
    except OSError as problem:
        raise ConnectionError(f"{said} IPv6 dial tcp6 [::1]:{port}: connect: {_words(problem)}") from problem


async def _copied(data: Stream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    """Copy both ways until the server has said all, or either side is gone; what went wrong on the server's side."""
    both = {asyncio.create_task(_upward(data, writer)), asyncio.create_task(_downward(data, reader))}
    try:
        done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        return next((why for task in done if (why := task.result())), "")
    finally:
        for task in both:
            task.cancel()
        await asyncio.wait(both)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _upward(data: Stream, writer: asyncio.StreamWriter) -> str:
    """Copy what the client says, and its end; return when the client has given up, or with what went wrong."""
    while True:
        try:
            said = await data.read()
        except ConnectionError:
            return ""
        try:
            if not said:
                writer.write_eof()
                await data.lost()
                return ""
            writer.write(said)
            await writer.drain()
        except OSError as problem:
            return f"write: {_words(problem)}"


async def _downward(data: Stream, reader: asyncio.StreamReader) -> str:
    """Copy what the server says; what went wrong with it."""
    while True:
        try:
            said = await reader.read(CHUNK)
        except OSError as problem:
            return f"read: {_words(problem)}"
        try:
            if not said:
                return ""
            await data.write(said)
        except ConnectionError:
            return ""


def _words(problem: Exception) -> str:
    """As the kernel has it, in lower case as Go's programs print it."""
    number = problem.errno if isinstance(problem, OSError) else None
    return os.strerror(number).lower() if number else str(problem)
