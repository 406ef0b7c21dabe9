"""Every fault of pods and nodes keeps to its port, however it ends. All are held to it at once, each on a copy of the backend
of its own, or on a node that nobody else uses: what takes time is mostly that kubelets and controllers take theirs. Those that
measure what they take of a processor, or cost next to nothing, are held to it where they are tested.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import pytest
import pytest_asyncio

from harness.faults.kubernetes import (
    BadImage,
    BadRelease,
    BlockTraffic,
    CordonNode,
    CrashLoop,
    DeletePod,
    DrainNode,
    FailReadiness,
    FillDisk,
    KillNode,
    KillPod,
    LeakConnections,
    MemoryHog,
    RestartNode,
    ScaleToZero,
    WrongConfig,
)
from harness.faults.kubernetes.api import opened
from harness.faults.kubernetes.targets import Said, ask_pod, decoded
from harness.model.units import seconds
from harness.ports import Fault, Injection, Stage
from harness.testing import NonConformance, check_fault
from harness.testing.faults import MOMENTS
from tests.faults.kubernetes.conftest import SPARE, Broken, eventually, spare
from tests.full import FULL

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

AT_A_TIME = 6
"""How many copies of the backend start and end at a time: each start is half a second of a processor."""

OF_PODS_AT = MOMENTS if FULL else (0.25, 0.75)
OF_NODES_AT = MOMENTS if FULL else (0.5,)
"""When they are cancelled: each time costs seconds."""

SPOOL = "/var/spool/shop"
SETTLING = seconds(40)


@dataclass(frozen=True)
class Copy:
    """A Deployment of the backend's own kind, with one pod, that is nobody else's."""

    broken: Broken
    name: str

    @property
    def workload(self) -> str:
        return f"deployment/{self.name}"

    async def well(self) -> bool:
        return await self.broken.well(self.workload)

    async def asked(self, path: str) -> Said:
        """What its pod answers; nothing, where it has none that answers."""
        pods = await self.broken.pods(self.workload)
        said = await ask_pod(self.broken.api, pods[0], path, within=seconds(2)) if pods else None
        return decoded(said) if said and said.status == 200 else {}

    async def state(self, switch: str, value: object) -> bool:
        """Whether it is well, and that switch of its pod is so."""
        return (await self.asked("/debug/strain")).get(switch) == value and await self.well()

    async def reaches(self, host: str, port: int) -> bool:
        return (await self.asked(f"/debug/reach?host={host}&port={port}")).get("reached") is True

    async def secret(self, value: str) -> bool:
        encoded = await self.broken.kubectl(
            "get", "secret", self.name, "-o", "go-template={{.data.KEY | base64decode}}"
        )
        return encoded == value and await self.well()

    async def replicas(self, wanted: int) -> bool:
        return (await self.broken.workload(self.workload)).was.spec.replicas == wanted and await self.well()

    async def image(self, wanted: str) -> bool:
        template = (await self.broken.workload(self.workload)).was.spec.template
        return template.spec.containers[0].image == wanted and await self.well()


Intact = Callable[[], Awaitable[bool]]
Case = Callable[[Copy], tuple[Fault, Intact]]

OF_PODS: dict[str, Case] = {
    "bad-image": lambda it: (
        BadImage(workload=it.workload, image="registry.invalid/shop:9.9"),
        partial(it.image, "shop:1.0"),
    ),
    "bad-release": lambda it: (BadRelease(workload=it.workload, image="shop:2.0-slow"), partial(it.image, "shop:1.0")),
    "block-traffic": lambda it: (
        BlockTraffic(workload=it.workload, peer="razorpay:8080"),
        partial(it.reaches, "razorpay", 8080),
    ),
    "crash-loop": lambda it: (CrashLoop(workload=it.workload), it.well),
    "delete-pod": lambda it: (DeletePod(workload=it.workload), it.well),
    "fail-readiness": lambda it: (FailReadiness(workload=it.workload), it.well),
    "fill-disk": lambda it: (FillDisk(workload=it.workload, path=SPOOL), partial(it.state, "filled", "")),
    "kill-pod": lambda it: (KillPod(workload=it.workload), it.well),
    "leak-connections": lambda it: (
        LeakConnections(workload=it.workload, count=3),
        partial(it.state, "connections", 0),
    ),
    "memory-held": lambda it: (MemoryHog(workload=it.workload, memory_mb=40), partial(it.state, "memory_mb", 0)),
    "memory-killed": lambda it: (MemoryHog(workload=it.workload, memory_mb=300), partial(it.state, "memory_mb", 0)),
    "scale-to-zero": lambda it: (ScaleToZero(workload=it.workload), partial(it.replicas, 1)),
    "wrong-config": lambda it: (
        WrongConfig(source=f"secret/{it.name}", key="KEY", value="wrong", restart=it.workload),
        partial(it.secret, "right"),
    ),
}


@asynccontextmanager
async def copied(broken: Broken, name: str, *, node: str = "") -> AsyncIterator[Copy]:
    """A copy of the backend, and a Secret of that name that it reads. Where a node is named it is on that one, and starts there
    again after a power cut: it keeps no pid file."""
    made = json.loads(await broken.kubectl("get", "deployment", "backend", "-o", "json"))
    labels = {"app": name}
    template = made["spec"]["template"]
    template["metadata"] = {"labels": labels}
    container = template["spec"]["containers"][0]
    container["resources"]["requests"]["cpu"] = "10m"
    container["envFrom"].append({"secretRef": {"name": name}})
    if node:
        container["env"] = [each for each in container["env"] if each["name"] != "PIDFILE"]
        template["spec"] |= {
            "nodeSelector": {"kubernetes.io/hostname": node},
            "tolerations": [{"key": SPARE, "operator": "Exists"}],
        }
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"KEY": "right"}}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
    await broken.api.post(broken.api.core("secrets"), secret)
    await broken.api.post(broken.api.grouped("apps/v1", "deployments"), deployment)
    try:
        copy = Copy(broken, name)
        await eventually(copy.well)
        yield copy
    finally:
        await broken.api.delete(broken.api.grouped("apps/v1", "deployments", name))
        await broken.api.delete(broken.api.core("secrets", name))


async def of_a_pod(broken: Broken, name: str, places: asyncio.Semaphore) -> Sequence[Injection]:
    async with places, copied(broken, name) as copy:
        fault, intact = OF_PODS[name](copy)
        return (await check_fault(fault, broken.stage, intact=intact, settling=SETTLING, moments=OF_PODS_AT),)


async def of_a_node(
    broken: Broken, faults: Sequence[CordonNode | DrainNode | KillNode | RestartNode], alone: asyncio.Lock
) -> Sequence[Injection]:
    """Those faults of a node, one after the other, while a pod is on it and nobody else has to do with it."""
    node = faults[0].node

    async def open_again() -> bool:
        found = json.loads(await broken.kubectl("get", "node", node, "-o", "json"))
        return not found["spec"].get("unschedulable")

    async with alone, copied(broken, f"on-{node}", node=node) as copy:

        async def populated() -> bool:
            return await open_again() and await copy.well()

        async def powered() -> bool:
            path = f"/api/v1/nodes/{node}/proxy/healthz"
            answer = await broken.api.reply("GET", path, within=seconds(1))
            return answer.status == 200 and bool(await copy.asked("/debug/strain"))

        found = []
        for fault in faults:
            intact = {CordonNode: open_again, DrainNode: populated}.get(type(fault), powered)
            found.append(await check_fault(fault, broken.stage, intact=intact, settling=SETTLING, moments=OF_NODES_AT))
        return found


async def of_a_budget(broken: Broken, node: str, alone: asyncio.Lock) -> Sequence[Injection]:
    """A node is drained whose only pod has a budget that never lets go of it."""
    path = broken.api.grouped("policy/v1", "poddisruptionbudgets")
    async with alone, copied(broken, "kept", node=node) as copy:
        spec = {"maxUnavailable": 0, "selector": {"matchLabels": {"app": copy.name}}}
        budget = {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": copy.name},
            "spec": spec,
        }
        await broken.api.post(path, budget)
        try:
            async with DrainNode(node=node).applied_to(broken.stage) as injection:
                assert await copy.well()
                return (injection,)
        finally:
            await broken.api.delete(f"{path}/{copy.name}")


Outcomes = dict[str, Sequence[Injection] | BaseException]


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def outcomes(up: Stage) -> Outcomes:
    """What came of each."""
    async with opened(up) as api:
        broken = Broken(up, api)
        await broken.settled()
        places = asyncio.Semaphore(AT_A_TIME)
        jobs = {name: of_a_pod(broken, name, places) for name in OF_PODS}
        if nodes := spare(up):
            first = asyncio.Lock()
            jobs["budget"] = of_a_budget(broken, nodes[0], first)
            jobs["closed"] = of_a_node(broken, (CordonNode(node=nodes[0]), DrainNode(node=nodes[0])), first)
            jobs["without power"] = of_a_node(
                broken, (KillNode(node=nodes[1]), RestartNode(node=nodes[1])), asyncio.Lock()
            )
        found = await asyncio.gather(*jobs.values(), return_exceptions=True)
        await broken.settled()
    return dict(zip(jobs, found, strict=True))


@pytest.mark.parametrize("name", [*OF_PODS, "closed", "without power"])
async def test_a_fault_of_pods_and_nodes_is_felt_and_undone_however_it_ends(name: str, outcomes: Outcomes) -> None:
    assert all(injection.felt for injection in came_of(outcomes, name))


async def test_a_drain_leaves_what_a_budget_keeps_and_says_so(outcomes: Outcomes) -> None:
    (injection,) = came_of(outcomes, "budget")
    assert not injection.felt
    assert "a disruption budget does not let go of kept-" in injection.why
    assert injection.evidence["refused"] == 1


def came_of(outcomes: Outcomes, name: str) -> Sequence[Injection]:
    """The injections of that job; what it raised, if it did."""
    if name not in outcomes:
        pytest.skip("this cluster has no node to spare")
    found = outcomes[name]
    if isinstance(found, NonConformance) and all("does not enforce it" in problem for problem in found.problems):
        pytest.skip(str(found))
    if isinstance(found, BaseException):
        raise found
    return found
