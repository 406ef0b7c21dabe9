"""A real cluster's life: made, reused, cleaned, refused to others, gone when nobody wants it, whoever was killed meanwhile.

Each test brings a cluster up, half a minute and more: they are few, and each asks many things.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from harness.errors import SubstrateError
from harness.model.topology import Cluster, Exposed
from harness.ports import NodeState
from harness.substrates import manifests
from harness.substrates.kind import docker, exposed, images, lease, leftovers, machine, names, nodes, preparing, stack
from harness.substrates.kind.kubectl import Kubectl
from harness.substrates.kind.room import Order, Room
from harness.substrates.kind.settings import Settings
from tests.full import FULL

pytestmark = [pytest.mark.real, pytest.mark.slow]

SPEC = Cluster("tiny", "shopping", variables=(("REPLICAS", "2"),), exposed=(Exposed("web", 80),))
MANIFEST = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: ${REPLICAS}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: web
          image: busybox:latest
          imagePullPolicy: IfNotPresent
          command: [httpd, -f, -p, "8080", -h, /etc]
          readinessProbe: {httpGet: {path: /hostname, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""


NAMELESS = 64
"""Letters of the name of a volume that nobody named, as those of kind's nodes are."""


def asked(command: str) -> list[str]:
    return subprocess.run(command.split(), check=True, capture_output=True, text=True).stdout.split()


def in_docker() -> dict[str, list[str]]:
    """What of a test's cluster there is."""
    label = ("--filter", "label=io.x-k8s.kind.cluster")
    containers = asked(" ".join(("docker ps -a --format {{.Names}}", *label)))
    return {
        "containers": [name for name in containers if name.startswith("rundrill-test")],
        "networks": [
            name for name in asked("docker network ls --format {{.Name}}") if name.startswith("rundrill-test")
        ],
        "volumes": [name for name in asked("docker volume ls -q --filter dangling=true") if len(name) == NAMELESS],
    }


@contextmanager
def nothing_left(within: float = 10.0) -> Iterator[None]:
    """What Docker had before it has afterwards, soon."""
    before = in_docker()
    yield
    deadline = time.monotonic() + within
    while in_docker() != before and time.monotonic() < deadline:
        time.sleep(0.2)  # noqa: TID251 - other processes' doing is waited for
    assert in_docker() == before


def wanted(settings: Settings, workers: int = 0) -> Callable[[Room], "asyncio.Future[Order]"]:
    return lambda room: machine.order(settings, workers=workers, shared=room.shared)


