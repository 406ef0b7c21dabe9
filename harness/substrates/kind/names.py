"""Names that pods of a kind cluster find although no Service has them: a hosts file that CoreDNS answers from. CoreDNS is set
up for it once a cluster; the file is each drill's.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from harness.errors import SubstrateError
from harness.substrates.kind.configuration import MARK
from harness.substrates.kind.kubectl import Kubectl

BLOCK = f"""\
    hosts {MARK}/hosts {{
        ttl 1
        reload 500ms
        fallthrough
    }}
"""
"""Answers before the cluster's own names are looked up (plugin/hosts; plugins answer in the order of CoreDNS's plugin.cfg)."""

VOLUME = {
    "spec": {
        "template": {
            "spec": {
                "volumes": [{"name": "rundrill", "hostPath": {"path": MARK, "type": "Directory"}}],
                "containers": [
                    {"name": "coredns", "volumeMounts": [{"name": "rundrill", "mountPath": MARK, "readOnly": True}]}
                ],
            }
        }
    }
}


class ConfigMap(msgspec.Struct):
    """A ConfigMap."""

    data: dict[str, str]


def corefile(text: str) -> str:
    """CoreDNS's configuration with the block in it, once. SubstrateError where there is no place for it."""
    if BLOCK in text:
        return text
    before, mark, after = text.partition("    kubernetes cluster.local")
    if not mark:
        raise SubstrateError(f"CoreDNS's Corefile: expected a line `kubernetes cluster.local`; found:\n{text}")
    return before + BLOCK + mark + after


def hosts(addresses: Mapping[str, Sequence[str]]) -> str:
    """The hosts file; `addresses` are names by address. A name of a Service is found in full as well."""
    lines = []
    for address, names in addresses.items():
        full = (f"{name}.cluster.local" for name in names if name.endswith(".svc"))
        lines.append(f"{address} {' '.join(dict.fromkeys((*names, *full)))}\n")
    return "".join(lines)


async def prepare(kubectl: Kubectl, shared: Path) -> None:
    """Set CoreDNS up; it has the file, empty, when it starts with its new configuration."""
    write(shared, {})
    place = ("-n", "kube-system")
    current = await kubectl.get(ConfigMap, "configmap", "coredns", *place)
    changed = {"data": {**current.data, "Corefile": corefile(current.data["Corefile"])}}
    await kubectl.done(
        "patch", "configmap", "coredns", *place, "--type=merge", "-p", msgspec.json.encode(changed).decode()
    )
    await kubectl.done("patch", "deployment", "coredns", *place, "-p", msgspec.json.encode(VOLUME).decode())


def write(shared: Path, addresses: Mapping[str, Sequence[str]]) -> None:
    """Let pods find these names from within a second on."""
    unfinished = shared / "hosts.new"
    unfinished.write_text(hosts(addresses), encoding="utf-8")
    unfinished.replace(shared / "hosts")
