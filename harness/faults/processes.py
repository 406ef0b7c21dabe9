"""Faults done to processes by signals: killed, or stopped where they stand."""

import os
import signal
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Literal

from harness import clock
from harness.errors import FaultError, SubstrateError
from harness.faults import procfs
from harness.faults.procfs import Seen
from harness.faults.scope import database, service, undone
from harness.faults.server import brought_up
from harness.model.units import Ns, milliseconds, seconds
from harness.ports import Capability, Injection, Stage

Which = Literal["all", "one"]

_FELT_WITHIN: Ns = seconds(3)
_LOOK: Ns = milliseconds(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """Processes of `target`, a workload or a database, are sent `signal` ("KILL", "TERM", …).

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
        processes = self._victims(stage)
        async with undone(partial(_running_again, stage, self.target, processes), what=str(self)):
            _send(processes, number)
            await _gone(processes)
            left = procfs.present(processes)
            yield Injection(
                felt=not left,
                at=clock.now(),
                evidence={"signal": self.signal, "processes": _pids(processes), "gone": len(processes) - len(left)},
                why=f"still there: {_pids(left)}" if left else "",
            )

    def _victims(self, stage: Stage) -> Sequence[Seen]:
        roots = _roots(stage, self.target)
        if self.which == "all":
            return roots
        if service(stage, self.target) is not None:
            return roots[:1]
        children = [one for one in procfs.descendants([roots[0].pid]) if one.parent == roots[0].pid]
        if not children:
            raise FaultError(f"{self.target}: expected a postmaster with children; it has none")
        return [max(children, key=lambda one: (one.started, one.pid))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Processes of `target`, a workload or a database, stand still (SIGSTOP): they neither answer nor close connections.

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
        roots = _roots(stage, self.target)
        stopped: dict[int, Seen] = {}

        async def going_on() -> None:
            # Children first: a postmaster that goes on must not find its children silent.
            _send(reversed(procfs.present(stopped.values())), signal.SIGCONT)

        async with undone(going_on, what=str(self)):

            async def standing() -> bool | None:
                """Parents before children, again until nobody new has been forked meanwhile."""
                found = roots[:1] if self.which == "one" else procfs.descendants([one.pid for one in roots])
                new = [one for one in found if one.pid not in stopped]
                stopped.update({one.pid: one for one in new})
                _send(new, signal.SIGSTOP)
                still = all(one.state == "T" for one in procfs.present(stopped.values()))
                return True if still and not new else None

            felt = await clock.until(standing, deadline=clock.now() + _FELT_WITHIN, every=_LOOK)
            now = procfs.present(stopped.values())
            yield Injection(
                felt=bool(felt and now),
                at=clock.now(),
                evidence={"processes": _pids(now), "states": "".join(one.state for one in now)},
                why="" if felt and now else f"not all stand still: {_pids(one for one in now if one.state != 'T')}",
            )


async def _gone(processes: Sequence[Seen]) -> None:
    """Give them time to end."""

    async def gone() -> bool | None:
        return None if procfs.present(processes) else True

    await clock.until(gone, deadline=clock.now() + _FELT_WITHIN, every=_LOOK)


async def _running_again(stage: Stage, target: str, killed: Sequence[Seen]) -> None:
    """Have the substrate start what does not run; one process of several is brought back by restarting all. A server that
    has lost a child is up, and recovers by itself."""
    await _gone(killed)  # one that has its signal and is still there would be taken for running
    workload = service(stage, target)
    if workload is None:
        await brought_up(database(stage, target))
    elif len(procfs.present(_as_seen(workload.pids))) < workload.spec.processes:
        await workload.restart()


def _roots(stage: Stage, target: str) -> Sequence[Seen]:
    """The processes of a workload, or a database's postmaster. FaultError if there are none."""
    workload = service(stage, target)
    try:
        found = _as_seen(workload.pids if workload else (database(stage, target).pid,))
    except SubstrateError as error:
        raise FaultError(f"{target}: expected processes to signal: {error}") from error
    if not found:
        raise FaultError(f"{target}: expected processes to signal; none of its processes runs")
    return found


def _as_seen(pids: Iterable[int]) -> list[Seen]:
    return [one for pid in pids if (one := procfs.seen(pid)) is not None]


def _send(processes: Iterable[Seen], number: signal.Signals) -> None:
    for one in processes:
        if one.again() is not None:
            with suppress(ProcessLookupError):
                os.kill(one.pid, number)


def _number(name: str) -> signal.Signals:
    try:
        return signal.Signals[f"SIG{name.removeprefix('SIG')}"]
    except KeyError:
        raise FaultError(f"expected the name of a signal such as KILL or TERM; found {name!r}") from None


def _pids(processes: Iterable[Seen]) -> str:
    return ", ".join(str(one.pid) for one in processes)
