"""What the conformance check of substrates asks of a cluster. Not what runs in it: that is the stack's."""

import asyncio
import os
from collections.abc import Callable

from harness import execution
from harness.model.topology import Topology
from harness.model.units import Ns, seconds
from harness.ports import Environment, NodeState

_LIMIT: Ns = seconds(40)
_KEPT = "conformance"

Expect = Callable[[bool, str], None]
"""Notes the problem, the second, unless the first holds."""


async def ask(one: Environment, other: Environment, topology: Topology, expect: Expect) -> None:
    """Ask of the cluster of `one` what ports.Cluster promises, and of `other`'s that it is another."""
    if topology.cluster is None:
        return
    cluster = one.cluster
    expect(cluster.spec == topology.cluster, "the cluster: another specification")
    expect(len(cluster.nodes) == 1 + topology.cluster.nodes, f"the cluster: its nodes are {', '.join(cluster.nodes)}")
    said = await _said(one, "get", "nodes", "-o", "jsonpath={.items[*].metadata.name}")
    expect(sorted(said.split()) == sorted(cluster.nodes), f"kubectl get nodes: {said!r}")
    namespace = await _said(one, "config", "view", "--minify", "-o", "jsonpath={..namespace}")
    expect(namespace == topology.cluster.namespace, f"the operator's namespace is {namespace!r}")
    mode = (await asyncio.to_thread(cluster.kubeconfig.stat)).st_mode
    expect(not mode & 0o077, f"{cluster.kubeconfig}: others than its owner may use it (mode {mode:o})")
    await _apart(one, other, expect)
    await _outside(one, expect)
    for exposed in topology.cluster.exposed:
        peer = one.peer(exposed.name)
        script = f"import socket; socket.create_connection(({peer.host!r}, {peer.port}), timeout=10)"
        done = await one.run((one.python, "-c", script), timeout=_LIMIT)
        expect(done.ok, f"the exposed Service {exposed.name}: not reached at {peer}: {done.stderr}")
    try:
        await cluster.set_node("no-such-node", NodeState.DOWN)
    except KeyError:
        return
    expect(False, "set_node of an unknown name: expected KeyError")  # noqa: FBT003 - an assertion


async def _apart(one: Environment, other: Environment, expect: Expect) -> None:
    """What is made in one is not in the other."""
    await _said(one, "create", "configmap", _KEPT)
    found = await _said(one, "get", "configmaps", "-o", "name")
    expect(f"configmap/{_KEPT}" in found, f"kubectl create configmap: it is not there afterwards: {found!r}")
    elsewhere = await _said(other, "get", "configmaps", "-o", "name")
    expect(f"configmap/{_KEPT}" not in elsewhere, "two clusters share their objects")


async def _outside(one: Environment, expect: Expect) -> None:
    """The harness's own way to the API server."""
    program = execution.find("kubectl")
    if program is None:
        return
    argv = (program, "--kubeconfig", str(one.cluster.kubeconfig), "get", "configmap", _KEPT, "-o", "name")
    done = await execution.run(argv, env={"PATH": os.defpath, "HOME": "/nonexistent"}, timeout=_LIMIT)
    expect(done.stdout.strip() == f"configmap/{_KEPT}", f"the harness's kubeconfig: {done.stderr}")


async def _said(environment: Environment, *words: str) -> str:
    done = await environment.operate(("kubectl", *words), timeout=_LIMIT)
    return done.stdout.strip() or done.stderr.strip()
