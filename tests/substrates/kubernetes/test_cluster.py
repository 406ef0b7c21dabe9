"""A real cluster in an environment, brought up once for all that is asked of it."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from harness import execution
from harness.clock import now, until
from harness.model.topology import Cluster, Exposed, Topology
from harness.model.units import SECOND
from harness.ports import Capability, Completed, NodeState, Peer
from harness.substrates import manifests
from harness.substrates.local import Local
from harness.substrates.local.bringing_up import environment
from harness.substrates.local.environment import LocalEnvironment
from harness.substrates.local.kubernetes import binaries
from harness.substrates.network import plan

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

TABLE = """
["web:1"]
command = ["{python}", "-m", "http.server", "8000", "--directory", "/srv"]
files = { "/srv" = "content" }

["web:crash"]
command = ["{python}", "-c", "raise SystemExit('no settings, no service')"]
"""

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: web
          image: ${IMAGE}
          imagePullPolicy: IfNotPresent
          readinessProbe: { httpGet: { path: /, port: 8000 }, periodSeconds: 1 }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: 8000 }] }
"""

ETCD_PORT = 2379
SPEC = Cluster("site", "shop", nodes=1, variables=(("IMAGE", "web:1"),), exposed=(Exposed("front", 80, "web"),))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a stack and a table of images."""
    folder = tmp_path_factory.mktemp("stacks")
    (folder / "site").mkdir()
    (folder / "site" / "10-web.yaml").write_text(MANIFEST)
    (folder / "content").mkdir()
    (folder / "content" / "index.html").write_text("hello from a pod")
    (folder / "images.toml").write_text(TABLE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifests, "stacks", lambda: folder)
        yield folder


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def cluster(
    programs_of_the_module: binaries.Binaries, stack: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LocalEnvironment]:
    folder = tmp_path_factory.mktemp("run")
    topology = Topology("site", cluster=SPEC)
    async with environment(topology, run="test", folder=folder, tables=(stack / "images.toml",)) as up:
        yield up


async def kubectl(cluster: LocalEnvironment, *words: str) -> Completed:
    return await cluster.operate(("kubectl", *words), timeout=60 * SECOND)


async def told(cluster: LocalEnvironment, *words: str) -> str:
    done = await kubectl(cluster, *words)
    assert done.ok, done.stderr
    return done.stdout.strip()


async def test_the_substrate_says_that_it_provides_clusters(programs_of_the_module: binaries.Binaries) -> None:
    assert Capability.KUBERNETES in Local().provides
    assert not Local().lacks(frozenset({Capability.KUBERNETES}))


async def test_nodes_are_ready_and_called_as_kind_calls_them(cluster: LocalEnvironment) -> None:
    said = await told(cluster, "get", "nodes", "--no-headers")
    assert [line.split()[:2] for line in said.splitlines()] == [
        ["rundrill-control-plane", "Ready"],
        ["rundrill-worker", "Ready"],
    ]
    assert cluster.cluster.nodes == ("rundrill-control-plane", "rundrill-worker")


async def test_programs_that_began_before_the_network_connect_from_ports_whose_answers_are_theirs(
    cluster: LocalEnvironment,
) -> None:
    """Answers to ports of plan.TRANSLATED go to who translates: the API server's connections to etcd must not be from there."""
    done = await cluster.run(("cat", "/proc/net/tcp"), timeout=10 * SECOND)
    ends = [[int(end.partition(":")[2], 16) for end in line.split()[1:3]] for line in done.stdout.splitlines()[1:]]
    asking = [own for own, other in ends if other == ETCD_PORT]
    assert asking
    assert all(port in plan.CLIENTS for port in asking)


async def test_a_node_tells_what_its_pods_use_and_what_room_it_has(cluster: LocalEnvironment) -> None:
    node = cluster.cluster.nodes[1]
    summary = msgspec.json.decode(await told(cluster, "get", "--raw", f"/api/v1/nodes/{node}/proxy/stats/summary"))
    room = await told(cluster, "get", "node", node, "-o", "jsonpath={.status.allocatable.ephemeral-storage}")

    assert {pod["podRef"]["namespace"] for pod in summary["pods"]} == {"shop"}
    assert summary["node"]["fs"]["capacityBytes"] > 0
    assert room