async def answer(address: str, port: int) -> bytes:
    """What the web server says, b"" if nobody is there."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(address, port)
            writer.write(b"GET /hostname HTTP/1.0\r\n\r\n")
            said = await reader.read()
            writer.close()
            return said
    except (OSError, TimeoutError):
        return b""


async def until(condition: Callable[[], object], within: float = 20.0) -> None:
    deadline = time.monotonic() + within
    while not await condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def test_one_drill_after_the_other_finds_the_cluster_as_it_was(
    kind: Settings, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cache / "tiny").mkdir()
    (cache / "tiny" / "10-web.yaml").write_text(MANIFEST)
    monkeypatch.setattr(manifests, "stacks", lambda: cache)
    users = lease.Users()
    with nothing_left(within=0):
        async with lease.leased(users, kind, wanted(kind, workers=1)) as room:
            administrator = Kubectl(machine.kubectl(kind), room.kubeconfig)
            baseline = await preparing.ready(room, administrator, kind)
            made = {each.name: each.address for each in await docker.nodes(room.name)}
            await drilled(room, administrator, baseline, kind)
            left = await leftovers.clean(administrator, room.name, baseline)
            assert {"namespace/shopping", "default pod/left-behind", "cordon rundrill-test-worker"} <= set(left)
        async with lease.leased(users, kind, wanted(kind, workers=1)) as room:
            assert {each.name: each.address for each in await docker.nodes(room.name)} == made
            assert sorted(await preparing.ready(room, administrator, kind)) == sorted(baseline)
            assert sorted(await leftovers.survey(administrator)) == sorted(baseline)
        await asyncio.to_thread(users.close)


async def drilled(room: Room, administrator: Kubectl, baseline: tuple[str, ...], settings: Settings) -> None:
    """A stack is brought up, reached, broken and left as it is."""
    kubectl = Kubectl(administrator.path, room.folder / "drill")
    text = room.kubeconfig.read_text()
    kubectl.kubeconfig.write_text(nodes.kubeconfig(text, namespace=SPEC.namespace))
    found = manifests.read(SPEC)
    await images.provide(room, manifests.images_of(found), kind=machine.kind(settings))
    marked = stack.marks("a run", "an environment")
    names.write(room.shared, {"10.9.8.7": ["db.prod.internal", "pg.shopping.svc"]})
    await stack.bring_up(kubectl, SPEC, found, marked=marked, baseline=baseline)
    ports = await exposed.expose(kubectl, SPEC, marked)
    await stack.until_running(kubectl, SPEC, baseline)
    said = await kubectl.done("get", "namespace", "shopping", "-o", "jsonpath={.metadata.labels}")
    assert '"rundrill.run":"a-run"' in said

    containers = await docker.nodes(room.name)
    web = (containers[0].address, ports["web"])

    async def answers() -> bool:
        return b"200 OK" in await answer(*web)

    async def silent() -> bool:
        return not await answer(*web)

    await until(answers)
    async with exposed.following(kubectl, SPEC, room.folder):
        await until(answers)
        await kubectl.done("patch", "service", "web", "-p", '{"spec":{"selector":{"app":"nobody"}}}')
        await until(silent)
        await kubectl.done("patch", "service", "web", "-p", '{"spec":{"selector":{"app":"web"}}}')
        await until(answers)
        await kubectl.done("delete", "service", "web")
        await until(silent)

    pod = (await kubectl.done("get", "pods", "-o", "name")).split()[0]
    for name in ("db.prod.internal", "pg.shopping.svc"):
        assert "10.9.8.7" in await kubectl.done("exec", pod, "--", "nslookup", "-type=a", f"{name}.")

    cluster = nodes.KindCluster(SPEC, kubectl, containers)
    assert cluster.nodes == ("rundrill-test-control-plane", "rundrill-test-worker")
    with pytest.raises(KeyError):
        await cluster.set_node("no-such-node", NodeState.DOWN)
    for state, seen in ((NodeState.PAUSED, "paused"), (NodeState.DOWN, "exited"), (NodeState.UP, "running")):
        await cluster.set_node(cluster.nodes[1], state)
        assert (await docker.nodes(room.name))[1].state.status == seen
    await cluster.set_node(cluster.nodes[1], NodeState.DOWN)
    await administrator.done("cordon", cluster.nodes[1])
    await administrator.done("run", "left-behind", "-n", "default", "--image=busybox:latest", "--", "sleep", "99")
    (room.folder / "drill").unlink()


UNTIL_KILLED = """
import asyncio, sys
from harness.substrates.kind import lease, machine
from harness.substrates.kind.settings import Settings

