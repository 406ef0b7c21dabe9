"""HTTP/1.1 as the proxy needs it: heads that can be understood in one way only, bodies whose length is clear."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

LARGEST_HEAD = 1 << 16
LARGEST_LINE = 1 << 10
CHUNK = 1 << 16


class WireError(ValueError):
    """What came is not HTTP as it is spoken here; says why."""


@dataclass(frozen=True, slots=True)
class Head:
    """The first line's three parts, and the headers, their names in lower case."""

    first: tuple[str, str, str]
    headers: tuple[tuple[str, str], ...]

    def value(self, name: str) -> str:
        """What a header says, "" if it is not there. WireError if it is there twice."""
        found = [value for key, value in self.headers if key == name]
        if len(found) > 1:
            raise WireError(f"the header {name} twice")
        return found[0] if found else ""


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """The head of a message; None if the connection ended before. WireError if it is none."""
    try:
        data = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise WireError("the connection ended within a head") from error
        return None
    except asyncio.LimitOverrunError as error:
        raise WireError(f"a head of more than {LARGEST_HEAD} bytes") from error
    return parse_head(data)


def parse_head(data: bytes) -> Head:
    """A head in all its bytes. WireError if a daemon might read it otherwise."""
    text = data.decode("latin-1").removesuffix("\r\n\r\n")
    if any(char in text.replace("\r\n", "") for char in "\r\n\0"):
        raise WireError("a head with bare line ends or NUL")
    line, *fields = text.split("\r\n")
    first = line.split(" ", 2)
    if len(first) != 3 or not all(first):
        raise WireError(f"not a first line: {line[:100]!r}")
    headers = []
    for field in fields:
        name, colon, value = field.partition(":")
        if not colon or not name or name.strip() != name or " " in name or "\t" in name:
            raise WireError(f"not a header: {field[:100]!r}")
        headers.append((name.lower(), value.strip(" \t")))
    return Head((first[0], first[1], first[2]), tuple(headers))


def encode_head(first: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """A head as it travels."""
    return "\r\n".join((first, *(f"{name}: {value}" for name, value in headers), "", "")).encode("latin-1")


async def body(head: Head, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The content of a request's body, in pieces, its framing taken off. WireError if it has none that is clear."""
    coding, length = head.value("transfer-encoding").lower(), head.value("content-length")
    if coding and (coding != "chunked" or length):
        raise WireError("a body whose length is not clear")
    if coding:
        async for piece in _chunked(reader):
            yield piece
        return
    if length and not (length.isascii() and length.isdecimal()):
        raise WireError(f"not a length: {length[:100]!r}")
    async for piece in _counted(reader, int(length or "0")):
        yield piece


async def _counted(reader: asyncio.StreamReader, count: int) -> AsyncIterator[bytes]:
    while count:
        piece = await reader.read(min(count, CHUNK))
        if not piece:
            raise WireError(f"a body that ends {count} bytes early")
        count -= len(piece)
        yield piece


async def _chunked(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := _size(await _line(reader)):
        async for piece in _counted(reader, size):
            yield piece
        if await _line(reader):
            raise WireError("a chunk that is longer than it says")
    while await _line(reader):
        pass  # trailers, which nobody wants


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        line = await reader.readuntil(b"\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise WireError("a body that ends within its framing") from error
    if len(line) > LARGEST_LINE:
        raise WireError(f"a line of {len(line)} bytes between chunks")
    return line[:-2]


def _size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    if not digits or len(digits) > 8 or any(digit not in b"0123456789abcdefABCDEF" for digit in digits):
        raise WireError(f"not the size of a chunk: {line[:100]!r}")
    return int(digits, 16)


async def all_of(pieces: AsyncIterator[bytes], most: int) -> bytes:
    """Pieces as one. WireError if they are more than `most` bytes."""
    data = bytearray()
    async for piece in pieces:
        data += piece
        if len(data) > most:
            raise WireError(f"a body of more than {most} bytes")
    return bytes(data)
