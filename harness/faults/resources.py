"""Faults done to resources: a volume that is full. Only ever the server's own volume, of the size that was declared."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness import clock
from harness.errors import FaultError
from harness.faults.scope import database, undone
from harness.faults.server import ServerError, brought_up, session
from harness.ports import Capability, Database, Injection, Stage

_MIB = 1 << 20
_CHUNK = 8 * _MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class FillDisk:
    """The volume of the server of `database` is full but for `leave_kb` KiB: a file `file` beside the data has the rest.

    When the fault ends the file is gone, and the server, should it have gone down over it, is up. Felt: statvfs shows that
    little, and a query that spills to disk fails with SQLSTATE 53100.
    """

    database: str
    leave_kb: int = 0
    file: str = "export.dump"

    def __str__(self) -> str:
        left = f"full but for {self.leave_kb} KiB" if self.leave_kb else "full"
        return f"the volume of {self.database} is {left}"

    @property
    def needs(self) -> frozenset[Capability]:
        """PostgreSQL on a volume of limited size."""
        return frozenset({Capability.POSTGRES, Capability.VOLUMES})

    @property
    def links(self) -> frozenset[str]:
        """None."""
        return frozenset()

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Fill it; afterwards there is room. FaultError without such a database, where its volume is not a file system of
        its own of the declared size, or where the file cannot be made."""
        target = database(stage, self.database)
        volume = target.volume
        _must_be_its_own(target)
        ballast = volume / self.file
        fd = _made(target, ballast)
        async with undone(partial(_emptied, target, ballast, fd), what=str(self)):
            await _fill(fd, leave=self.leave_kb * 1024)
            left = _free(volume)
            code = await self._spilling(target)
            why = "" if code == "53100" else f"a query that spills to disk ended with: {code or 'success'}"
            if left > self.leave_kb * 1024:
                why = f"{left // 1024} KiB are still free"
            yield Injection(
                felt=not why,
                at=clock.now(),
                evidence={"free_kb": left // 1024, "volume_mb": _size(volume) // _MIB, "spilling": code or "succeeded"},
                why=why,
            )

    async def _spilling(self, target: Database) -> str:
        """What becomes of a sort that writes more than is left to temporary files: these are not in the write-ahead log,
        whose lack of room would end the server."""
        rows = 20_000 + self.leave_kb * 32
        try:
            async with session(target) as server:
                await server.ask("SET work_mem = '64kB'")
                await server.ask(
                    "SELECT count(*) FROM (SELECT md5(n::text) FROM generate_series(1, %s) n ORDER BY 1) s", rows
                )
        except ServerError as error:
            return error.code
        return ""


def _must_be_its_own(target: Database) -> None:
    """Nothing is written unless this is certainly the volume that was made for the server."""
    volume, declared = target.volume, target.spec.volume_mb * _MIB
    try:
        device = volume.stat().st_dev
        around = {volume.parent.stat().st_dev, *(Path(place).stat().st_dev for place in ("/", "/tmp", Path.cwd()))}  # noqa: S108
        found = _size(volume)
    except OSError as error:
        raise FaultError(f"{target.spec.name}: its volume {volume} cannot be looked at: {error}") from error
    if device in around:
        raise FaultError(
            f"{target.spec.name}: expected a volume of its own; {volume} lies on the file system around it"
        )
    if found != declared:
        raise FaultError(
            f"{target.spec.name}: expected a volume of {target.spec.volume_mb} MiB; {volume} has {found / _MIB:g}"
        )


def _size(volume: Path) -> int:
    stat = os.statvfs(volume)
    return stat.f_blocks * stat.f_frsize


def _free(fd: int | Path) -> int:
    stat = os.statvfs(fd)
    return stat.f_bavail * stat.f_frsize


def _made(target: Database, ballast: Path) -> int:
    """A descriptor of a new, empty file."""
    try:
        return os.open(ballast, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise FaultError(f"{target.spec.name}: its volume cannot be filled: {ballast}: {error.strerror}") from error


async def _fill(fd: int, *, leave: int) -> None:
    """Allocate, chunk by chunk, what is free. Each chunk holds the loop up for some milliseconds: a thread could still be
    writing when the fault is cancelled."""
    done = 0
    while (room := _free(fd) - leave) > 0:
        chunk = min(_CHUNK, room)
        try:
            os.posix_fallocate(fd, done, chunk)
        except OSError:
            return  # full by somebody else's doing meanwhile; the evidence tells
        done += chunk
        await asyncio.sleep(0)


async def _emptied(target: Database, ballast: Path, fd: int) -> None:
    os.ftruncate(fd, 0)  # somebody may have moved it
    os.close(fd)
    with suppress(FileNotFoundError):
        os.unlink(ballast)  # noqa: PTH108 - a pathlib call would be taken for a slow one
    await brought_up(target)
