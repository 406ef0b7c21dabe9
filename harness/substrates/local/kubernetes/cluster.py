"""The cluster of a local environment: brought up, its nodes' power cut and given back. Not what is applied to it."""

import asyncio
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from harness import clock
from harness.errors import SubstrateError
from harness.model import topology
from harness.model.units import Ns
from harness.ports import NodeState, Peer
from harness.substrates.local.kubernetes import binaries, control_plane, identities, places, template
from harness.substrates.local.kubernetes.api import Api
from harness.substrates.local.kubernetes.applying import Applying
from harness.substrates.local.kubernetes.connection import connect
from harness.substrates.local.kubernetes.identities import Roots
from harness.substrates.local.kubernetes.places import Node
from harness.substrates.local.kubernetes.power import Power
from harness.substrates.local.kubernetes.scheduling import alone
from harness.substrates.local.kubernetes.servers import ROOT, Servers
from harness.substrates.local.kubernetes.visiting import visit
from harness.substrates.local.site import Site
from harness.substrates.local.template import cache, obtain

OBJECTS = Path(__file__).with_name("objects.yaml")
NOT_READY = "node.kubernetes.io/not-ready"


class Condition(msgspec.Struct, frozen=True):
    """One of an object's conditions."""

    type: str
    status: str


class NodeStatus(msgspec.Struct, frozen=True):
    """What a node says of itself."""

    conditions: tuple[Condition, ...] = ()


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    """Which version of an object it is."""

    resource_version: str


class NodeSpec(msgspec.Struct, frozen=True):
    """What is wanted of a node: `taints` keep pods off it."""

    taints: tuple[Mapping[str, str], ...] = ()


class NodeObject(msgspec.Struct, frozen=True):
    """A Node."""

    metadata: Metadata
    status: NodeStatus
    spec: NodeSpec = NodeSpec()


