"""TCP questions: is a connection accepted, and is one that was accepted still open? Nothing is said over it."""

import asyncio
from contextlib import suppress

from harness.measuring.network import network_reason
from harness.model.history import Mode
from harness.model.units import SECOND, Ns


class TcpAsker:
    """Asks one TCP probe in one mode. A kept connection that the peer has ended makes one bad sample, then a new one."""

    def __init__(self, peer: tuple[str, int], mode: Mode) -> None:
        self._host, self._port = peer
        self._mode = mode
        self._kept: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, _: int, deadline: Ns) -> str:
        """Why the answer is bad, in a word; '' if it is good."""
        if self._kept is not None:
            reader, _writer = self._kept
            if not reader.at_eof() and reader.exception() is None:
                return ""
            await self.close()
            return "closed"
        try:
            async with asyncio.timeout_at(deadline / SECOND):
                made = await asyncio.open_connection(self._host, self._port)
        except TimeoutError:
            return "timeout"
        except OSError as error:
            return network_reason(error)
        if self._mode is Mode.POOLED and self._kept is None:
            self._kept = made
        else:
            await _closed(made[1])
        return ""

    async def close(self) -> None:
        """Close the connection that is kept."""
        if self._kept is not None:
            kept, self._kept = self._kept, None
            await _closed(kept[1])


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
