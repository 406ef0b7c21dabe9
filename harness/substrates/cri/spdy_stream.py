"""One stream of a SPDY session: read, written, half-closed and reset. What carries it is spdy_session."""

from typing import Protocol

from harness.substrates.cri.spdy_frames import Data, Frame, RstStream, Status, SynReply, SynStream

WINDOW = 1 << 16
"""Bytes that may be under way on a stream, and in all, until the other side says more (2.6.8)."""

CHUNK = 1 << 15


class Carrier(Protocol):
    """What a stream asks of its session."""

    def send(self, frame: Frame) -> None:
        """Send a frame, unless nobody is there."""
        ...

    async def drain(self) -> None:
        """Wait while the connection takes no more. ConnectionError if it is lost."""
        ...

    async def change(self) -> None:
        """Return when something has come or changed."""
        ...

    def room(self, stream: "Stream") -> int:
        """How many bytes the client takes now on that stream."""
        ...

    def spent(self, stream: "Stream", count: int) -> None:
        """So many bytes were sent."""
        ...

    def consumed(self, stream: "Stream", count: int) -> None:
        """So many bytes were read, and the client may send as many more."""
        ...

    def settle(self, stream: "Stream") -> None:
        """Forget a stream that is over."""
        ...


class Stream:
    """One stream, opened by the client. Made by Session."""

    def __init__(self, session: Carrier, opened: SynStream, *, window: int) -> None:
        self.id = opened.stream
        self.headers = dict(opened.headers)
        self._session = session
        self._kept = bytearray()
        self._ended = opened.fin
        self._one_way = self._finished = opened.unidirectional
        self._consumed = 0
        self.window = window
        self.gone = False

    @property
    def over(self) -> bool:
        """Whether nothing can come or go on it any more."""
        return self.gone or (self._ended and self._finished)

    async def accept(self) -> None:
        """Reply to the client, who waits for that before it does anything else."""
        if not self._one_way:
            self._session.send(SynReply(self.id, ()))
        await self._session.drain()

    async def read(self) -> bytes:
        """What has come, as soon as there is some; b"" when the client has half-closed. ConnectionResetError if it is gone."""
        while not self._kept:
            if self.gone:
                raise ConnectionResetError(f"stream {self.id} was reset")
            if self._ended:
                return b""
            await self._session.change()
        data = bytes(self._kept)
        self._kept.clear()
        self._session.consumed(self, len(data))
        return data

    async def write(self, data: bytes) -> None:
        """Send, as the windows and the connection take it. ConnectionResetError if the stream or the session is gone."""
        view = memoryview(data)
        while view:
            self._check()
            room = min(len(view), CHUNK, self._session.room(self))
            if room > 0:
                self._session.send(Data(self.id, bytes(view[:room])))
                self._session.spent(self, room)
                view = view[room:]
                await self._session.drain()
            else:
                await self._session.change()

    def _check(self) -> None:
        if self.gone or self._finished:
            raise ConnectionResetError(f"stream {self.id} was {'reset' if self.gone else 'finished'}")

    async def lost(self) -> None:
        """Return when it was reset, by either side, or its session is over."""
        while not self.gone:
            await self._session.change()

    async def finish(self) -> None:
        """Half-close: nothing more will be sent. Nothing if it is closed already."""
        if not self._finished and not self.gone:
            self._finished = True
            self._session.send(Data(self.id, b"", fin=True))
            self._session.settle(self)
            await self._session.drain()

    def reset(self, status: Status) -> None:
        """End it in both directions. Nothing if it is over already."""
        if not self.over:
            self._session.send(RstStream(self.id, status))
            self.lose()

    def lose(self) -> None:
        """It is no more, by whoever's doing. What has come can still be read."""
        self.gone = True
        self._session.settle(self)

    def take(self, data: bytes, *, fin: bool) -> int:
        """Keep what has come; how much is kept now. ValueError if the client had half-closed."""
        if self._ended:
            raise ValueError("data on a stream after its end")
        self._kept += data
        self._ended = fin
        self._session.settle(self)
        return len(self._kept)

    @property
    def kept(self) -> int:
        """How many bytes wait to be read."""
        return len(self._kept)

    def told(self, count: int) -> int:
        """Count bytes as read; how many more to tell the client of, once it is worth a frame."""
        self._consumed += count
        worth = self._consumed if self._consumed >= WINDOW // 2 and not self._ended else 0
        self._consumed -= worth
        return worth
