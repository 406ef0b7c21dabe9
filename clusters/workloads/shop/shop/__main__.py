"""Start one process of the service: `python -m shop`, told by environment variables (shop.settings)."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web

from shop import log
from shop.database import Database
from shop.metrics import Metrics
from shop.settings import Settings, SettingsError, read_settings
from shop.web import Api

logger = logging.getLogger("shop")


def settings_or_exit() -> Settings:
    """The settings; the process ends with 2 if they cannot be understood."""
    try:
        return read_settings()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)


@contextmanager
def once(settings: Settings) -> Iterator[None]:
    """Hold the pid file, if there is one to hold. A process that crashed has left its own behind: the next one believes that
    it still runs and ends with 1, until somebody removes the file or the volume it is on."""
    if not settings.pidfile:
        yield
        return
    path = Path(settings.pidfile)
    try:
        with path.open("x", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")
    except FileExistsError:
        logger.error("a server is already running: %s exists (pid %s)", path, path.read_text(encoding="ascii").strip())  # noqa: TRY400
        sys.exit(1)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def main() -> int:
    """Serve until SIGTERM or SIGINT; 2 if the settings cannot be understood, 1 if this release does not start."""
    settings = settings_or_exit()
    log.set_up(settings.service, settings.worker)
    if settings.defect == "crash":
        logger.error("release %s does not start: no module named 'shop.checkout'", settings.version)
        return 1

    async def application() -> web.Application:  # the pool wants to be made inside the running loop
        return Api(settings, Database(settings), Metrics(settings)).application()

    with once(settings):
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
