"""Faults done to processes by signals: killed, or stopped where they stand."""

import signal
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeGuard

from harness import clock
from harness.errors import FaultError, SubstrateError
from harness.faults.scope import server, service, undone
from harness.model.topology import Workload
from harness.model.units import Ns, milliseconds, seconds
from harness.ports import Capability, Database, Injection, Seen, Service, Stage, Store

Which = Literal["all", "one"]
Target = Service | Database | Store

_FELT_WITHIN: Ns = seconds(3)
_LOOK: Ns = milliseconds(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """Processes of `target`, a workload, a database or a store, are sent `signal` ("KILL", "TERM", …).

    `which`: "all" of a workload's processes, or its first "one"; of a database "all" is the postmaster, with which its
    sessions end, and "one" the youngest of its children, for which the postmaster ends all sessions and recovers.
    When the fault ends, what does not run is started. Felt: the processes are gone.
    """

    target: str
    signal: str = "KILL"
    which: Which = "all"

    def __str__(self) -> str:
        who = "all processes" if self.which == "all" else "one process"
        return f"{who} of {self.target} {'get' if self.which == 'all' else 'gets'} SIG{self.signal}"

    @property
    def needs(self) -> frozenset[Capability]:
        """Processes."""
        return frozenset({Capability.PROCESSES})

    @property
    def links(self) -> frozenset[str]:
        """None."""
        return frozenset()

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Send the signal; afterwards the target runs. FaultError without such a target or signal, or if it is down."""
        number = _number(self.signal)
        target = _target(stage, self.target)
        processes = await self._victims(target)
        async with undone(partial(_running_again, target, processes), what=str(self)):
            await target.signal(processes, number)
            left = await _left(target, processes)
            yield Injection(
                felt=not left,
                at=clock.now(),
                evidence={"signal": self.signal, "processes": _pids(processes), "gone": len(processes) - len(left)},
                why=f"still there: {_pids(left)}" if left else "",
            )

    async def _victims(self, target: Target) -> Sequence[Seen]:
        found = await _running(target, self.target)
        roots = _roots(target, found)
        if self.which == "all":
            return roots
        if _is_service(target):
            return roots[:1]
        children = [one for one in found if one.parent == roots[0].pid]
        if not children:
            raise FaultError(f"{self.target}: expected a server with children; it has none")
        return [max(children, key=lambda one: (one.started, one.pid))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Processes of `target`, a workload, a database or a store, stand still (SIGSTOP): they neither answer nor close connections.

    `which`: "all" of them, children included; or the first "one" of a workload's, and of a database the postmaster alone,
    so that sessions go on and nobody new gets in. When the fault ends, those that are still there go on (SIGCONT).
    Felt: /proc shows every one of them in state T.
    """

    target: str
    which: Which = "all"

    def __str__(self) -> str:
        who, do = ("all processes", "stand") if self.which == "all" else ("one process", "stands")
        return f"{who} of {self.target} {do} still"

    @property
    def needs(self) -> frozenset[Capability]:
        """Processes."""
        return frozenset({Capability.PROCESSES})

    @property
    def links(self) -> frozenset[str]:
        """None."""
        return frozenset()

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Stop them; afterwards they go on. FaultError without such a target, or if it is down."""
        target = _target(stage, self.target)
        first = _roots(target, await _running(target, self.target))[:1]
        stopped: dict[tuple[str, int, int], Seen] = {}

        async def going_on() -> None:
            # Children first: a postmaster that goes on must not find its children silent.
            await target.signal(list(reversed(stopped.values())), signal.SIGCONT)

        async with undone(going_on, what=str(self)):

            async def standing() -> bool | None:
                """Parents before children, again until nobody new has been forked meanwhile."""
                there = await target.processes()
                found = [one for one in there if _same(one, first)] if self.which == "one" else there
                new = [one for one in found if _key(one) not in stopped]
                still = all(one.state == "T" for one in there if _key(one) in stopped)
                stopped.update({_key(one): one for one in new})
                await target.signal(new, signal.SIGSTOP)
                return True if still and not new else None

            felt = await clock.until(standing, deadline=clock.now() + _FELT_WITHIN, every=_LOOK)
            now = [one for one in await target.processes() if _key(one) in stopped]
            yield Injection(
                felt=bool(felt and now),
                at=clock.now(),
                evidence={"processes": _pids(now), "states": "".join(one.state for one in now)},
                why="" if felt and now else f"not all stand still: {_pids(one for one in now if one.state != 'T')}",
            )


def _target(stage: Stage, name: str) -> Target:
    """The workload of that name, or the database, or the store."""
    return service(stage, name) or server(stage, name)


def _is_service(target: Target) -> TypeGuard[Service]:
    return isinstance(target.spec, Workload)


def _is_server(target: Target) -> TypeGuard[Database | Store]:
    return not _is_service(target)


async def _running(target: Target, name: str) -> Sequence[Seen]:
    """All its processes. FaultError if there are none."""
    try:
        found = await target.processes()
    except SubstrateError as error:
        raise FaultError(f"{name}: expected processes to signal: {error}") from error
    if not found:
        raise FaultError(f"{name}: expected processes to signal; none of its processes runs")
    return found


def _roots(target: Target, found: Sequence[Seen]) -> Sequence[Seen]:
    """The processes that a workload consists of, or the one of a server: those whose parent is none of them."""
    known = {(one.space, one.pid) for one in found}
    return found[:1] if not _is_service(target) else [one for one in found if (one.space, one.parent) not in known]


async def _left(target: Target, processes: Sequence[Seen]) -> Sequence[Seen]:
    """Those of them that are still there, once they have had time to end."""
    left: list[Seen] = []

    async def gone() -> bool | None:
        left[:] = [one for one in await target.processes() if _same(one, processes)]
        return None if left else True

    await clock.until(gone, deadline=clock.now() + _FELT_WITHIN, every=_LOOK)
    return left


async def _running_again(target: Target, killed: Sequence[Seen]) -> None:
    """Have the substrate start what does not run; one process of several is brought back by restarting all. A server that
    has lost a child is up, and recovers by itself."""
    await _left(target, killed)  # one that has its signal and is still there would be taken for running
    if _is_server(target):
        await target.start()
    elif _is_service(target) and len(_roots(target, await target.processes())) < target.spec.processes:
        await target.restart()


def _key(one: Seen) -> tuple[str, int, int]:
    """A process's identity."""
    return one.space, one.pid, one.started


def _same(one: Seen, others: Iterable[Seen]) -> bool:
    return any(_key(one) == _key(other) for other in others)


def _number(name: str) -> signal.Signals:
    try:
        return signal.Signals[f"SIG{name.removeprefix('SIG')}"]
    except KeyError:
        raise FaultError(f"expected the name of a signal such as KILL or TERM; found {name!r}") from None


def _pids(processes: Iterable[Seen]) -> str:
    return ", ".join(str(one.pid) for one in processes)
