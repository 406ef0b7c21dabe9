"""The keeper of one kind cluster: makes it, makes it anew when told to, and deletes it as soon as nobody uses it any more,
however those who did have ended. `python -m harness.substrates.kind.keeper NAME`: returns once the keeper lives on its own.
"""

import asyncio
import os
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path

from harness import clock, execution
from harness.errors import SubstrateError
from harness.model.units import SECOND, Ns
from harness.substrates.kind import docker
from harness.substrates.kind.room import Order, Room, State

POLL_S = 0.1
MAKING: Ns = 600 * SECOND
DELETING: Ns = 60 * SECOND
ROUNDS = 5
BACK: Ns = 60 * SECOND
AGAIN_S = 1.0
"""How long Docker's daemon may be away when a cluster is to be deleted, and how often it is asked meanwhile."""

SHARES = 340
"""Of the CPU, where the instruments have 1024: a whole cluster yields to them as a server on `local` does, at nice +5."""

KEPT_OF_LOG = 40
ERROR = "ERROR: "
"""How the line of kind's begins that says what went wrong: long before its last ones, where it shows what a node said."""


class Keeper:
    """Obeys the orders in its room until nobody holds the room's `users` lock."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._users: int | None = None

    async def keep(self) -> None:
        """Until the end: deleted, or left up where the last order says `keep`."""
        served = 0
        while not self._alone():
            order = self._room.order()
            if order is not None and order.number > served:
                served = order.number
                await self._serve(order)
            await asyncio.sleep(POLL_S)
        await self._end()

    def _alone(self) -> bool:
        """Whether nobody uses the cluster; from then on nobody can, until this process ends."""
        if self._users is None:
            self._users = self._room.lock("users")
            self._say_ending()
        return self._users is not None

    def _say_ending(self) -> None:
        """Whoever leaves is to know that the end has come, however long it takes."""
        order = self._room.order()
        if self._users is not None and order is not None:
            self._room.tell(State(order.number, "ending"))

    async def _serve(self, order: Order) -> None:
        self._room.tell(State(order.number, "making"))
        try:
            finished = await self._while_used(self._made(order))
        except SubstrateError as error:
            self._room.tell(State(order.number, "failed", str(error)))
        else:
            if finished:
                self._room.tell(State(order.number, "up"))

    async def _while_used(self, work: Coroutine[None, None, None]) -> bool:
        """Do it, but give it up when nobody is left who wants it; whether it was finished."""
        task = asyncio.create_task(work)
        while not task.done() and not self._alone():
            await asyncio.wait((task,), timeout=POLL_S)
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
            return False
        task.result()
        return True

    async def _made(self, order: Order) -> None:
        """Have a cluster as ordered: the one there is, if it is ours and will do, else a new one."""
        there = await docker.nodes(self._room.name)
        if not all(node.bears(self._room.shared) for node in there):
            raise SubstrateError(
                f"the kind cluster {self._room.name!r}: expected none, or one that we made; found somebody else's\n"
                f"    delete it (kind delete cluster --name {self._room.name}), or call ours otherwise (RUNDRILL_KIND_NAME)"
            )
        made = self._room.made_for()
        if there and made and order.same(made) and not order.fresh and len(there) == 1 + order.workers:
            return
        if there:
            await self._deleted(order)
        await docker.have_network(self._room.name)
        await asyncio.to_thread(self._room.config.write_text, order.config, encoding="utf-8")
        await self._kind(order, "create", str(self._room.config), timeout=MAKING)
        nodes = [node.name for node in await docker.nodes(self._room.name)]
        await docker.done("update", "--cpu-shares", str(SHARES), *nodes)
        self._room.made(order)

    async def _kind(self, order: Order, do: str, *argument: str, timeout: Ns) -> None:
        """Have the worker do it; SubstrateError with the last it said."""
        done = await execution.run(
            worker(self._room, order, do, *argument),
            env=environment(self._room),
            cwd=self._room.folder,
            timeout=timeout,
        )
        if not done.ok:
            said = (done.stdout + done.stderr).splitlines()
            errors = [line.removeprefix(ERROR) for line in said if line.startswith(ERROR)]
            raise SubstrateError(
                "\n".join((f"kind {do} {self._room.name}: {''.join(errors[:1])}", *said[-KEPT_OF_LOG:]))
            )

    async def _end(self) -> None:
        """Delete the cluster, and the network that was made for it; a daemon that is away is waited for."""
        self._say_ending()
        order = self._room.order()
        if order is None or (order.keep and self._room.made_for()):
            return
        deadline = clock.now() + BACK
        while True:
            try:
                await self._removed(order)
            except SubstrateError as error:
                if clock.now() > deadline:
                    raise
                self._room.tell(State(order.number, "failed", str(error)))  # whoever leaves is not kept waiting
            else:
                return
            await asyncio.sleep(AGAIN_S)

    async def _removed(self, order: Order) -> None:
        if not all(node.bears(self._room.shared) for node in await docker.nodes(self._room.name)):
            return
        await self._deleted(order)
        await docker.drop_network(self._room.name)
        self._room.forget()

    async def _deleted(self, order: Order) -> None:
        """Delete it. What kind was about to start when it was killed may come up only then: hence several looks."""
        self._room.unmade()
        for _ in range(ROUNDS):
            await self._kind(order, "delete", timeout=DELETING)
            await asyncio.sleep(3 * POLL_S)
            if not await docker.nodes(self._room.name):
                return
        raise SubstrateError(f"the nodes of kind cluster {self._room.name!r} cannot be removed")


def worker(room: Room, order: Order, do: str, *argument: str) -> Sequence[str]:
    """The command line of the worker that does it."""
    program = (sys.executable, "-m", "harness.substrates.kind.worker")
    return (*program, do, room.name, str(room.kubeconfig), order.kind, order.kubectl, order.image, *argument)


def environment(room: Room) -> dict[str, str]:
    """What kind is started with: a network of the cluster's own, which can be removed with it."""
    paths = os.pathsep.join(path for path in sys.path if path)
    return {**docker.environment(), docker.NETWORK: room.name, "PYTHONPATH": paths, "PYTHONWARNINGS": "ignore"}


def main() -> None:
    """Become a process of nobody's, and keep the cluster. The starter returns when the keeper has its lock."""
    room = Room.of(sys.argv[1])
    ready, told = os.pipe()
    if os.fork():
        os.close(told)
        os.read(ready, 1)
        os._exit(0)
    os.close(ready)
    os.setsid()
    if room.lock("keeper") is None:
        return  # another one was quicker, and will do
    with Path(os.devnull).open("rb") as nothing, room.log.open("ab") as log:
        for source, number in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(source.fileno(), number)
    os.write(told, b"+")
    os.close(told)
    asyncio.run(Keeper(room).keep())


if __name__ == "__main__":
    main()
