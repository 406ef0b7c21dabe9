"""The worker that does the queue's tasks: `python -m shop.worker`. It answers /live and /health on PORT as the service does."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator

from aiohttp import web

from shop import log
from shop.settings import Settings
from shop.starting import once, settings_or_exit
from shop.strain import Strain
from shop.tasks import Tasks, Unqueued

logger = logging.getLogger("shop.worker")
AGAIN_S = 0.25


class Worker:
    """One process that takes tasks, one after the other."""

    def __init__(self, settings: Settings) -> None:
        self._tasks = Tasks(settings.redis_url, settings.queue)
        self._strain = Strain()
        self._strained = settings.strain
        self._trouble = ""

    def application(self) -> web.Application:
        """What it answers, with the work going on beside it."""
        application = web.Application()
        application.add_routes([web.get("/live", self.live), web.get("/health", self.health)])
        if self._strained:
            application.add_routes(self._strain.routes())
            application.cleanup_ctx.append(self._strain.running)
        application.cleanup_ctx.append(self._working)
        return application

    async def live(self, _: web.Request) -> web.Response:
        """GET /live: the process answers."""
        return web.json_response({"status": "alive"})

    async def health(self, _: web.Request) -> web.Response:
        """GET /health: 503 while the queue cannot be reached."""
        bad = self._trouble or ("" if self._strain.ready else "switched off")
        return web.json_response({"status": bad or "ok"}, status=503 if bad else 200)

    async def _working(self, _: web.Application) -> AsyncIterator[None]:
        work = asyncio.create_task(self._work())
        yield
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
        await self._tasks.close()

    async def _work(self) -> None:
        while True:
            try:
                await self._tasks.work(within=1.0)
                self._trouble = ""
            except Unqueued as error:
                self._trouble = str(error)
                logger.error("the queue cannot be reached: %s", error)  # noqa: TRY400 - the reason is the message
                await asyncio.sleep(AGAIN_S)


def work(settings: Settings) -> int:
    """Take tasks until SIGTERM or SIGINT; 2 where no queue is named."""
    if not settings.redis_url:
        sys.stderr.write("REDIS_URL: expected the queue's URL, found nothing\n")
        return 2

    async def application() -> web.Application:
        return Worker(settings).application()

    logger.info("worker %s takes tasks from %s", settings.worker, settings.queue)
    web.run_app(application(), host=settings.host, port=settings.port, access_log=None, print=None)
    return 0


def main() -> int:
    """`python -m shop.worker`."""
    settings = settings_or_exit()
    log.set_up(settings.service, settings.worker)
    with once(settings):
        return work(settings)


if __name__ == "__main__":
    sys.exit(main())
