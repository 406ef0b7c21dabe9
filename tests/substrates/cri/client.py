"""A SPDY client as kubectl's is (moby/spdystream): odd stream numbers, each stream's reply awaited, no windows kept."""

import asyncio
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from harness.substrates.cri.spdy import Decoder, Encoder
from harness.substrates.cri.spdy_frames import (
    Broken,
    Data,
    Frame,
    GoAway,
    Malformed,
    Ping,
    RstStream,
    SynReply,
    SynStream,
    Unknown,
    WindowUpdate,
)

WAIT = 20
"""Seconds that anything may take here."""


class ClientStream:
    """One stream that the client opened."""

    def __init__(self, client: "Client", number: int) -> None:
        self.number = number
        self.client = client
        self.received = bytearray()
        self.replied = self.finished = False
        self.reset: int | None = None

    def send(self, data: bytes, *, fin: bool = False) -> None:
        self.client.send(Data(self.number, data, fin))

    async def until(self, condition) -> None:
        await self.client.until(lambda: condition(self))

    async def all(self) -> bytes:
        """All that came, once the server has half-closed or reset the stream."""
        await self.until(lambda stream: stream.finished or stream.reset is not None)
        return bytes(self.received)


class Client:
    """A connection to the streaming server, upgraded."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._encoder, self._decoder = Encoder(), Decoder()
        self._changed = asyncio.Event()
        self._next = 1
        self.streams: dict[int, ClientStream] = {}
        self.windows: dict[int, int] = {}
        self.pongs: list[int] = []
        self.away: GoAway | None = None
        self.over = False
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            while data := await self._reader.read(65536):
                for frame in self._decoder.feed(data):
                    self._do(frame)
                self._notify()
        except ConnectionError:
            pass
        finally:
            self.over = True
            self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _do(self, frame) -> None:
        match frame:
            case SynReply(number) if number in self.streams:
                self.streams[number].replied = True
            case Data(number, data, fin) if number in self.streams:
                assert self.streams[number].replied, "spdystream drops what comes before the reply"
                self.streams[number].received += data
                self.streams[number].finished |= fin
            case RstStream(number, status) if number in self.streams:
                self.streams[number].reset = status
            case WindowUpdate(number, delta):
                self.windows[number] = self.windows.get(number, 0) + delta
            case Ping(number):
                self.pongs.append(number)
            case GoAway():
                self.away = frame
            case Broken() | Malformed() | Unknown():
                raise AssertionError(frame)

    def send(self, frame: Frame) -> None:
        self._writer.write(self._encoder.encode(frame))

    def raw(self, data: bytes) -> None:
        self._writer.write(data)

    def end(self) -> None:
        """Say nothing more."""
        self._writer.write_eof()

    async def drain(self) -> None:
        await self._writer.drain()

    async def until(self, condition) -> None:
        async with asyncio.timeout(WAIT):
            while not condition():
                await self._changed.wait()

    async def open(self, *, fin: bool = False, **headers: str) -> ClientStream:
        stream = ClientStream(self, self._next)
        self.streams[self._next] = stream
        self.send(SynStream(self._next, tuple(headers.items()), fin=fin))
        self._next += 2
        await self.until(lambda: stream.replied or stream.reset is not None or self.over)
        return stream

    async def close(self) -> None:
        self._writer.close()
        self._task.cancel()
        await asyncio.wait({self._task})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def request(url: str, *fields: str, line: str = "") -> tuple[str, dict[str, str], bytes, Client | None]:
    """Send a request; its status line, headers and body, and the client if it was upgraded."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    head = [line or f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}", *fields]
    writer.write(("\r\n".join(head) + "\r\n\r\n").encode())
    async with asyncio.timeout(WAIT):
        status, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in rest if field)}
        if " 101 " in status:
            return status, headers, b"", Client(reader, writer)
        body = await reader.read()
    writer.close()
    return status, headers, body, None


async def upgraded(url: str, *protocols: str) -> Client:
    """A client on `url`, which has to be upgraded."""
    wanted = [f"X-Stream-Protocol-Version: {protocol}" for protocol in protocols or ("v4.channel.k8s.io",)]
    status, _, body, client = await request(url, "Connection: Upgrade", "Upgrade: SPDY/3.1", *wanted)
    assert client, (status, body)
    return client
