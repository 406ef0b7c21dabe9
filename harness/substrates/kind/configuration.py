"""The configuration file of a kind cluster, put together from clusters/kind/*.yaml. Text in, text out."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import yaml

MARK = "/etc/rundrill"
"""Where every node of a cluster of ours has a folder of the host's mounted: how it is told from others from its first moment."""

Fields = dict[str, object]


def compose(parts: Mapping[str, str], *, workers: int, shared: Path, cgroup_v1: bool) -> str:
    """The configuration of a cluster with that many workers; `parts` are the texts of clusters/kind by file name.

    `shared` is the host's folder that the nodes have at MARK.
    """
    config = _mapping(parts["three-nodes.yaml" if workers else "one-node.yaml"])
    nodes = cast("list[Fields]", config["nodes"])
    last = nodes[-1]
    nodes = [*nodes, *[dict(last)] * max(0, 1 + workers - len(nodes))][: 1 + workers]
    mount = {"hostPath": str(shared), "containerPath": MARK, "readOnly": True}
    config["nodes"] = [
        {**node, "extraMounts": [*cast("list[Fields]", node.get("extraMounts", [])), mount]} for node in nodes
    ]
    if cgroup_v1:
        for key, value in _mapping(parts["cgroup-v1.yaml"]).items():
            config[key] = [*cast("list[object]", config.get(key, [])), *cast("list[object]", value)]
    return yaml.safe_dump(config, sort_keys=False)


def _mapping(text: str) -> Fields:
    return cast("Fields", yaml.safe_load(text))
