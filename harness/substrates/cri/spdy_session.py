"""A SPDY session as its server has it: frames on a connection become streams that are read, written, half-closed and reset.

What the streams are for is not known here. Kubernetes' clients (moby/spdystream) keep no windows: they send as much as TCP
takes, and never say that they take more. So ours are told of as we read, and theirs are kept once a client speaks of any.
"""

import asyncio
from contextlib import suppress

from harness.model.units import SECOND, Ns
from harness.substrates.cri.spdy import Decoder, Encoder
from harness.substrates.cri.spdy_frames import (
    INITIAL_WINDOW,
    LARGEST_ID,
    Broken,
    Data,
    Frame,
    GoAway,
    Headers,
    Leaving,
    Malformed,
    Ping,
    Read,
    RstStream,
    Settings,
    Status,
    SynStream,
    WindowUpdate,
)
from harness.substrates.cri.spdy_stream import CHUNK, WINDOW, Stream

KEPT = 1 << 20
"""Bytes kept of a stream that nobody reads, before the connection is not read from any more."""

OPEN = 1000
"""Streams that may be open at once."""


class Session:
    """Frames on a connection that was upgraded. `serve` runs it; it ends after `idle` ns in which nothing came or went."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, idle: Ns) -> None:
        self._reader = reader
        self._writer = writer
        self._idle = idle / SECOND
        self._decoder = Decoder()
        self._encoder = Encoder()
        self._streams: dict[int, Stream] = {}
        self._opened: list[Stream] = []
        self._changed = asyncio.Event()
        self._timeout: asyncio.Timeout | None = None
        self._last = 0
        self._initial = WINDOW
        self._window = WINDOW
        self._windows_kept = False
        self._consumed = 0
        self.over = False

    async def serve(self) -> None:
        """Obey the client until it goes, breaks the protocol or falls silent; then every stream is gone."""
        try:
            with suppress(OSError):
                async with asyncio.timeout(self._idle) as self._timeout:
                    await self._obey()
        finally:
            self.over = True
            for stream in tuple(self._streams.values()):
                stream.lose()
            self._notify()

    async def _obey(self) -> None:
        while data := await self._reader.read(CHUNK):
            for frame in self._decoder.feed(data):
                if isinstance(frame, Broken):
                    self.leave(Leaving.PROTOCOL_ERROR)
                    return
                self._do(frame)
            self._touch()
            self._notify()
            await self.drain()
            while any(stream.kept > KEPT for stream in self._streams.values()) and not self._writer.is_closing():
                await self.change()

    async def opened(self) -> Stream | None:
        """The next stream that the client opens, not yet accepted; None when the session is over."""
        while not self._opened:
            if self.over:
                return None
            await self.change()
        return self._opened.pop(0)

    async def ended(self) -> None:
        """Return when the session is over."""
        while not self.over:
            await self.change()

    async def change(self) -> None:
        """Return when something has come or changed."""
        await self._changed.wait()

    async def drain(self) -> None:
        """Wait while the connection takes no more. ConnectionError if it is lost."""
        await self._writer.drain()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _touch(self) -> None:
        if self._timeout and self._timeout.when() is not None and not self._timeout.expired() and not self.over:
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._idle)

    def send(self, frame: Frame) -> None:
        """Send a frame, unless nobody is there."""
        if not self.over and not self._writer.is_closing():
            self._writer.write(self._encoder.encode(frame))
            self._touch()

    def leave(self, status: Leaving = Leaving.OK) -> None:
        """Tell the client that no stream will be accepted any more."""
        self.send(GoAway(self._last, status))

    def settle(self, stream: Stream) -> None:
        """Forget a stream that is over."""
        if stream.over:
            self._streams.pop(stream.id, None)
        self._notify()

    def room(self, stream: Stream) -> int:
        """How many bytes the client takes now on that stream."""
        return min(stream.window, self._window) if self._windows_kept else CHUNK

    def spent(self, stream: Stream, count: int) -> None:
        """So many bytes were sent."""
        stream.window -= count
        self._window -= count

    def consumed(self, stream: Stream, count: int) -> None:
        """So many bytes were read, and the client may send as many more."""
        if worth := stream.told(count):
            self.send(WindowUpdate(stream.id, worth))
        self._consumed += count
        if self._consumed >= WINDOW // 2:
            self.send(WindowUpdate(0, self._consumed))
            self._consumed = 0
        self._notify()

    def _do(self, frame: Read) -> None:
        match frame:
            case SynStream():
                self._open(frame)
            case Data(number, data, fin):
                self._take(number, data, fin=fin)
            case Headers(number, _, True):
                self._take(number, b"", fin=True)
            case RstStream(number):
                if number in self._streams:
                    self._streams[number].lose()
            case Malformed(number, status):
                self._refuse(number, status)
            case Settings():
                self._set(frame)
            case WindowUpdate(number, delta):
                self._widen(number, delta)
            case Ping(number) if number % 2:
                self.send(frame)
            case _:
                # Replies to streams that we do not open, headers that nobody asked for, frames of unknown kinds; and GOAWAY:
                # the client opens no more, and closes the connection when it has all it waits for.
                pass

    def _open(self, frame: SynStream) -> None:
        if frame.stream in self._streams:
            self._refuse(frame.stream, Status.PROTOCOL_ERROR)
        elif frame.stream % 2 == 0 or len(self._streams) >= OPEN:
            # Not so: numbers that do not rise. spdystream numbers and sends in two steps, and two streams may change places.
            self.send(RstStream(frame.stream, Status.REFUSED_STREAM))
        else:
            self._last = max(self._last, frame.stream)
            stream = Stream(self, frame, window=self._initial)
            self._streams[stream.id] = stream
            self._opened.append(stream)

    def _refuse(self, number: int, status: Status) -> None:
        stream = self._streams.get(number)
        if stream:
            stream.reset(status)
        else:
            self.send(RstStream(number, status))

    def _take(self, number: int, data: bytes, *, fin: bool) -> None:
        stream = self._streams.get(number)
        if stream is None:
            # What was under way when its stream ended counts as read; a stream that never was is an error.
            self._forget(len(data))
            if number > self._last:
                self.send(RstStream(number, Status.INVALID_STREAM))
            return
        try:
            stream.take(data, fin=fin)
        except ValueError:
            self._forget(len(data))
            stream.reset(Status.STREAM_ALREADY_CLOSED)

    def _forget(self, count: int) -> None:
        self._consumed += count

    def _set(self, frame: Settings) -> None:
        for setting in frame.values:
            if setting.number == INITIAL_WINDOW and setting.value <= LARGEST_ID:
                self._windows_kept = True
                for stream in self._streams.values():
                    stream.window += setting.value - self._initial
                self._initial = setting.value

    def _widen(self, number: int, delta: int) -> None:
        self._windows_kept = True
        stream = self._streams.get(number)
        if number == 0:
            self._window += delta
        elif stream:
            stream.window += delta
            if stream.window > LARGEST_ID:
                stream.reset(Status.FLOW_CONTROL_ERROR)
