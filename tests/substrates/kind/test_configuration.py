"""The configuration that kind is given: nodes, the mark of what is ours, and what old control groups need."""

from pathlib import Path

import pytest
import yaml

from harness.substrates.kind.configuration import MARK, compose

FOLDER = Path(__file__).parents[3] / "clusters/kind"
PARTS = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.yaml")}


def composed(*, workers: int = 0, cgroup_v1: bool = False) -> dict[str, object]:
    text = compose(PARTS, workers=workers, shared=Path("/host/shared"), cgroup_v1=cgroup_v1)
    return yaml.safe_load(text)


@pytest.mark.parametrize("workers", [0, 1, 2, 4])
def test_a_cluster_has_one_control_plane_and_as_many_workers_as_asked_for(workers: int) -> None:
    assert [node["role"] for node in composed(workers=workers)["nodes"]] == ["control-plane"] + ["worker"] * workers


@pytest.mark.parametrize("workers", [0, 3])
def test_every_node_bears_the_mark(workers: int) -> None:
    for node in composed(workers=workers)["nodes"]:
        assert {"hostPath": "/host/shared", "containerPath": MARK, "readOnly": True} in node["extraMounts"]


def test_control_groups_v1_are_asked_for_only_where_the_machine_has_them() -> None:
    assert "kubeadmConfigPatches" not in composed()
    (patch,) = composed(cgroup_v1=True)["kubeadmConfigPatches"]
    assert yaml.safe_load(patch) == {"kind": "KubeletConfiguration", "failCgroupV1": False}


def test_the_files_of_the_repository_are_configurations_of_kind() -> None:
    for name in ("one-node.yaml", "three-nodes.yaml"):
        config = yaml.safe_load(PARTS[name])
        assert (config["kind"], config["apiVersion"]) == ("Cluster", "kind.x-k8s.io/v1alpha4")
