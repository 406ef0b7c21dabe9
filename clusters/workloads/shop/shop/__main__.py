"""Start one process of the image: `python -m shop`, told by environment variables (shop.settings); ROLE=worker, ROLE=backup,
ROLE=client: the queue's worker, the backup job, a program that is a customer."""

import logging
import sys

from aiohttp import web

from shop import backup, client, log, worker
from shop.database import Database
from shop.metrics import Metrics
from shop.settings import Settings
from shop.starting import once, settings_or_exit
from shop.web import Api

logger = logging.getLogger("shop")


def main() -> int:
    """Serve or work until SIGTERM or SIGINT; 2 if the settings cannot be understood, 1 if this release does not start."""
    settings = settings_or_exit()
    log.set_up(settings.service, settings.worker)
    if settings.defect == "crash":
        logger.error("release %s does not start: no module named 'shop.checkout'", settings.version)
        return 1
    with once(settings):
        match settings.role:
            case "worker":
                return worker.work(settings)
            case "backup":
                return backup.back_up(settings)
            case "client":
                return client.order(settings)
            case _:
                return serve(settings)


def serve(settings: Settings) -> int:
    """Answer over HTTP."""

    async def application() -> web.Application:  # the pool wants to be made inside the running loop
        return Api(settings, Database(settings), Metrics(settings)).application()

    logger.info(
        "worker %s of release %s listens on %s:%d", settings.worker, settings.version, settings.host, settings.port
    )
    web.run_app(
        application(),
        host=settings.host,
        port=settings.port,
        reuse_port=True,
        access_log=None,
        print=None,
        shutdown_timeout=settings.shutdown_timeout,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
