"""Who gets which cluster: one environment a cluster at a time, as many clusters as the settings allow, reused while anybody of
this process or another wants them. Not what is in a cluster.
"""

import atexit
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from harness import clock, execution
from harness.errors import SubstrateError
from harness.model.units import SECOND, Ns
from harness.substrates.kind import docker, keeper, nodes
from harness.substrates.kind.room import Order, Room, State
from harness.substrates.kind.settings import Settings
from harness.substrates.local import template
from harness.telling import tell

POLL: Ns = SECOND // 10
WAITING: Ns = 3600 * SECOND
"""How long an environment waits for a cluster that others are in."""

LEAVING_S = 90.0
TELLING: Ns = 2 * SECOND
"""A cluster that is there already is given sooner."""

STARTING: Ns = 30 * SECOND


class Users:
    """The clusters that this process wants to stay: each is held from its first use until `close`, or the process's end."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}

    async def hold(self, room: Room) -> None:
        """Have the room's cluster stay; if one is being deleted at the moment, return when it is gone."""

        async def held() -> int | None:
            return room.lock("users", shared=True)

        if room.name not in self._held:
            fd = await clock.until(held, deadline=clock.now() + round(LEAVING_S * SECOND), every=POLL)
            if fd is None:
                raise SubstrateError(f"{room.folder}: the keeper of this cluster does not come to an end: {room.log}")
            if not self._held:
                atexit.register(self.close)
            self._held[room.name] = fd

    def close(self) -> None:
        """Let go of all of them, and return when those that nobody else wants are gone. It blocks."""
        rooms = [Room.of(name) for name in self._held]
        while self._held:
            os.close(self._held.popitem()[1])
        for room in rooms:
            _seen_off(room)


def _seen_off(room: Room) -> None:
    """Wait until the cluster's keeper has ended, unless somebody else wants the cluster."""
    from threading import Event  # noqa: PLC0415 - only here is there no loop to wait on

    pause, left = Event(), LEAVING_S
    while room.kept_alive() and left > 0:
        users = room.lock("users")
        if users is not None:
            os.close(users)  # free: the keeper has not looked yet
        elif (state := room.state()) is None or state.stage != "ending":
            left = min(left, 2.0)
        pause.wait(0.1)
        left -= 0.1


Wanted = Callable[[Room], Awaitable[Order]]
"""What the cluster of a room is to be; its number is given by the room."""


@asynccontextmanager
async def leased(users: Users, settings: Settings, wanted: Wanted) -> AsyncIterator[Room]:
    """A cluster as wanted in its room, and nobody else's for the time being. SubstrateError if it does not come up."""
    room, fd = await _free(settings)
    try:
        await users.hold(room)
        await have(room, await wanted(room), settings)
        yield room
    finally:
        os.close(fd)


async def _free(settings: Settings) -> tuple[Room, int]:
    """The first room that no environment is in, and its lease: drills one by one find their nodes under the same names."""

    async def found() -> tuple[Room, int] | None:
        for number in range(1, settings.most + 1):
            room = Room.of(settings.name if number == 1 else f"{settings.name}-{number}")
            fd = room.lock("lease")
            if fd is not None:
                return room, fd
        return None

    if (free := await found()) is not None:
        return free
    tell("waiting for a kind cluster: other drills are in all of them")
    got = await clock.until(found, deadline=clock.now() + WAITING, every=POLL)
    if got is None:
        raise SubstrateError(
            f"expected a kind cluster to be free within {WAITING / SECOND:.0f} s; other drills are in all of them\n"
            "    allow more (setting `most`), or run fewer trials at a time"
        )
    return got


async def have(room: Room, wanted: Order, settings: Settings) -> None:
    """Have the keeper make it so. The caller has the room's lease."""
    before = room.order()
    number = (before.number if before else 0) + 1
    order = msgspec.structs.replace(wanted, number=number)
    room.wish(order)
    deadline = clock.now() + round(settings.patience_s * SECOND)

    told_at = clock.now() + TELLING

    async def answered() -> State | None:
        nonlocal told_at
        if not room.kept_alive():
            await _start_keeper(room)
        state = room.state()
        if clock.now() > told_at:
            told_at = deadline
            tell(f"making the kind cluster {room.name}, {nodes.counted(1 + wanted.workers)}: half a minute to a minute")
        return state if state and state.number == number and state.stage in {"up", "failed"} else None

    state = await clock.until(answered, deadline=deadline, every=POLL)
    if state is None:
        said = await nodes.log(f"{room.name}-control-plane")
        raise SubstrateError(
            f"kind cluster {room.name!r}: expected it within {settings.patience_s:.0f} s; it is not there yet: {room.log}\n"
            "    raise patience_s, or see what Docker is busy with; the end of the first node's log:\n" + said
        )
    if state.stage == "failed":
        raise SubstrateError(state.why)


async def _start_keeper(room: Room) -> None:
    argv = (sys.executable, "-m", keeper.__name__, room.name)
    done = await execution.run(argv, env=keeper.environment(room), cwd=Path("/"), timeout=STARTING)
    if not done.ok:
        raise SubstrateError(f"the keeper of kind cluster {room.name!r} does not start: {done.stderr.strip()}")


async def reap() -> Sequence[str]:
    """Delete the clusters of ours that nobody uses, that were not to be kept, and whose keeper is dead; a sentence for each."""
    folder = template.cache() / "kind"
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else ()
    done = [await _reaped(Room.of(name)) for name in names]
    return [sentence for sentence in done if sentence]


async def _reaped(room: Room) -> str:
    order = room.order()
    if order is None or order.keep or room.kept_alive():
        return ""

    async def ended() -> bool | None:
        return None if room.kept_alive() else True

    async def there() -> bool:
        return any(node.bears(room.shared) for node in await docker.nodes(room.name))

    try:
        before = await there()
        await _start_keeper(room)  # with nobody to keep it for, it deletes what is left, and forgets it
        await clock.until(ended, deadline=clock.now() + round(LEAVING_S * SECOND), every=POLL)
        after = await there()
    except SubstrateError as error:
        return f"could not delete the kind cluster {room.name}: {error}"
    if after:
        return f"could not delete the kind cluster {room.name}: see {room.log}"
    return f"deleted the kind cluster {room.name}" if before else ""
