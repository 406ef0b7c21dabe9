"""Trouble with a cluster is told in words, with the remedy and in bounded time. kubectl and Docker's client are programs of the
tests that say what those would: no cluster is needed to be told that one is not well."""

import json
from pathlib import Path

import pytest

from harness.clock import now
from harness.errors import SubstrateError
from harness.model.topology import Cluster
from harness.model.units import seconds
from harness.substrates.kind import stack
from harness.substrates.kind.kubectl import Kubectl

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
