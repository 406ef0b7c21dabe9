"""Faults that are demands on a pod's resources: memory, CPU, room on a volume. The pods' own program is told to make them
(clusters/workloads/shop/shop/strain.py), so that the kernel and the kubelet charge them to the pod."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass

from harness import clock
from harness.errors import FaultError
from harness.faults.kubernetes.api import STEP, Api, opened
from harness.faults.kubernetes.objects import Pod
from harness.faults.kubernetes.targets import (
    SETTLING,
    InCluster,
    Said,
    Which,
    Workload,
    ask_pod,
    decoded,
    outcome,
    replaced,
    same,
    switch,
    switch_back,
    workload,
)
from harness.faults.scope import undone
from harness.model.units import SECOND, Ns, milliseconds, seconds
from harness.ports import Injection, Stage

_AGAIN: Ns = milliseconds(300)
"""How often it is looked whether there is a container that has not been told yet."""

_AFTERWARDS: Ns = seconds(1)
"""When it is looked again: a container that took memory just before may be killed just after."""

_BURNING: Ns = seconds(1)
_BURNT = 0.1
"""What share of one CPU a pod has to use at least to count as busy: its limit may not allow more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryHog(InCluster):
    """Every container of `workload` takes `memory_mb` MiB and keeps them, as soon as it runs; also those that are started later,
    as where the demand comes with the work and not with the process.

    When the fault ends none takes any, and pods that were killed over it are replaced. Felt: each pod holds the memory, or has
    been killed for want of it; evidence says which.
    """

    workload: str
    memory_mb: int
    namespace: str = ""

    def __str__(self) -> str:
        return f"every pod of {self.workload} needs {self.memory_mb} MiB more"

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Take it. FaultError without such a workload, pods or switches."""
        async with opened(stage, namespace=self.namespace) as api:
            target = await workload(api, self.workload)
            before = {pod.metadata.uid: pod.restarts for pod in await target.victims()}

            async def given_back() -> None:
                for look in range(2):
                    await clock.sleep_until(clock.now() + look * _AFTERWARDS)
                    there = [pod for pod in await target.pods() if not pod.going]
                    await switch_back(api, [pod for pod in there if pod.running], memory_mb=0)
                    # One that was killed over it may be starting at this moment, and be no better for it than those before;
                    # and the API server shows it well for a while after.
                    silent = [pod for pod in there if pod.metadata.uid in before and not await _state(api, pod)]
                    hurt = [pod for pod in there if pod.trouble or pod.restarts > before.get(pod.metadata.uid, 0)]
                    await replaced(target, [*silent, *hurt])

            async with undone(given_back, what=str(self)), _told(target, {"memory_mb": self.memory_mb}):

                async def felt() -> tuple[int, int] | None:
                    holding, killed = await self._state(target, before)
                    return (holding, killed) if holding + killed >= len(before) else None

                seen = await clock.until(felt, deadline=clock.now() + SETTLING, every=STEP)
                holding, killed = seen or await self._state(target, before)
                ended = {pod.died_of for pod in await target.pods()} - {""}
                yield outcome(
                    "" if seen else f"{holding} pods hold it and {killed} were killed, of {len(before)}",
                    memory_mb=self.memory_mb,
                    holding=holding,
                    killed=killed,
                    ended=", ".join(sorted(ended)),
                )

    async def _state(self, target: Workload, before: dict[str, int]) -> tuple[int, int]:
        """How many of the pods hold it, and how many have lost a container since."""
        pods = [pod for pod in await target.pods() if pod.metadata.uid in before]
        killed = [pod for pod in pods if pod.restarts > before[pod.metadata.uid] or pod.trouble]
        states = [await _state(target.api, pod) for pod in pods if pod not in killed]
        return sum(int(state.get("memory_mb") or 0) >= self.memory_mb for state in states), len(killed)


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuHog(InCluster):
    """`processes` processes in every container of `workload` do nothing but use CPU; also in those that are started later,
    unless `fresh` is False: then it is a runaway of those that run now, and whoever replaces them has none.

    When the fault ends there are none. Felt: each pod uses a tenth of a CPU at least; evidence has all of them together.
    """

    workload: str
    processes: int = 2
    namespace: str = ""
    fresh: bool = True

    def __str__(self) -> str:
        who = "every pod" if self.fresh else "every pod that runs now"
        return f"{self.processes} processes burn CPU in {who} of {self.workload}"

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Burn it. FaultError without such a workload, pods or switches."""
        async with opened(stage, namespace=self.namespace) as api:
            target = await workload(api, self.workload)
            victims = await target.victims()

            async def cool() -> None:
                await switch_back(api, [pod for pod in await target.pods() if pod.running], burners=0)

            telling = _told(target, {"burners": self.processes}) if self.fresh else nullcontext()
            async with undone(cool, what=str(self)), telling:
                for pod in victims:
                    await switch(api, pod, burners=self.processes)
                used = await self._used(api, victims)
                least = min(used, default=0.0)
                yield outcome(
                    "" if least >= _BURNT else f"a pod uses {least:.2f} of a CPU only",
                    pods=len(victims),
                    cpus=round(sum(used), 2),
                    least=round(least, 2),
                )

    async def _used(self, api: Api, pods: Sequence[Pod]) -> list[float]:
        """How many CPUs each of them uses, over a second."""
        began, first = clock.now(), [await _state(api, pod) for pod in pods]
        await clock.sleep_until(began + _BURNING)
        second = [await _state(api, pod) for pod in pods]
        span = (clock.now() - began) / SECOND
        return [(_cpu(after) - _cpu(before)) / span for before, after in zip(first, second, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class FillDisk(InCluster):
    """The volume at `path` in the pods of `workload` is full: a file `ballast` has the rest. Only a volume of its own, of limited
    size, is filled (`emptyDir: {medium: Memory, sizeLimit: …}`).

    When the fault ends the file is gone from those pods that are still there. Felt: statvfs in the pod shows no room.
    """

    workload: str
    path: str
    which: Which = "all"
    namespace: str = ""

    def __str__(self) -> str:
        who = "all pods" if self.which == "all" else "one pod"
        return f"{self.path} is full in {who} of {self.workload}"

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Fill it. FaultError without such a workload, pods, switches or volume."""
        async with opened(stage, namespace=self.namespace) as api:
            target = await workload(api, self.workload)
            victims = await target.victims(self.which)

            async def emptied() -> None:
                await switch_back(api, await same(target, victims), fill="")

            async with undone(emptied, what=str(self)):
                said = [await switch(api, pod, fill=self.path) for pod in victims]
                free = max(int(each.get("free_kb") or 0) for each in said)
                yield outcome(
                    "" if free < 4 else f"{free} KiB are still free", path=self.path, pods=len(said), free_kb=free
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakConnections(InCluster):
    """The pods of `workload` open connections to their database beside their pool's and never use them: `count` each, or as many
    as the server gives; then each one that others give back. Fresh pods do not.

    When the fault ends those that are still there have let go of them. Felt: they have some, and each of them has `count` or
    was refused more.
    """

    workload: str
    count: int
    namespace: str = ""

    def __str__(self) -> str:
        return f"every pod of {self.workload} leaks {self.count} connections"

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Leak them. FaultError without such a workload, pods or switches."""
        async with opened(stage, namespace=self.namespace) as api:
            target = await workload(api, self.workload)
            victims = await target.victims()

            async def let_go() -> None:
                await switch_back(api, await same(target, victims), connections=0)

            async with undone(let_go, what=str(self)):
                for pod in victims:
                    await switch(api, pod, connections=self.count)

                async def full() -> list[Said] | None:
                    said = [await _state(api, pod) for pod in victims]
                    done = [
                        int(each.get("connections") or 0) >= self.count or bool(each.get("refused")) for each in said
                    ]
                    return said if all(done) else None

                said = await clock.until(full, deadline=clock.now() + SETTLING, every=STEP)
                held = [int(each.get("connections") or 0) for each in said or ()]
                yield outcome(
                    "" if sum(held) else "the pods have none",
                    pods=len(victims),
                    connections=sum(held),
                    refused=sum(held) < self.count * len(victims),
                )


@asynccontextmanager
async def _told(target: Workload, switches: dict[str, int]) -> AsyncIterator[None]:
    """Within the scope every container of the workload is told, once, soon after it runs. FaultError at its end if that could
    not be gone on with."""
    told: set[str] = set()

    async def telling() -> None:
        while True:
            for pod in await target.pods():
                new = set(pod.running) - told
                if new and not pod.going and await _heard(target.api, pod, switches):
                    told.update(new)
            await asyncio.sleep(_AGAIN / SECOND)

    task = asyncio.create_task(telling())
    try:
        yield
    finally:
        task.cancel()
        await _over(task, lambda: f"{target.name}: its new pods could not be told any more")


async def _over(task: "asyncio.Task[None]", what: Callable[[], str]) -> None:
    with suppress(asyncio.CancelledError):
        try:
            await task
        except FaultError as error:
            raise FaultError(f"{what()}: {error}") from error


async def _heard(api: Api, pod: Pod, switches: dict[str, int]) -> bool:
    """Whether the pod took it. One that dies over it has heard as well; one that does not answer yet is told again."""
    said = await ask_pod(api, pod, "/debug/strain", switches, within=seconds(3))
    if said.status in {404, 405}:
        raise FaultError(f"{pod.metadata.name}: expected a workload with switches (POST /debug/strain, STRAIN=on)")
    return said.status == 200


async def _state(api: Api, pod: Pod) -> Said:
    """What the pod says of itself; nothing where it does not answer."""
    said = await ask_pod(api, pod, "/debug/strain", within=seconds(3))
    return decoded(said) if said.status == 200 else {}


def _cpu(state: Said) -> float:
    return float(state.get("cpu_s") or 0.0)
