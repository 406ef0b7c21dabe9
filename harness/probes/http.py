"""HTTP questions: one request, its payload checked. When they are asked is harness.probes.prober's business."""

import asyncio

import aiohttp

from harness.measuring.network import network_reason
from harness.model.history import Mode
from harness.model.load import HttpProbe
from harness.model.units import SECOND, Ns

NUMBERS = 1000
"""`{n}` runs from 1 to this and begins again, so that it names things that exist."""


class HttpAsker:
    """Asks one HTTP probe in one mode: anew each time, or over connections that are kept until they break.

    Make it inside the running loop.
    """

    def __init__(self, probe: HttpProbe, peer: tuple[str, int], mode: Mode) -> None:
        self._probe = probe
        host, port = peer
        self._base = f"http://{host}:{port}"
        self._method = "POST" if probe.body else "GET"
        self._contains = probe.contains.encode()
        fresh = mode is Mode.FRESH
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                force_close=fresh,
                use_dns_cache=not fresh,
                keepalive_timeout=None if fresh else 3600,
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Content-Type": "application/json"} if probe.body else {},
        )
        # aiohttp would send a request again that a stale connection has swallowed; that is the sample we are after.
        self._session._retry_connection = False  # noqa: SLF001

    async def ask(self, number: int, deadline: Ns) -> str:
        """Why the answer is bad, in a word; '' if it is good."""
        filled = str((number - 1) % NUMBERS + 1)
        url = self._base + self._probe.path.replace("{n}", filled)
        body = self._probe.body.replace("{n}", filled).encode() or None
        try:
            async with asyncio.timeout_at(deadline / SECOND):
                async with self._session.request(self._method, url, data=body, allow_redirects=False) as answer:
                    payload = await answer.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return reason(error)
        if answer.status != self._probe.status:
            return f"status {answer.status}"
        return "" if self._contains in payload else "payload"

    async def close(self) -> None:
        """Close the connections that are kept."""
        await self._session.close()


def reason(error: BaseException) -> str:
    """What went wrong with a request, in a word."""
    match error:
        case TimeoutError():
            return "timeout"
        case aiohttp.ClientConnectorDNSError():
            return "dns"
        case aiohttp.ServerDisconnectedError():
            return "closed"
        case aiohttp.ClientPayloadError():
            return "cut short"
        case OSError():
            return network_reason(error)
        case _:
            return "protocol"
