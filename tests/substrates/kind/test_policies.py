"""Which networks are known to keep NetworkPolicies."""

import msgspec
import pytest

from harness.substrates.kind.policies import DaemonSet, kept


def daemon(name: str, *images: str) -> DaemonSet:
    containers = [{"name": "one", "image": image} for image in images]
    given = {"metadata": {"name": name}, "spec": {"template": {"spec": {"containers": containers}}}}
    return msgspec.convert(given, DaemonSet)


PROXY = daemon("kube-proxy", "registry.k8s.io/kube-proxy:v1.34.0")


@pytest.mark.parametrize(
    ("daemons", "they_are"),
    [
        ((), False),
        ((PROXY,), False),
        ((PROXY, daemon("kindnet", "docker.io/kindest/kindnetd:v20250512-df8de77b")), True),
        ((PROXY, daemon("kindnet", "docker.io/kindest/kindnetd:v20240813-c6f155d6")), True),
        ((PROXY, daemon("kindnet", "docker.io/kindest/kindnetd:v20240513-cd2ac642")), False),
        ((PROXY, daemon("kindnet", "example.org/kindnetd:latest")), False),
        ((daemon("calico-node", "quay.io/calico/node:v3.30.0"), PROXY), True),
    ],
)
def test_policies_are_kept_where_something_runs_that_is_known_to(
    daemons: tuple[DaemonSet, ...], they_are: bool
) -> None:
    assert kept(daemons) is they_are