async def test_pods_are_scheduled_at_the_first_attempt_which_is_told_as_kubeadms_scheduler_does(
    cluster: LocalEnvironment,
) -> None:
    assert await told(cluster, "get", "events", "--field-selector", "reason=FailedScheduling", "-o", "name") == ""
    told_by = "jsonpath={range .items[*]}{.source.component} {.count} {.lastTimestamp}{'\\n'}{end}"
    said = await told(cluster, "get", "events", "--field-selector", "reason=Scheduled", "-o", told_by)
    assert {tuple(line.split()[:2]) for line in said.splitlines()} == {("default-scheduler", "1")}
    assert all(len(line.split()) == 3 for line in said.splitlines())


async def test_the_stack_was_applied_to_its_namespace_and_is_ready(cluster: LocalEnvironment) -> None:
    ready = await told(
        cluster, "get", "deployment", "web", "-o", "jsonpath={.metadata.namespace} {.status.readyReplicas}"
    )
    assert ready == "shop 2"


async def test_pods_stay_off_the_control_plane_where_there_are_workers(cluster: LocalEnvironment) -> None:
    nodes = await told(cluster, "get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}")
    assert set(nodes.split()) == {"rundrill-worker"}


async def test_an_exposed_service_is_reached_by_its_name_from_inside(cluster: LocalEnvironment) -> None:
    peer = cluster.peer("front")
    assert peer == Peer("web.shop.svc.cluster.local", 80)
    done = await cluster.run(
        (
            cluster.python,
            "-c",
            f"import urllib.request as u; print(u.urlopen('http://{peer.host}/', timeout=5).read())",
        ),
        timeout=20 * SECOND,
    )
    assert "hello from a pod" in done.stdout, done.stderr


async def test_the_harness_reaches_the_api_server_from_outside(cluster: LocalEnvironment) -> None:
    program = binaries.kubectl()
    assert program is not None
    argv = (str(program), "--kubeconfig", str(cluster.cluster.kubeconfig), "get", "deployments", "-o", "name")
    done = await execution.run(argv, env=os.environ, timeout=60 * SECOND)
    assert done.stdout.strip() == "deployment.apps/web", done.stderr


async def test_the_kubeconfig_outside_is_for_its_owner_alone(cluster: LocalEnvironment) -> None:
    assert cluster.cluster.kubeconfig.stat().st_mode & 0o077 == 0


async def test_the_operator_is_the_administrator_that_kubeadm_makes(cluster: LocalEnvironment) -> None:
    said = await told(cluster, "auth", "whoami", "-o", "json")
    user = msgspec.json.decode(said)["status"]["userInfo"]
    assert user["username"] == "kubernetes-admin"
    assert "kubeadm:cluster-admins" in user["groups"]


async def test_a_claim_is_bound_by_the_default_storage_class(cluster: LocalEnvironment) -> None:
    said = await told(cluster, "get", "storageclass", "-o", "jsonpath={.items[*].metadata.name}")
    assert said == "standard"
    made = await cluster.operate(("kubectl", "apply", "-f", "-"), stdin=CLAIMING, timeout=30 * SECOND)
    assert made.ok, made.stderr
    waited = await kubectl(cluster, "wait", "--for=condition=Ready", "pod/claiming", "--timeout=40s")
    assert waited.ok, waited.stderr
    assert await told(cluster, "get", "pvc", "data", "-o", "jsonpath={.status.phase}") == "Bound"
    await told(cluster, "delete", "pod/claiming", "pvc/data", "--now")


CLAIMING = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: data }
spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 10Mi } } }
---
apiVersion: v1
kind: Pod
metadata: { name: claiming }
spec:
  containers: [{ name: web, image: "web:1", imagePullPolicy: IfNotPresent, volumeMounts: [{ name: data, mountPath: /data }] }]
  volumes: [{ name: data, persistentVolumeClaim: { claimName: data } }]
