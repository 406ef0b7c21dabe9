"""The power of a cluster's node: cut, held, given back. A node is its kubelet, its container runtime and what runs in that."""

import os
import signal
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from harness import clock
from harness.errors import SubstrateError
from harness.model.units import SECOND, Ns, milliseconds, seconds
from harness.ports import NodeState
from harness.substrates.journal import started
from harness.substrates.local.kubernetes.places import Node
from harness.substrates.local.kubernetes.servers import Servers
from harness.substrates.local.site import Site

ROUNDS = 20
"""How often the processes of a node are looked for until none is new: those that still ran may have made more."""


ENDING: Ns = seconds(10)


class Power:
    """Of one node."""

    def __init__(self, node: Node, site: Site, servers: Servers) -> None:
        self._node = node
        self._site = site
        self._servers = servers
        self._state = NodeState.UP

    @property
    def kubelet(self) -> str:
        """The name of its kubelet among the servers."""
        return f"kubelet-{self._node.name}"

    @property
    def runtime(self) -> str:
        """The name of its container runtime among the servers."""
        return f"runtime-{self._node.name}"

    async def set(self, state: NodeState) -> None:
        """Go to that state from whichever it is in. SubstrateError if a program of it does not come up again."""
        if state is self._state:
            return
        if self._state is NodeState.PAUSED:
            self._signal(signal.SIGCONT)
        match state:
            case NodeState.UP:
                await self._up()
            case NodeState.PAUSED:
                await self._up()
                self._hold()
            case NodeState.DOWN:
                await self._down()
        self._state = state

    async def _up(self) -> None:
        if self._state is not NodeState.DOWN:
            return
        socket = self._site.layout.seen(self._node.socket)
        await self._servers.again(self.runtime)

        async def listens() -> bool:
            return socket.exists()

        await self._servers.until(f"{self._node.name} has a container runtime", listens)
        await self._servers.again(self.kubelet)
        self._state = NodeState.UP

    async def _down(self) -> None:
        """Containers end with their runtime: the kernel ends the pid namespace that all of them are in, in a moment."""
        meant = {pid: started(pid) for pid in self._pids()}
        for name in (self.kubelet, self.runtime):
            self._servers.give_up(name)
            await self._site.control(name, "stop", signal.SIGKILL)

        async def gone() -> bool | None:
            return not any(since is not None and started(pid) == since for pid, since in meant.items()) or None

        if await clock.until(gone, deadline=clock.now() + ENDING, every=milliseconds(5)) is None:
            raise SubstrateError(
                f"{self._node.name}: processes live on {ENDING // SECOND} s after their runtime was killed"
            )
        self._site.layout.seen(self._node.socket).unlink(missing_ok=True)

    def _hold(self) -> None:
        """Stop everything, those that could make more first."""
        held: set[int] = set()
        for _ in range(ROUNDS):
            new = [pid for pid in self._pids() if pid not in held]
            if not new:
                return
            _send(new, signal.SIGSTOP)
            held |= set(new)
        raise SubstrateError(f"{self._node.name}: new processes appear faster than they can be stopped")

    def _signal(self, number: int) -> None:
        _send(self._pids(), number)

    def _pids(self) -> Sequence[int]:
        """The pids of all its processes as the harness sees them, parents before their children."""
        children = _children()
        found: list[int] = [*self._servers.pids(self.kubelet), *self._servers.pids(self.runtime)]
        for pid in found:
            found += children.get(pid, ())
        return found


def _send(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _children() -> dict[int, list[int]]:
    """The children of every process (proc_pid_stat(5): field 4 is the parent)."""
    found: dict[int, list[int]] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            with suppress(OSError):
                fields = (path / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                found.setdefault(int(fields[1]), []).append(int(path.name))
    return found
