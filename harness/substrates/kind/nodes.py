"""The cluster of a kind environment, as faults and probes ask for it: its kubeconfig, its nodes and their power."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from harness.errors import SubstrateError
from harness.model import topology
from harness.ports import NodeState
from harness.substrates.kind import docker
from harness.substrates.kind.docker import Container
from harness.substrates.kind.kubectl import Kubectl

API_PORT = 6443
LOG_LINES = 40

_STEPS: dict[tuple[str, NodeState], tuple[str, ...]] = {
    ("running", NodeState.PAUSED): ("pause",),
    ("running", NodeState.DOWN): ("kill",),
    ("paused", NodeState.UP): ("unpause",),
    ("paused", NodeState.DOWN): ("kill",),
    ("exited", NodeState.UP): ("start",),
    ("exited", NodeState.PAUSED): ("start", "pause"),
}
"""What Docker is asked to do to a container in that state, to have its node in this one. A killed container that was paused
is gone as well: SIGKILL ends a frozen process once it is thawed, which `docker kill` sees to."""


def counted(nodes: int) -> str:
    """So many, in words."""
    return f"{nodes} node{'s' if nodes > 1 else ''}"


class KindCluster:
    """Fulfils ports.Cluster. `kubectl` is the administrator's; `containers` are those of its nodes when it was handed over."""

    def __init__(self, spec: topology.Cluster, kubectl: Kubectl, containers: Sequence[Container]) -> None:
        self._spec = spec
        self.kubectl = kubectl
        self.containers = tuple(containers)

    @property
    def spec(self) -> topology.Cluster:
        """What was asked for."""
        return self._spec

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig as the harness itself uses it; its context's namespace is the spec's."""
        return self.kubectl.kubeconfig

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of its nodes, the control plane's first."""
        return tuple(each.name for each in self.containers)

    async def set_node(self, name: str, state: NodeState) -> None:
        """Bring a node down as if its power were cut, let it stand still, or have it up again; KeyError if there is none.

        Of the control plane's node it is the kubelet alone, with it the node's heartbeat: the API server stays up.
        """
        container = next((each for each in self.containers if each.name == name), None)
        if container is None:
            raise KeyError(name)
        if container.control_plane:
            await _kubelet(name, state)
        else:
            await power(name, state)


async def power(name: str, state: NodeState) -> None:
    """Have the container of a node running, paused or stopped."""
    found = (await docker.done("inspect", "--format", "{{.State.Status}}", name)).strip()
    for step in _STEPS.get((found, state), ()):
        await docker.done(step, name)


async def _kubelet(name: str, state: NodeState) -> None:
    match state:
        case NodeState.UP:
            commands: Sequence[Sequence[str]] = (("start",), ("kill", "--signal=SIGCONT"))
        case NodeState.PAUSED:
            commands = (("kill", "--signal=SIGSTOP"),)
        case NodeState.DOWN:
            commands = (("kill", "--signal=SIGCONT"), ("stop",))
    for words in commands:
        await docker.done("exec", name, "systemctl", *words, "kubelet")


async def log(name: str) -> str:
    """The end of a node's log: its kubelet's, or where there is none yet, the container's."""
    found = await docker.docker("exec", name, "journalctl", "--no-pager", f"-n{LOG_LINES}", "-u", "kubelet")
    if not found.ok or not found.stdout.strip():
        found = await docker.docker("logs", "--tail", str(LOG_LINES), name)
    return (found.stdout + found.stderr).strip()


def kubeconfig(text: str, *, namespace: str, server: str = "") -> str:
    """A kubeconfig of kind's with that default namespace; with `server` instead of what it says."""
    config = yaml.safe_load(text)
    for each in config["contexts"]:
        each["context"]["namespace"] = namespace
    for each in config["clusters"]:
        each["cluster"]["server"] = server or each["cluster"]["server"]
    return str(yaml.safe_dump(config, sort_keys=False))


def api_port(text: str) -> int:
    """The port of this machine's loopback at which the API server of a kubeconfig of kind's is."""
    server = str(yaml.safe_load(text)["clusters"][0]["cluster"]["server"])
    port = server.rpartition(":")[2]
    if not port.isdecimal():
        raise SubstrateError(f"the kubeconfig of kind: expected a server with a port; found {server!r}")
    return int(port)
