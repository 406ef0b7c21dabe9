"""What every process of the image does when it starts: read its settings, and see that it is the only one of its kind."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shop.settings import Settings, SettingsError, read_settings

logger = logging.getLogger("shop.starting")


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