"""


async def test_an_operator_who_clears_tmp_and_the_logs_does_not_sit_on_a_node(cluster: LocalEnvironment) -> None:
    made = await cluster.operate(("kubectl", "apply", "-f", "-"), stdin=CLAIMING, timeout=30 * SECOND)
    assert made.ok, made.stderr
    waited = await kubectl(cluster, "wait", "--for=condition=Ready", "pod/claiming", "--timeout=40s")
    assert waited.ok, waited.stderr
    await told(cluster, "exec", "claiming", "--", "sh", "-c", "echo kept > /data/file")
    script = "echo mine > /tmp/x; rm -rf /tmp/* /var/log/*; ls -A /tmp"
    cleared = await cluster.operate(("sh", "-c", script), timeout=20 * SECOND)
    assert (cleared.status, cleared.stdout) == (0, ""), cleared.stderr
    assert await told(cluster, "exec", "claiming", "--", "cat", "/data/file") == "kept"
    assert "GET / " in await told(cluster, "logs", "-l", "app=web", "--tail=-1")
    await told(cluster, "delete", "pod/claiming", "pvc/data", "--now")


async def test_what_an_operator_leaves_in_tmp_is_there_for_the_next_command(cluster: LocalEnvironment) -> None:
    await cluster.operate(("sh", "-c", "echo mine > /tmp/note"), timeout=20 * SECOND)
    assert (await cluster.operate(("cat", "/tmp/note"), timeout=20 * SECOND)).stdout == "mine\n"


async def test_what_kubectl_cannot_do_it_says_itself(cluster: LocalEnvironment) -> None:
    done = await kubectl(cluster, "rollout", "undo", "deploy/web", "control", "console")
    assert done.status == 1
    assert "there is no need to specify a resource type as a separate argument" in done.stderr


def pids_of_web() -> list[int]:
    """The pods' processes as this test sees them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if b"http.server" in words and b"/srv" in words:
                found.append(int(folder.name))
    return found


def running(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


async def test_a_node_that_is_held_stands_still_and_goes_on(cluster: LocalEnvironment) -> None:
    def states(pids: list[int]) -> set[str]:
        return {Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in pids}

    pids = pids_of_web()
    assert len(pids) >= 2
    await cluster.cluster.set_node("rundrill-worker", NodeState.PAUSED)
    assert states(pids) == {"T"}
    await cluster.cluster.set_node("rundrill-worker", NodeState.UP)
    assert "T" not in states(pids)


async def test_a_node_without_power_has_no_processes_and_its_pods_run_again_when_it_is_back(
    cluster: LocalEnvironment,
) -> None:
    before = pids_of_web()
    await cluster.cluster.set_node("rundrill-worker", NodeState.DOWN)
    assert not running(before)
    await cluster.cluster.set_node("rundrill-worker", NodeState.UP)

    async def restarted() -> bool | None:
        said = await told(cluster, "get", "pods", "-o", "jsonpath={range .items[*]}{.status.containerStatuses[0].ready} "
                          "{.status.containerStatuses[0].restartCount} {end}")  # fmt: skip
        words = said.split()
        return (words[::2] == ["true"] * 2 and all(int(count) for count in words[1::2])) or None

    assert await until(restarted, deadline=now() + 60 * SECOND, every=SECOND // 2)


async def test_milestones_are_passed_in_their_order(cluster: LocalEnvironment) -> None:
    passed = cluster.cluster.milestones
    assert list(passed) == ["API server", "nodes", "stack"]
    assert 0 < passed["API server"] < passed["nodes"] < passed["stack"]


async def test_a_node_that_there_is_not_is_a_key_error(cluster: LocalEnvironment) -> None:
    with pytest.raises(KeyError):
        await cluster.cluster.set_node("rundrill-worker9", NodeState.DOWN)
