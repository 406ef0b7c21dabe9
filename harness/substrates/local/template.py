"""The cache of prepared data directories: each made once per machine, whoever comes first, and never half a one."""

import asyncio
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from harness.errors import SubstrateError
from harness.model.topology import Postgres

LAYOUT = 1
"""Raised when what goes into a template changes: an older one is then not found."""

POLL_S = 0.05
PATIENCE_S = 120.0


def cache() -> Path:
    """XDG_CACHE_HOME/rundrill, or ~/.cache/rundrill; SubstrateError where it cannot be written."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    folder = base / "rundrill"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SubstrateError(
            f"{folder}: expected a folder to keep templates in: {error}\n    set XDG_CACHE_HOME"
        ) from error
    return folder


def key(spec: Postgres, version: str) -> str:
    """What a template depends on: all of the server that is in its files, not its name, settings, size or clock."""
    parts = (LAYOUT, version, spec.database, spec.owner, spec.roles, spec.schema)
    return f"postgres-{version}-{hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:20]}"


@asynccontextmanager
async def locked(path: Path) -> AsyncIterator[None]:
    """Hold the lock, a file; it is gone with the process, so a killed one holds up nobody."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await asyncio.sleep(POLL_S)
        yield
    except TimeoutError as error:
        raise SubstrateError(f"{path}: another run has held this lock for {PATIENCE_S:.0f} s") from error
    finally:
        os.close(fd)


async def obtain(name: str, make: Callable[[Path], Awaitable[None]]) -> tuple[Path, bool]:
    """The archive of that name, and whether `make` was called to write it (to a path next to where it will be)."""
    folder = cache()
    archive = folder / f"{name}.tar"
    if archive.exists():
        return archive, False
    async with locked(folder / f"{name}.lock"):
        if archive.exists():
            return archive, False
        for stale in folder.glob(f"{name}.*.new"):
            stale.unlink()
        unfinished = folder / f"{name}.{os.getpid()}.new"
        await make(unfinished)
        unfinished.replace(archive)
    return archive, True
