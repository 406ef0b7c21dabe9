"""Start one process of the service: `python -m shop`, told by environment variables (shop.settings)."""

import logging
import sys

from aiohttp import web

from shop import log
from shop.database import Database
from shop.metrics import Metrics
from shop.settings import SettingsError, read_settings
from shop.web import Api


def main() -> int:
    """Serve until SIGTERM or SIGINT; 2 if the settings cannot be understood."""
    try:
        settings = read_settings()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    log.set_up(settings.service, settings.worker)

    async def application() -> web.Application:  # the pool wants to be made inside the running loop
        return Api(settings, Database(settings), Metrics(settings)).application()

    logging.getLogger("shop").info("worker %s listens on %s:%d", settings.worker, settings.host, settings.port)
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
