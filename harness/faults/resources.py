"""Faults done to resources: a volume that is full. Only ever the server's own volume, of the size that was declared."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from harness import clock
from harness.errors import FaultError, SubstrateError
from harness.faults.scope import database, undone
from harness.faults.server import ServerError, session
from harness.ports import Capability, Database, Injection, Stage

_MIB = 1 << 20


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
        await _must_be_its_own(target)
        async with undone(partial(_emptied, target, self.file), what=str(self)):
            try:
                await target.fill(self.file, leave=self.leave_kb * 1024)
            except SubstrateError as error:
                raise FaultError(f"{self.database}: {error}") from error
            room = await target.room()
            code = await self._spilling(target)
            why = "" if code == "53100" else f"a query that spills to disk ended with: {code or 'success'}"
            if room.free > self.leave_kb * 1024:
                why = f"{room.free // 1024} KiB are still free"
            yield Injection(
                felt=not why,
                at=clock.now(),
                evidence={
                    "free_kb": room.free // 1024,
                    "volume_mb": room.size // _MIB,
                    "spilling": code or "succeeded",
                },
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


async def _must_be_its_own(target: Database) -> None:
    """Nothing is written unless this is certainly the volume that was made for the server."""
    try:
        room = await target.room()
    except SubstrateError as error:
        raise FaultError(str(error)) from error
    if room.size != target.spec.volume_mb * _MIB:
        raise FaultError(
            f"{target.spec.name}: expected a volume of {target.spec.volume_mb} MiB; it has {room.size / _MIB:g}"
        )


async def _emptied(target: Database, file: str) -> None:
    await target.empty(file)
    await target.start()
