"""Whether a cluster's network keeps NetworkPolicies, as far as is known of what runs there. Nothing is tried."""

import re
from collections.abc import Iterable

import msgspec

from harness.substrates.kind.kubectl import Kubectl
from harness.substrates.kind.objects import Meta, Some

REMARK = (
    "NetworkPolicies are perhaps not kept: nothing is known to run here that does (kindnet does from kind v0.24 on); what a "
    "procedure does by them may do nothing"
)
KINDNET_SINCE = 20240813
"""The date in the tag of the first kindnetd that does, of kind v0.24.0."""

KEEPERS = frozenset(
    {"calico-node", "canal", "cilium", "antrea-agent", "kube-router", "kube-network-policies", "weave-net"}
)
"""DaemonSets of networks that do."""


class _Container(msgspec.Struct, frozen=True):
    image: str = ""


class _PodSpec(msgspec.Struct, frozen=True):
    containers: tuple[_Container, ...] = ()


class _Template(msgspec.Struct, frozen=True):
    spec: _PodSpec


class _Spec(msgspec.Struct, frozen=True):
    template: _Template


class DaemonSet(msgspec.Struct, frozen=True):
    """A DaemonSet, and the images of its pods."""

    metadata: Meta
    spec: _Spec


async def remarks(kubectl: Kubectl) -> tuple[str, ...]:
    """What a reader of the report must know of it."""
    found = await kubectl.get(Some[DaemonSet], "daemonsets", "-A")
    return () if kept(found.items) else (REMARK,)


def kept(daemons: Iterable[DaemonSet]) -> bool:
    """Whether one of these keeps them."""
    return any(
        one.metadata.name in KEEPERS or any(_new_kindnet(each.image) for each in one.spec.template.spec.containers)
        for one in daemons
    )


def _new_kindnet(image: str) -> bool:
    dated = re.search(r"/kindnetd:v(\d{8})", image)
    return dated is not None and int(dated[1]) >= KINDNET_SINCE
