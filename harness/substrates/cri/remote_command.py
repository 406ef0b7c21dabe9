"""Exec and attach: a session's streams by their types (error, stdin, stdout, stderr, resize), tied to a process's pipes.

As k8s.io/kubelet/pkg/cri/streaming/remotecommand does it for the kubelet's other runtimes.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress

import msgspec

from harness.errors import SubstrateError
from harness.model.units import SECOND, Ns
from harness.substrates.cri.pipes import Pipes
from harness.substrates.cri.sessions import Attach, Exec, Sessions, Size
from harness.substrates.cri.spdy_frames import Status
from harness.substrates.cri.spdy_session import Session
from harness.substrates.cri.spdy_stream import Stream
from harness.substrates.cri.statuses import SUCCESS, Outcome, encoded, exited, failed

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io")
"""v5 adds only what SPDY's streams have anyway, to WebSockets; v2 has no resizing; before v4 there is no exit status."""

LARGEST_SIZE = 1 << 12
"""Characters that may come on the resize stream without being a terminal's size."""

Streams = dict[str, Stream]
"""A session's streams by their types."""


async def serve(session: Session, request: Exec | Attach, sessions: Sessions, *, protocol: str, patience: Ns) -> None:
    """Do what was asked for, once the client has opened its streams; not at all if it has not within `patience` ns."""
    wanted = {"error", *(name for name in ("stdin", "stdout", "stderr") if getattr(request, name))}
    if request.tty and protocol != "v2.channel.k8s.io":
        wanted.add("resize")
    streams: Streams = {}
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(patience / SECOND):
            await _gather(session, wanted, streams)
    if streams.keys() < wanted:
        return
    with Pipes(stdin=request.stdin, stdout=request.stdout, stderr=request.stderr) as pipes:
        outcome = await _followed(session, request, sessions, streams=streams, pipes=pipes)
    with suppress(ConnectionError):
        await streams["error"].write(encoded(outcome, protocol))
        await streams["error"].finish()
    for name in {"stdin", "resize"} & streams.keys():
        streams[name].reset(Status.CANCEL)


async def _gather(session: Session, wanted: set[str], streams: Streams) -> None:
    while streams.keys() < wanted and (stream := await session.opened()):
        kind = stream.headers.get("streamtype", "")
        if kind in wanted - streams.keys():
            await stream.accept()
            streams[kind] = stream
        else:
            stream.reset(Status.REFUSED_STREAM)


async def _followed(
    session: Session, request: Exec | Attach, sessions: Sessions, *, streams: Streams, pipes: Pipes
) -> Outcome:
    """Copy for as long as there is somebody to copy for; how it ended."""
    async with asyncio.TaskGroup() as group:
        gone = group.create_task(session.ended())
        call = group.create_task(_called(request, sessions, pipes, sizes=_sizes(streams.get("resize"))))
        copies = [group.create_task(copy) for copy in _outputs(streams, pipes)]
        output = group.create_task(_all(tuple(copies)))
        if "stdin" in streams:
            copies.append(group.create_task(_input(streams["stdin"], pipes)))
        await asyncio.wait({gone, call}, return_when=asyncio.FIRST_COMPLETED)
        if call.done():
            # Whoever inherited the output may still write: it is copied until the last of them has let go, as elsewhere.
            pipes.release()
            await asyncio.wait({gone, output}, return_when=asyncio.FIRST_COMPLETED)
        for task in (gone, output, *copies):
            task.cancel()
        await asyncio.wait(copies)
        pipes.sever()
        if isinstance(request, Attach):
            call.cancel()
    return SUCCESS if call.cancelled() else call.result()


async def _called(request: Exec | Attach, sessions: Sessions, pipes: Pipes, *, sizes: AsyncIterator[Size]) -> Outcome:
    stdio = pipes.stdio
    try:
        if isinstance(request, Exec):
            command = request.command
            return exited(
                command, await sessions.exec(request.container, command, tty=request.tty, stdio=stdio, resize=sizes)
            )
        await sessions.attach(request.container, tty=request.tty, stdio=stdio, resize=sizes)
    except (SubstrateError, OSError) as error:
        doing = "executing command in" if isinstance(request, Exec) else "attaching to"
        return failed(f"error {doing} container: {error}")
    return SUCCESS


def _outputs(streams: Streams, pipes: Pipes) -> list[Coroutine[None, None, None]]:
    ends = (("stdout", pipes.output, pipes.end_output), ("stderr", pipes.errors, pipes.end_errors))
    return [_output(streams[name], read, end) for name, read, end in ends if name in streams]


async def _all(tasks: tuple["asyncio.Task[None]", ...]) -> None:
    if tasks:
        await asyncio.wait(tasks)


async def _input(stream: Stream, pipes: Pipes) -> None:
    with suppress(ConnectionError):
        while data := await stream.read():
            await pipes.feed(data)
    pipes.end_input()
    # A process that reads no more is no reason to keep its client from saying anything else on the same connection.
    with suppress(ConnectionError):
        while await stream.read():
            pass


async def _output(stream: Stream, read: Callable[[], Awaitable[bytes]], end: Callable[[], None]) -> None:
    try:
        while data := await read():
            await stream.write(data)
        await stream.finish()
    except ConnectionError:
        end()


async def _sizes(stream: Stream | None) -> AsyncIterator[Size]:
    """The sizes on a resize stream, a JSON object each, one after the other; it ends with what is none."""
    text = ""
    with suppress(ConnectionError, msgspec.ValidationError):
        while stream and len(text) < LARGEST_SIZE and (data := await stream.read()):
            text = (text + data.decode("latin-1")).lstrip()
            with suppress(json.JSONDecodeError):
                while text:
                    value, end = json.JSONDecoder().raw_decode(text)
                    text = text[end:].lstrip()
                    size = msgspec.convert(value, _Size)
                    yield Size(columns=size.Width, rows=size.Height)


class _Size(msgspec.Struct, frozen=True):
    """client-go's remotecommand.TerminalSize."""

    Width: int
    Height: int
