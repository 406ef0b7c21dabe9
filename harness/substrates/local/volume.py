"""A server's own volume: how much fits, and a file that takes what is free. Only ever a file system of its own."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from harness.errors import SubstrateError
from harness.ports import Room

_CHUNK = 8 << 20


def room(name: str, volume: Path) -> Room:
    """How much fits on the volume of the server of that name; SubstrateError unless it is certainly a file system of its own."""
    try:
        device = volume.stat().st_dev
        around = {volume.parent.stat().st_dev, *(Path(place).stat().st_dev for place in ("/", "/tmp", Path.cwd()))}  # noqa: S108
        stat = os.statvfs(volume)
    except OSError as error:
        raise SubstrateError(f"{name}: its volume {volume} cannot be looked at: {error}") from error
    if device in around:
        raise SubstrateError(f"{name}: expected a volume of its own; {volume} lies on the file system around it")
    return Room(size=stat.f_blocks * stat.f_frsize, free=stat.f_bavail * stat.f_frsize)


class Ballast:
    """A file that takes all room but `leave` bytes, once filled."""

    def __init__(self, path: Path) -> None:
        """SubstrateError if there is such a file already, or it cannot be made."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise SubstrateError(f"its volume cannot be filled: {path}: {error.strerror}") from error
        self._path = path

    async def fill(self, *, leave: int) -> None:
        """Allocate, chunk by chunk, what is free. Each chunk holds the loop up for some milliseconds: a thread could still be
        writing when the fault is cancelled."""
        done = 0
        while (free := self._free() - leave) > 0:
            chunk = min(_CHUNK, free)
            try:
                os.posix_fallocate(self._fd, done, chunk)
            except OSError:
                return  # full by somebody else's doing meanwhile; the evidence tells
            done += chunk
            await asyncio.sleep(0)

    def _free(self) -> int:
        stat = os.statvfs(self._fd)
        return stat.f_bavail * stat.f_frsize

    def empty(self) -> None:
        """Have it all back, even if somebody has moved the file."""
        os.ftruncate(self._fd, 0)
        os.close(self._fd)
        with suppress(FileNotFoundError):
            self._path.unlink()
