"""The lines that workers write and the harness reads: one JSON value a line, decoded strictly. Not what they mean."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from harness.errors import InstrumentError
from harness.model.history import Sample
from harness.model.load import InstrumentReport, LedgerLine, LoadCount, ProberLine
from harness.model.units import SECOND, Ns, milliseconds

T = TypeVar("T")

EVERY = milliseconds(50)
"""How often lines that nobody waits for are written."""


class Lines:
    """Lines to a file descriptor, in order. A thread of its own writes: a slow disk or a full pipe delays no schedule."""

    def __init__(self, fd: int = 1) -> None:
        self._fd = fd
        self._encoder = msgspec.json.Encoder()
        self._buffer = bytearray()
        self._lock = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lines")

    def put(self, line: msgspec.Struct) -> None:
        """Take a line; it is written within EVERY, or by the next flush."""
        self._encoder.encode_into(line, self._buffer, -1)
        self._buffer += b"\n"

    async def flush(self) -> None:
        """Return when everything taken so far is written."""
        async with self._lock:
            if self._buffer:
                batch, self._buffer = self._buffer, bytearray()
                await asyncio.get_running_loop().run_in_executor(self._thread, self._write, bytes(batch))

    def _write(self, batch: bytes) -> None:
        rest = memoryview(batch)
        while rest:
            rest = rest[os.write(self._fd, rest) :]


@asynccontextmanager
async def lines_to(fd: int = 1, *, every: Ns = EVERY) -> AsyncIterator[Lines]:
    """Lines to `fd`, flushed every so often, and at the end."""
    lines = Lines(fd)

    async def flushing() -> None:
        while True:
            await asyncio.sleep(every / SECOND)
            await lines.flush()

    flusher = asyncio.create_task(flushing())
    try:
        yield lines
    finally:
        flusher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await flusher
        await lines.flush()


def read_lines(path: Path, offset: int, kind: type[T]) -> tuple[list[T], int]:
    """The whole lines of `path` from byte `offset` on, and the offset to go on from; a last line without its end is left for
    the next call. InstrumentError where there is no file or a line is not of that kind."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except OSError as error:
        raise InstrumentError(f"{path}: expected the lines of a worker, found {error.strerror}") from error
    whole = data[: data.rfind(b"\n") + 1]
    decoder = msgspec.json.Decoder(kind)
    decoded: list[T] = []
    for line in whole.splitlines():
        try:
            decoded.append(decoder.decode(line))
        except msgspec.DecodeError as error:
            raise InstrumentError(
                f"{path}: expected one {kind.__name__} a line, found {line[:120]!r} ({error}); "
                "was the file written by another version of the worker?"
            ) from error
    return decoded, offset + len(whole)


def read_samples(path: Path, offset: int = 0) -> tuple[tuple[Sample, ...], tuple[InstrumentReport, ...], int]:
    """A prober's samples and reports from byte `offset` on, and where to go on. InstrumentError as `read_lines`."""
    lines, end = read_lines(path, offset, ProberLine)
    samples = tuple(line.sample for line in lines if line.sample is not None)
    return samples, tuple(line.instrument for line in lines if line.instrument is not None), end


def read_ledger(path: Path, offset: int = 0) -> tuple[tuple[LedgerLine, ...], int]:
    """A ledger writer's lines from byte `offset` on, and the offset to go on from. InstrumentError as `read_lines`."""
    lines, end = read_lines(path, offset, LedgerLine)
    return tuple(lines), end


def read_counts(path: Path, offset: int = 0) -> tuple[tuple[LoadCount, ...], int]:
    """A load worker's counts from byte `offset` on, and the offset to go on from. InstrumentError as `read_lines`."""
    lines, end = read_lines(path, offset, LoadCount)
    return tuple(lines), end
