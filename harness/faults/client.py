"""The misbehaving client (harness.faults.leak) as the harness holds it: started in the environment, followed by its lines
and, which is what counts, by what the server says of it. Not what it is for."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from harness import clock
from harness.errors import FaultError, InstrumentError
from harness.faults.leak import Held, Work
from harness.faults.scope import undone
from harness.faults.server import PATIENCE, Server, session_if_up
from harness.measuring.lines import read_lines
from harness.model.units import SECOND, Ns, milliseconds, seconds
from harness.ports import Database, Process, Stage

FILLING: Ns = seconds(15)
"""How long the client may take to get what it is after."""

STEP = milliseconds(20)

_UNSAFE = re.compile(r"[^\w.-]")

OURS = "application_name = %s AND usename = %s AND datname = current_database()"
"""The client's sessions among pg_stat_activity's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What the client is to the server: its application name, its role, and how it sits (`state`), as pg_stat_activity has
    them."""

    application_name: str
    role: str
    state: str


@dataclass(slots=True)
class Client:
    """The client while it runs."""

    profile: Profile
    process: Process
    lines: Path
    _offset: int
    _last: Held | None = None

    def held(self) -> Held | None:
        """What it said last, None if nothing yet. FaultError if it ended, or does not speak."""
        try:
            said, self._offset = read_lines(self.lines, self._offset, Held)
        except InstrumentError as error:
            raise FaultError(str(error)) from error
        self._last = said[-1] if said else self._last
        if self.process.returncode is not None:
            raise FaultError(
                f"the client {self.profile.application_name} ended with status {self.process.returncode}: "
                f"{self.lines.with_suffix('.err').read_text(encoding='utf-8', errors='replace').strip()[-500:]}"
            )
        return self._last

    async def sitting(self, server: Server) -> int:
        """How many of its sessions the server has in the state they are to be in."""
        states = await self.states(server)
        return states.get(self.profile.state, 0)

    async def states(self, server: Server) -> Mapping[str, int]:
        """How many of its sessions the server has in each state."""
        rows = await server.ask(
            f"SELECT coalesce(state, 'starting'), count(*) FROM pg_stat_activity WHERE {OURS} GROUP BY 1",  # noqa: S608
            self.profile.application_name,
            self.profile.role,
        )
        return {str(state): int(count or 0) for state, count in rows}

    async def aged(self, server: Server, age: Ns) -> int:
        """How many of its sessions have been in their state for `age` ns or more, by the server's clock."""
        return await server.number(
            f"SELECT count(*) FROM pg_stat_activity WHERE {OURS} AND state = %s"  # noqa: S608
            " AND clock_timestamp() - state_change >= make_interval(secs => %s)",
            self.profile.application_name,
            self.profile.role,
            self.profile.state,
            age / SECOND,
        )


@asynccontextmanager
async def started(stage: Stage, database: Database, work: Work, profile: Profile) -> AsyncIterator[Client]:
    """The client, running inside the environment; it, and all that the server has of it, is gone when the scope is left."""
    lines = stage.folder / f"client-{_UNSAFE.sub('-', profile.application_name)}.jsonl"
    lines.touch()
    offset = lines.stat().st_size
    argv = (stage.environment.python, "-m", "harness.faults.leak", msgspec.json.encode(work).decode())
    process = await stage.environment.start(argv, stdout=lines, stderr=lines.with_suffix(".err"))
    async with undone(partial(_end, process, database, profile), what=f"the client {profile.application_name}"):
        yield Client(profile, process, lines, offset)


async def _end(process: Process, database: Database, profile: Profile) -> None:
    """End the process, then those of its sessions whose server has not noticed: one that sleeps or waits does not listen."""
    await process.stop()
    async with session_if_up(database) as server:
        if server is None:
            return

        async def gone() -> bool | None:
            rows = await server.ask(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS}",  # noqa: S608
                profile.application_name,
                profile.role,
            )
            return None if rows else True

        if await clock.until(gone, deadline=clock.now() + PATIENCE, every=STEP) is None:
            raise FaultError(f"{database.spec.name}: sessions of {profile.application_name} do not end")


@asynccontextmanager
async def clock_ahead(database: Database) -> AsyncIterator[None]:
    """Whatever is done to the server's clock meanwhile, it is set back to what the topology says."""

    async def back() -> None:
        await database.move_clock(usual_clock(database))

    async with undone(back, what=f"the clock of {database.spec.name}"):
        yield


def usual_clock(database: Database) -> Ns:
    """How far the server's clock runs ahead without any fault."""
    return round(database.spec.clock_ahead_s * SECOND)