class LocalCluster:
    """Fulfils ports.Cluster. `images` are TOML files of what images are; `folder` (host) takes its kubeconfig.

    `milestones` says when its API server, its nodes and its stack were ready, in ns after its start began.
    """

    def __init__(self, spec: topology.Cluster, site: Site, *, folder: Path, images: Sequence[Path]) -> None:
        self._spec = spec
        self._site = site
        self._images = tuple(images)
        self._nodes = places.nodes(spec.nodes)
        self._kubeconfig = folder / f"kubeconfig-{site.name}"
        self._servers = Servers(site)
        self.milestones: dict[str, Ns] = {}
        self._powers = {node.name: Power(node, site, self._servers) for node in self._nodes}

    @property
    def spec(self) -> topology.Cluster:
        """What was asked for."""
        return self._spec

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig as the harness itself uses it."""
        return self._kubeconfig

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of its nodes, the control plane's first."""
        return tuple(node.name for node in self._nodes)

    def exposed(self, name: str) -> Peer | None:
        """Where its exposed Service of that name is reached, from inside; None if there is none."""
        for each in self._spec.exposed:
            if each.name == name:
                return Peer(f"{each.service or name}.{self._spec.namespace}.svc.{places.DOMAIN}", each.port)
        return None

    def close(self) -> None:
        """Let go of what the harness holds of it; its programs end with the environment."""
        self._kubeconfig.unlink(missing_ok=True)

    async def start(self) -> None:
        """Bring it up until its nodes, and what its stack asks for, are ready. SubstrateError with the log of what is not."""
        begun = clock.now()
        name = template.key(binaries.demanded().version, _made_of())
        archive = cache() / f"{name}.tar"
        roots = await asyncio.to_thread(self._restored, archive)
        cold = roots is None
        roots = roots or Roots.make()
        self._write(identities.files(roots, self._nodes))
        self._write({control_plane.RESOLV_CONF: f"nameserver {places.DNS_SERVICE}\n"})
        self._write({f"{node.root}/config.json": control_plane.kubelet_config(node) for node in self._nodes})
        await self._servers.start("etcd", control_plane.etcd())
        async with alone(self._site, self._servers):
            api = await self._control(roots, archive, cold=cold)
        self.milestones["API server"] = clock.now() - begun
        await self._servers.start("kube-controller-manager", control_plane.controller_manager())
        applying = Applying(self._site, api, self._spec)
        if cold:
            await self._furnish(applying, roots, name)
            await self._start_network()  # not before: nothing of it belongs to the template
        await asyncio.gather(*(self._join(api, node) for node in self._nodes), applying.namespace())
        self.milestones["nodes"] = clock.now() - begun
        if self._spec.stack:
            await applying.stack()
            self.milestones["stack"] = clock.now() - begun

    async def _control(self, roots: Roots, archive: Path, *, cold: bool) -> Api:
        """Start the API server, and what needs not wait for it; return when it is ready."""
        await self._servers.start("kube-apiserver", control_plane.api_server())
        api, port = await connect(self._site)
        self._write_kubeconfigs(roots, port)
        if not cold:
            await self._start_network()
        for node in self._nodes:
            await self._start_runtime(node)
        try:
            await self._servers.until("the API server is ready", lambda: _answers(api, "/readyz"))
        except SubstrateError:
            # It may be the template's fault: the next one starts without.
            await asyncio.to_thread(archive.unlink, missing_ok=True)
            raise
        return api

    def _restored(self, archive: Path) -> Roots | None:
        """The keys of the template, its data in place; None, and nothing in place, where there is no good one."""
        data = self._site.layout.seen(places.ETCD)
        try:
            return Roots.read(template.unpack(archive, data))
        except FileNotFoundError:
            return None
        except (OSError, KeyError, ValueError, tarfile.TarError):
            shutil.rmtree(data, ignore_errors=True)
            archive.unlink(missing_ok=True)
            return None

    async def _furnish(self, applying: Applying, roots: Roots, name: str) -> None:
        """Apply what every cluster has, wait for what the controllers make, and keep it for the next."""
        await applying.kubectl("apply", "-f", "-", stdin=OBJECTS.read_text(encoding="utf-8"))
        await self._servers.until("every namespace has what it gets", applying.settled)
        await applying.api.ask("DELETE", "/api/v1/namespaces/default/events")  # of the programs' own start
        data = self._site.layout.seen(places.ETCD)

        async def make(path: Path) -> None:
            with template.standing_still(self._servers.pids("etcd")):
                await asyncio.to_thread(template.pack, data, roots.texts, path)

        await obtain(name, make)

    async def _start_network(self) -> None:
        """Addresses of Services, names, policies and metrics."""
        argv = (self._site.layout.python, "-m", "harness.substrates.network", "--kubeconfig", identities.HARNESS)
        await self._servers.start("network", argv, self._site.python_environment())

    async def _start_runtime(self, node: Node) -> None:
        argv = (
            *(self._site.layout.python, "-m", "harness.substrates.cri", "--socket", node.socket),
            *("--state", node.state, "--node", node.name, "--pods", node.pods),
            *("--images", *(self._site.layout.program(path) for path in self._images)),
        )
        await self._servers.start(self._powers[node.name].runtime, argv, self._site.python_environment())

    async def _join(self, api: Api, node: Node) -> None:
        """Tell the API server of the node, start its kubelet, and wait until it is ready."""
        answer = await api.ask("POST", "/api/v1/nodes", control_plane.node_object(node))
        if answer.status not in {201, 409}:
            raise SubstrateError(f"{node.name}: the API server refuses it: {answer.text}")
        socket = self._site.layout.seen(node.socket)
        await self._servers.until(f"{node.name} has a container runtime", lambda: _told(socket.exists()))
        argv = (self._site.layout.python, "-m", "harness.substrates.inside.unowned", *control_plane.kubelet(node))
        await self._servers.start(self._powers[node.name].kubelet, argv, self._site.python_environment())
        await self._servers.until(f"{node.name} is ready", lambda: _node_ready(api, node))

    def _write_kubeconfigs(self, roots: Roots, port: int) -> None:
        namespace = self._spec.namespace
        ours = identities.administrator(roots, f"https://127.0.0.1:{port}", namespace)
        self._kubeconfig.touch(mode=0o600)
        self._kubeconfig.write_text(ours, encoding="utf-8")
        operators = identities.administrator(roots, identities.ADVERTISED, namespace)
        self._site.own_file(places.OPERATORS, operators, self._site.users.operator, mode=0o600)

    def _write(self, files: Mapping[str, str]) -> None:
        for path, text in files.items():
            self._site.own_file(path, text, ROOT, mode=0o600)

    async def visit(self, argv: Sequence[str], *, folder: Path) -> int:
        """Run a person's own program in the cluster's network; `folder` (empty, host) is for what it needs."""
        config = self._site.layout.seen(places.OPERATORS).read_text(encoding="utf-8")
        return await visit(self._site, argv, folder=folder, kubeconfig=config)

    async def set_node(self, name: str, state: NodeState) -> None:
        """Bring a node down as if its power were cut, let it stand still, or have it up again; KeyError if there is none."""
        await self._powers[name].set(state)


def _made_of() -> Sequence[str]:
    """What the data of a new cluster comes from."""
    commands = (control_plane.etcd(), control_plane.api_server(), control_plane.controller_manager())
    return (OBJECTS.read_text(encoding="utf-8"), *(" ".join(command) for command in commands))


async def _answers(api: Api, path: str) -> bool:
    return (await api.ask("GET", path)).status == 200


async def _node_ready(api: Api, node: Node) -> bool:
    """Ready, and pods may come. What keeps them off until then is taken away here: the controllers would, but only when they are
    up, which is a second later."""
    path = f"/api/v1/nodes/{node.name}"
    found = await api.read(path, NodeObject)
    if found is None or Condition("Ready", "True") not in found.status.conditions:
        return False
    rest = tuple(taint for taint in found.spec.taints if taint["key"] != NOT_READY)
    if rest == found.spec.taints:
        return True
    patch = {"metadata": found.metadata, "spec": {"taints": rest}}  # refused if another changes it meanwhile
    return (await api.ask("PATCH", path, patch, content="application/merge-patch+json")).status == 200


async def _told(value: bool) -> bool:  # noqa: FBT001 - a condition that needs no waiting
    return value
