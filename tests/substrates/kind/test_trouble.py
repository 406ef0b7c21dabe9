"""Trouble with a cluster is told in words, with the remedy and in bounded time. kubectl and Docker's client are programs of the
tests that say what those would: no cluster is needed to be told that one is not well."""

import asyncio
import json
from pathlib import Path

import pytest

from harness.clock import now, until
from harness.errors import SubstrateError
from harness.model.topology import Cluster, Topology
from harness.model.units import seconds
from harness.substrates import manifests
from harness.substrates.journal import started
from harness.substrates.kind import docker, keeper, lease, leftovers, stack
from harness.substrates.kind.kubectl import Kubectl
from harness.substrates.kind.room import Order, Room
from harness.substrates.kind.settings import Settings

SHOP = Cluster("tiny", "shopping")
DEPLOYMENT = {
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "shopping", "generation": 1},
    "spec": {"replicas": 1},
    "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1},
}
MESSAGE = 'failed to pull and unpack image "shop:9": docker.io/library/shop:9: not found'


def pod(reason: str, message: str) -> dict[str, object]:
    waiting = {"waiting": {"reason": reason, "message": message}}
    statuses = [{"name": "web", "image": "shop:9", "ready": False, "state": waiting}]
    return {
        "kind": "Pod",
        "metadata": {"name": "web-1", "namespace": "shopping"},
        "status": {"phase": "Pending", "containerStatuses": statuses},
    }


def program(path: Path, script: str) -> str:
    """A program of that name that runs the script."""
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def saying(folder: Path, *items: object) -> Kubectl:
    """A kubectl of a cluster that has these objects and the namespace of the drill."""
    (folder / "items.json").write_text(json.dumps({"kind": "List", "items": items}), encoding="utf-8")
    script = f'case "$*" in *"get namespaces"*) echo namespace/shopping;; *) cat {folder}/items.json;; esac'
    return Kubectl(program(folder / "kubectl", script), folder / "kubeconfig")


async def test_an_image_that_cannot_be_pulled_is_told_at_once_with_its_name_and_the_remedy(tmp_path: Path) -> None:
    kubectl = saying(tmp_path, DEPLOYMENT, pod("ErrImagePull", MESSAGE))
    begun = now()
    with pytest.raises(SubstrateError, match=r"stack 'tiny': the image shop:9 of pod web-1 cannot be had") as caught:
        await stack.until_running(kubectl, SHOP, ())
    assert MESSAGE in str(caught.value)
    assert "docker pull" in str(caught.value)
    assert now() - begun < seconds(5)


async def test_a_stack_that_runs_is_waited_for_no_longer_whatever_its_finished_pods_say(tmp_path: Path) -> None:
    status = {**DEPLOYMENT["status"], "readyReplicas": 1}  # type: ignore[dict-item]
    kubectl = saying(tmp_path, {**DEPLOYMENT, "status": status}, pod("ErrImagePull", MESSAGE))
    await stack.until_running(kubectl, SHOP, ())


def verbs(asked: Path) -> set[str]:
    return {line.split()[0] for line in asked.read_text(encoding="utf-8").splitlines()}


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where it is written down what a client of Docker's, which has no image and no container, is asked to do."""
    says = f'echo "$@" >> {tmp_path}/asked; case "$*" in *DockerRootDir*) echo {tmp_path};; "image inspect"*) exit 1;; esac'
    (tmp_path / "bin").mkdir()
    program(tmp_path / "bin/docker", says)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "asked"