async def main():
    settings = Settings(name="rundrill-test")
    async with lease.leased(lease.Users(), settings, lambda room: machine.order(settings, workers=0, shared=room.shared)):
        print("up", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@asynccontextmanager
async def until_killed() -> AsyncIterator[asyncio.subprocess.Process]:
    """A harness that has a cluster, and says so, until it is killed."""
    harness = await asyncio.create_subprocess_exec(
        sys.executable, "-c", UNTIL_KILLED, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        yield harness
    finally:
        with suppress(ProcessLookupError):
            os.killpg(harness.pid, signal.SIGKILL)
        await harness.wait()


async def said(harness: asyncio.subprocess.Process) -> bytes:
    assert harness.stdout
    return await harness.stdout.readline()


@pytest.mark.skipif(not FULL, reason="set RUNDRILL_PROOF=full: it makes two clusters more")
async def test_a_cluster_is_kept_if_that_is_wished_and_goes_with_the_first_harness_without_though_it_is_killed(
    kind: Settings, cache: Path
) -> None:
    keeping = msgspec.structs.replace(kind, keep=True)
    with nothing_left():
        made: list[str] = []
        for _ in range(2):
            users = lease.Users()
            async with lease.leased(users, keeping, wanted(keeping)) as room:
                made += [each.address for each in await docker.nodes(room.name)]
                made += asked("docker ps -q --no-trunc --filter name=rundrill-test-control-plane")
            await asyncio.to_thread(users.close)
            assert not room.kept_alive()
            assert await docker.nodes(room.name)
            assert await lease.reap() == [], "it was to be kept"
        async with until_killed() as harness:
            assert await said(harness) == b"up\n"
            made += asked("docker ps -q --no-trunc --filter name=rundrill-test-control-plane")
            os.killpg(harness.pid, signal.SIGKILL)
    assert len(set(made)) == 2, "the same container, at the same address, and once more the same container"


@pytest.mark.parametrize("after", [1.0, 4.0, 12.0] if FULL else [4.0])
def test_a_harness_that_is_killed_while_the_cluster_comes_up_leaves_nothing(
    kind: Settings, cache: Path, after: float
) -> None:
    with nothing_left():
        harness = subprocess.Popen([sys.executable, "-c", UNTIL_KILLED], env=dict(os.environ), start_new_session=True)
        time.sleep(after)  # noqa: TID251 - an instant of its work
        os.killpg(harness.pid, signal.SIGKILL)
        harness.wait()


def keeper_of(room: Room) -> int:
    """The pid of whoever holds the keeper's lock (proc_locks(5))."""
    inode = (room.folder / "keeper.lock").stat().st_ino
    locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return next(int(fields[4]) for fields in locks if fields[5].endswith(f":{inode}"))


async def test_a_cluster_whose_keeper_was_killed_as_well_is_reaped(kind: Settings, cache: Path) -> None:
    with nothing_left():
        async with until_killed() as harness:
            assert await said(harness) == b"up\n"
            assert await lease.reap() == [], "it is in use"
            os.kill(keeper_of(Room.of(kind.name)), signal.SIGKILL)
        assert in_docker()["containers"] == ["rundrill-test-control-plane"]
        assert await lease.reap() == ["deleted the kind cluster rundrill-test"]
    assert await lease.reap() == []


async def test_a_cluster_of_somebody_elses_is_refused_and_left_alone(kind: Settings, cache: Path) -> None:
    labels = ("--label", "io.x-k8s.kind.cluster=rundrill-test", "--label", "io.x-k8s.kind.role=control-plane")
    await docker.done("run", "-d", "--name", "rundrill-test-control-plane", *labels, "busybox:latest", "sleep", "60")
    users = lease.Users()
    try:
        with pytest.raises(SubstrateError, match="found somebody else's"):
            async with lease.leased(users, kind, wanted(kind)):
                pass
        await asyncio.to_thread(users.close)
        assert asked("docker ps -q --filter name=rundrill-test-control-plane")
    finally:
        await docker.done("rm", "-fv", "rundrill-test-control-plane")


async def test_a_configuration_that_kind_refuses_is_told_in_its_own_words(kind: Settings, cache: Path) -> None:
    settings = Settings(name=kind.name, node_image="rundrill.invalid/no-such-image:v1.0.0", patience_s=60)
    users = lease.Users()
    with nothing_left(within=0):
        with pytest.raises(
            SubstrateError, match=r"^kind create rundrill-test: failed to create cluster: .*no-such-image"
        ):
            async with lease.leased(users, settings, wanted(settings)):
                pass
        await asyncio.to_thread(users.close)
