"""A program that is a customer of the service: ROLE=client orders from CLIENT_TARGET, CLIENT_CALLS_PER_S times a second whatever
becomes of it. It answers /live and /health on PORT as the service does."""

import asyncio
import contextlib
import itertools
import logging
import sys
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web

from shop.settings import Settings

log = logging.getLogger("shop.client")
PATIENCE_S = 5.0
MOST = 300
"""Orders that are waited for at the same time, at most: further ones are not sent meanwhile."""


class Client:
    """Orders, and counts what came of it."""

    def __init__(self, settings: Settings) -> None:
        self._target = settings.client_target
        self._rate = settings.client_rate
        self._asked = self._refused = 0
        self._open: set[asyncio.Task[None]] = set()

    def application(self) -> web.Application:
        """What it answers, with the ordering going on beside it."""
        application = web.Application()
        application.add_routes([web.get("/live", self.state), web.get("/health", self.state)])
        application.cleanup_ctx.append(self._ordering)
        return application

    async def state(self, _: web.Request) -> web.Response:
        """GET /live, /health: how many orders it has sent, and how many of them came to nothing."""
        return web.json_response({"status": "ok", "asked": self._asked, "refused": self._refused})

    async def _ordering(self, _: web.Application) -> AsyncIterator[None]:
        patience = aiohttp.ClientTimeout(total=PATIENCE_S)
        async with aiohttp.ClientSession(timeout=patience, connector=aiohttp.TCPConnector(limit=0)) as session:
            orders = asyncio.create_task(self._order_on(session))
            yield
            for task in (orders, *self._open):
                task.cancel()
            await asyncio.gather(orders, *self._open, return_exceptions=True)

    async def _order_on(self, session: aiohttp.ClientSession) -> None:
        if not self._rate:
            return
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in itertools.count():
            await asyncio.sleep(began + number / self._rate - loop.time())
            if len(self._open) < MOST:
                task = asyncio.create_task(self._order(session, number))
                self._open.add(task)
                task.add_done_callback(self._open.discard)

    async def _order(self, session: aiohttp.ClientSession, number: int) -> None:
        self._asked += 1
        wanted = {"customer": 1 + number % 1000, "product": 1 + number % 1000, "quantity": 1}
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with session.post(f"{self._target}/orders", json=wanted) as answer:
                await answer.read()
                if answer.status == 201:
                    return
        self._refused += 1


def order(settings: Settings) -> int:
    """Order until SIGTERM or SIGINT; 2 where no service is named."""
    if not settings.client_target:
        sys.stderr.write("CLIENT_TARGET: expected the service's URL, found nothing\n")
        return 2

    async def application() -> web.Application:
        return Client(settings).application()

    log.info("ordering %g times a second from %s", settings.client_rate, settings.client_target)
    web.run_app(
        application(), host=settings.host, port=settings.port, access_log=None, print=None, shutdown_timeout=0.5
    )
    return 0