async def test_a_disk_without_room_for_a_cluster_is_told_before_anything_is_made(
    asked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("docker", reason="the extra `containers` is not installed")
    from harness.substrates.kind import bringing_up

    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny/10-nothing.yaml").write_text("{apiVersion: v1, kind: ConfigMap, metadata: {name: nothing}}")
    monkeypatch.setattr(manifests, "stacks", lambda: tmp_path)
    monkeypatch.setenv("RUNDRILL_DOCKER_SPARE_MB", str(10**9))
    cluster = Cluster("tiny", "shopping", nodes=2)
    users = lease.Users()
    up = bringing_up.environment(
        Topology("shop", cluster=cluster), cluster, users, Settings(name="rundrill-none"),
        run="a-run", folder=tmp_path, links=frozenset(),
    )  # fmt: skip
    with pytest.raises(
        SubstrateError, match=r"Docker's disk .*: expected 10000\d+ MiB free .*3 nodes of kind"
    ) as caught:
        async with up:
            pytest.fail("it came up")
    assert "the image kindest/node 1000" in str(caught.value)
    assert "docker system df" in str(caught.value)
    await asyncio.to_thread(users.close)
    assert verbs(asked) == {"images", "info"}
    assert not Room.of("rundrill-none").kept_alive()


async def test_a_daemon_that_is_away_is_said_to_be_whatever_the_client_says(asked: Path, tmp_path: Path) -> None:
    nil = (
        'template: :1:2: executing "" at <.CgroupVersion>: reflect: indirection through nil pointer to embedded struct'
    )
    program(tmp_path / "bin/docker", f"echo '{nil}' >&2; exit 1")
    with pytest.raises(SubstrateError, match=r"docker info: Docker's daemon does not answer\n +is Docker up"):
        await docker.done("info")


async def test_a_keeper_whose_daemon_is_away_at_the_end_deletes_its_cluster_when_it_is_back(
    asked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = (
        f'echo "$@" >> {asked}; [ -e {tmp_path}/back ] || {{ echo Cannot connect to the Docker daemon >&2; exit 1; }}'
    )
    program(tmp_path / "bin/docker", away)
    kind = program(tmp_path / "bin/kind", f'echo kind "$@" >> {asked}')
    monkeypatch.setattr(keeper, "AGAIN_S", 0.05)
    room = Room.of("rundrill-none")
    room.wish(Order(number=1, workers=0, image="", kind=kind, kubectl="kubectl", config=""))
    keeping = asyncio.create_task(keeper.Keeper(room).keep())

    async def told() -> bool | None:
        state = room.state()
        return True if state and "Cannot connect to the Docker daemon" in state.why else None

    assert await until(told, deadline=now() + seconds(10))
    assert not keeping.done()
    (tmp_path / "back").touch()
    await keeping
    assert "kind" in verbs(asked)
    assert room.order() is None


async def test_what_a_keeper_gave_up_is_reaped_once_the_daemon_is_back_and_then_forgotten(
    asked: Path, tmp_path: Path
) -> None:
    away = f"[ -e {tmp_path}/back ] || {{ echo Cannot connect to the Docker daemon >&2; exit 1; }}"
    gone = tmp_path / "gone"
    network = f'case "$*" in "network ls"*) [ -e {gone} ] || echo rundrill-none;; "network rm"*) touch {gone};; esac'
    program(tmp_path / "bin/docker", f"{away}; {network}")
    kind = program(tmp_path / "bin/kind", "exit 0")
    room = Room.of("rundrill-none")
    room.wish(Order(number=1, workers=0, image="", kind=kind, kubectl="kubectl", config=""))
    (sentence,) = await lease.reap()
    assert sentence.startswith("could not delete the kind cluster rundrill-none: docker ps")
    assert room.order() is not None
    (tmp_path / "back").touch()
    assert await lease.reap() == [], "there was no cluster any more"
    assert gone.exists(), "but its network"
    assert room.order() is None


KUBELET = "kubelet[99]: failed to run Kubelet: running with swap on is not supported"


async def test_nodes_that_never_get_ready_are_named_and_the_log_of_one_is_shown(
    asked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin/docker", f'case "$*" in *journalctl*) echo "{KUBELET}";; esac')
    monkeypatch.setattr(leftovers, "NODES", seconds(1))
    sick = {"kind": "Node", "metadata": {"name": "rundrill-worker"}, "status": {"conditions": []}}
    well = {
        "kind": "Node",
        "metadata": {"name": "one"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    (tmp_path / "nodes.json").write_text(json.dumps({"items": [sick, well]}))
    says = f'case "$*" in *"get nodes"*) cat {tmp_path}/nodes.json;; *) echo \'{{"items": []}}\';; esac'
    kubectl = Kubectl(program(tmp_path / "kubectl", says), tmp_path / "kubeconfig")
    with pytest.raises(SubstrateError, match=r"'rundrill': after 1 s node rundrill-worker: not ready\n") as caught:
        await leftovers.until_ready(kubectl, "rundrill")
    assert str(caught.value).endswith(KUBELET)


@pytest.mark.slow
async def test_a_cluster_that_is_not_there_in_time_is_told_with_its_nodes_log_and_given_up(
    asked: Path, tmp_path: Path
) -> None:
    pytest.importorskip("pytest_kind", reason="the extra `kind` is not installed")
    says = f'case "$*" in *journalctl*) echo "{KUBELET}";; "network ls"*) echo rundrill-none;; esac'
    program(tmp_path / "bin/docker", says)
    kind = program(
        tmp_path / "bin/kind",
        f'echo "$@" >> {asked}; case "$1" in create) echo $$ > {tmp_path}/pid; exec sleep 60;; esac',
    )
    order = Order(number=0, workers=0, image="", kind=kind, kubectl="kubectl", config="")

    async def wanted(_: Room) -> Order:
        return order

    users = lease.Users()
    settings = Settings(name="rundrill-none", patience_s=4)
    with pytest.raises(SubstrateError, match=r"'rundrill-none': expected it within 4 s; it is not there yet") as caught:
        async with lease.leased(users, settings, wanted):
            pytest.fail("it came up")
    assert str(caught.value).endswith(KUBELET)
    maker = int((tmp_path / "pid").read_text())
    await asyncio.to_thread(users.close)
    assert verbs(asked) == {"get", "create", "delete"}
    assert started(maker) is None
    assert not Room.of("rundrill-none").kept_alive()
