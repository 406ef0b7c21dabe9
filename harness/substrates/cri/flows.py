"""Bytes between descriptors and tasks, without a thread for each. Not what the bytes are."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

CHUNK = 64 * 1024


async def _ready(watch: Callable[..., None], fd: int, unwatch: Callable[[int], object]) -> None:
    ready = asyncio.Event()
    watch(fd, ready.set)
    try:
        await ready.wait()
    finally:
        unwatch(fd)


async def chunks(fd: int) -> AsyncIterator[bytes]:
    """What is read from a pipe or terminal until it ends. The descriptor becomes non-blocking and stays the caller's."""
    loop = asyncio.get_running_loop()
    os.set_blocking(fd, False)
    while True:
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            await _ready(loop.add_reader, fd, loop.remove_reader)
            continue
        except OSError:
            return  # EIO: nobody has the terminal open any more
        if not data:
            return
        yield data


async def write(fd: int, data: bytes) -> None:
    """Write all of it to a pipe or terminal that is or becomes non-blocking. OSError if nobody reads."""
    loop = asyncio.get_running_loop()
    os.set_blocking(fd, False)
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            await _ready(loop.add_writer, fd, loop.remove_writer)


async def copy(source: int, sink: int) -> None:
    """Copy until the source ends or nobody reads the sink."""
    with suppress(OSError):
        async for data in chunks(source):
            await write(sink, data)


async def collect(source: int, found: bytearray, most: int) -> None:
    """Add what comes to `found` until the source ends, up to `most` bytes in all; the rest is read and dropped."""
    async for data in chunks(source):
        found += data[: max(0, most - len(found))]
