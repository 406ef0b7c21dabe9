"""The manifests of a stack: read in order, variables replaced, everything wrong with them told at once."""

from pathlib import Path

import pytest

from harness.errors import SubstrateError
from harness.model.topology import Cluster
from harness.substrates import manifests

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: one}
spec:
  initContainers: [{name: first, image: "busybox:1"}]
  containers: [{name: main, image: "${IMAGE}", args: ["$$HOME"]}]
"""


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(manifests, "stacks", lambda: tmp_path)
    folder = tmp_path / "shop"
    folder.mkdir()
    return folder


def read(**variables: str) -> list[manifests.Manifest]:
    return list(manifests.read(Cluster("shop", "shop", variables=tuple(variables.items()))))


def test_files_are_read_in_the_order_of_their_names_with_variables_replaced(stack: Path) -> None:
    (stack / "20-pod.yaml").write_text(POD)
    (stack / "10-more.yaml").write_text("kind: Namespace\n---\n---\nkind: Secret\n")
    first, second = read(IMAGE="shop:1.0")
    assert [each["kind"] for each in first.objects] == ["Namespace", "Secret"]
    assert second.objects[0]["spec"]["containers"][0] == {"name": "main", "image": "shop:1.0", "args": ["$HOME"]}
    assert manifests.images_of([first, second]) == ("shop:1.0", "busybox:1")


def test_every_mistake_is_told_with_its_line(stack: Path) -> None:
    (stack / "10.yaml").write_text(POD.replace("$$HOME", "$ 5"))
    (stack / "20.yaml").write_text("kind: [")
    (stack / "30.yaml").write_text("- a list\n")
    with pytest.raises(SubstrateError) as raised:
        read(OTHER="1")
    told = str(raised.value)
    assert "10.yaml:6: there is no variable ${IMAGE}; the cluster's variables are: OTHER" in told
    assert "20.yaml:1: not YAML" in told
    assert "30.yaml:1: expected Kubernetes objects" in told


def test_a_dollar_sign_that_begins_no_variable_is_told(stack: Path) -> None:
    (stack / "10.yaml").write_text("kind: A\nprice: $ 5\n")
    with pytest.raises(SubstrateError, match=r"10.yaml:2: a dollar sign that begins no variable"):
        read()


def test_an_unknown_stack_is_told_with_those_there_are(stack: Path) -> None:
    with pytest.raises(SubstrateError, match="stack 'other': expected one of: shop"):
        manifests.read(Cluster("other", "n"))


DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: backend%s}
"""


def test_an_object_that_is_there_twice_is_told_with_both_places(stack: Path) -> None:
    (stack / "10.yaml").write_text(f"kind: Service\nmetadata: {{name: backend}}\n---\n{DEPLOYMENT % ''}")
    (stack / "20.yaml").write_text(f"\n\n---\n\n{DEPLOYMENT % ', namespace: shop'}---\n{DEPLOYMENT % 2}")
    (found,) = manifests.flaws(Cluster("shop", "shop"))
    assert str(found).startswith(f"{stack}/20.yaml:5: Deployment 'backend' is at {stack}/10.yaml:4 already\n")
    with pytest.raises(SubstrateError, match="is at"):
        read()


def test_an_object_of_a_namespace_that_is_not_there_is_told_and_of_one_that_is_made_is_not(stack: Path) -> None:
    (stack / "10.yaml").write_text(
        f"kind: Namespace\nmetadata: {{name: data}}\n---\n{DEPLOYMENT % ', namespace: data'}---\n"
        f"{DEPLOYMENT % ', namespace: kube-system'}---\n{DEPLOYMENT % ', namespace: shop'}"
    )
    assert not manifests.flaws(Cluster("shop", "shop"))
    assert manifests.namespaces(Cluster("shop", "shop"), read()) == ("shop", "data", "kube-system")
    (stack / "20.yaml").write_text(DEPLOYMENT % ", namespace: prod")
    (found,) = manifests.flaws(Cluster("shop", "shop"))
    assert str(found).startswith(
        f"{stack}/20.yaml:1: Deployment 'backend' is of namespace 'prod', which no manifest makes; the cluster's own is 'shop'\n"
    )


def test_a_cluster_without_a_stack_has_no_flaws(stack: Path) -> None:
    assert manifests.flaws(Cluster("", "shop")) == ()
