"""The storefront in a cluster, to break: one for all these tests, from kind or local, whichever this machine has."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from harness import clock, extensions
from harness.errors import FaultError, InputError
from harness.execution import run
from harness.faults.kubernetes.api import Api, opened
from harness.faults.kubernetes.objects import Pod
from harness.faults.kubernetes.targets import Workload, workload
from harness.model import topology
from harness.model.topology import Cluster, Exposed, Postgres, Role, Topology
from harness.model.units import SECOND, seconds
from harness.ports import Capability, NodeState, Stage, Substrate

# looptime asks for the current loop in tests that have none, and Python 3.11 then makes one that nobody closes.
asyncio.set_event_loop(None)

SHOP = Path(__file__).parents[3] / "clusters" / "workloads" / "shop"
BY_HAND = "RUNDRILL_TEST_KUBECONFIG"
"""The kubeconfig of a kind cluster that a developer has brought up, with the storefront applied, to save half a minute."""

STOREFRONT = Cluster(
    stack="storefront",
    namespace="storefront",
    variables=(
        ("CONFIRM_S", "0.8"),
        ("DATABASE_URL", "postgresql://store_app:store-secret@storefront-db.internal:5432/storefront"),
        ("PIDFILE", "/var/run/shop/shop.pid"),
        ("PROVIDERS", "razorpay=http://razorpay:8080"),
        ("PROVIDER_PODS", "1"),
        ("QUEUES", "0"),
        ("REDIS_IMAGE", "queue:1.0"),
        ("REDIS_URL", ""),
        ("WEBHOOK_SECRET", "whsec_1"),
    ),
    exposed=(Exposed("backend", 8000),),
    nodes=2,
)

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
SPARE = "rundrill.test/spare"
"""The taint of the workers: what is to be done to a node is done to one where nothing is but what tolerates that."""

SYSTEM = Topology(
    "storefront",
    databases=(
        Postgres(
            name="main",
            database="storefront",
            owner=Role("store_app", "store-secret"),
            hosts=("storefront-db.internal",),
            schema="SET shop.orders = '4000';\n" + (SHOP / "schema.sql").read_text(encoding="utf-8"),
        ),
    ),
    cluster=STOREFRONT,
)


@dataclass(frozen=True)
class ByHand:
    """A cluster that is up already; its nodes are containers of Docker."""

    kubeconfig: Path
    nodes: tuple[str, ...]
    spec: topology.Cluster = STOREFRONT

    async def set_node(self, name: str, state: NodeState) -> None:
        verb = {NodeState.UP: "start", NodeState.DOWN: "kill", NodeState.PAUSED: "pause"}[state]
        if state is NodeState.UP:
            await run(("docker", "unpause", name), env=os.environ, timeout=20 * SECOND)
        await run(("docker", verb, name), env=os.environ, timeout=20 * SECOND)


@dataclass(frozen=True)
class WithCluster:
    """As much of an environment as these faults ask for."""

    cluster: ByHand


def spare(stage: Stage) -> Sequence[str]:
    """The nodes that have nothing of the storefront on them."""
    return stage.environment.cluster.nodes[1:]


@dataclass(frozen=True)
class Broken:
    """The storefront, as these tests look at it."""

    stage: Stage
    api: Api

    async def workload(self, reference: str = "deployment/backend") -> Workload:
        return await workload(self.api, reference)

    async def pods(self, reference: str = "deployment/backend") -> tuple[Pod, ...]:
        return tuple(pod for pod in await (await self.workload(reference)).pods() if not pod.going)

    async def well(self, reference: str = "deployment/backend") -> bool:
        """Rolled out, with every pod ready, and none on its way out."""
        target = await self.workload(reference)
        return target.was.complete and all(pod.ready for pod in await target.pods())

    async def settled(self) -> None:
        """Wait until it is as it was brought up."""
        await eventually(self.well)

    async def kubectl(self, *words: str) -> str:
        """What kubectl says; the namespace is the stack's."""
        return await kubectl(self.stage, *words, "-n", self.api.namespace)


async def kubectl(stage: Stage, *words: str) -> str:
    """What kubectl says of the stage's cluster."""
    argv = ("kubectl", "--kubeconfig", str(stage.environment.cluster.kubeconfig), *words)
    done = await run(argv, env=os.environ, timeout=60 * SECOND)
    assert done.ok, done.stderr
    return done.stdout


async def set_apart(stage: Stage) -> None:
    """Have everything on the control plane's node, and nothing on the workers."""
    if spare(stage):
        await kubectl(stage, "taint", "nodes", stage.environment.cluster.nodes[0], f"{CONTROL_PLANE}:NoSchedule-")
        await kubectl(stage, "taint", "nodes", *spare(stage), f"{SPARE}=:NoExecute")


async def eventually(condition: Callable[[], Awaitable[bool]], within: int = seconds(40)) -> None:
    async def asked() -> bool | None:
        return await condition() or None

    assert await clock.until(asked, deadline=clock.now() + within, every=SECOND // 5), "it did not come about in time"


def _substrate() -> Substrate:
    """The first that has Kubernetes here; skips, with the reasons, where none has."""
    reasons = []
    for name in ("local", "kind"):
        try:
            substrate = extensions.substrate(name)
        except InputError as error:
            reasons.append(f"{name}: {error}")
            continue
        problems = substrate.lacks(frozenset({Capability.KUBERNETES, Capability.POSTGRES}))
        if not problems:
            return substrate
        reasons += [f"{name}: {problem}" for problem in problems]
    pytest.skip("; ".join(reasons))


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def up(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    pytest.importorskip("kubernetes", reason="the Kubernetes client is not installed")
    folder = tmp_path_factory.mktemp("cluster")
    if given := os.environ.get(BY_HAND):
        nodes = await run(
            ("kubectl", "--kubeconfig", given, "get", "nodes", "-o", "name"), env=os.environ, timeout=20 * SECOND
        )
        names = tuple(line.removeprefix("node/") for line in nodes.stdout.split())
        yield Stage(WithCluster(ByHand(Path(given), names)), folder=folder)  # type: ignore[arg-type]
        return
    async with AsyncExitStack() as stack:
        environment = await stack.enter_async_context(_substrate().environment(SYSTEM, run="faults", folder=folder))
        stage = Stage(environment, folder=folder)
        await set_apart(stage)
        yield stage


@pytest_asyncio.fixture(loop_scope="session")
async def broken(up: Stage) -> AsyncIterator[Broken]:
    async with opened(up) as api:
        one = Broken(up, api)
        await one.settled()
        yield one
        await one.settled()


__all__ = ["Broken", "FaultError", "eventually"]
