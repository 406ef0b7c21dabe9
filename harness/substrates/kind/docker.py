"""What is asked of Docker about kind's nodes and networks, through its own client, which kind needs as well. Not databases."""

import asyncio
import ipaddress
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness import execution
from harness.errors import SubstrateError
from harness.model.units import SECOND, Ns
from harness.ports import Completed
from harness.substrates.kind.configuration import MARK

CLUSTER = "io.x-k8s.kind.cluster"
ROLE = "io.x-k8s.kind.role"
"""kind's labels (pkg/cluster/constants)."""

OURS = "rundrill.kind"
"""The label of a network that was made for a cluster of ours."""

PATIENCE: Ns = 30 * SECOND
ROUNDS = 20
ATTEMPTS = 5
NETWORK = "KIND_EXPERIMENTAL_DOCKER_NETWORK"
"""The variable by which kind is told which network to use (pkg/cluster/internal/providers/docker)."""


class _Mount(msgspec.Struct, frozen=True, rename="pascal"):
    destination: str
    source: str = ""


class _Attached(msgspec.Struct, frozen=True):
    address: str = msgspec.field(name="IPAddress", default="")


class _Networks(msgspec.Struct, frozen=True, rename="pascal"):
    networks: dict[str, _Attached]


class _State(msgspec.Struct, frozen=True, rename="pascal"):
    status: str


class _Config(msgspec.Struct, frozen=True, rename="pascal"):
    labels: dict[str, str] | None = None


class Container(msgspec.Struct, frozen=True, rename="pascal"):
    """What `docker inspect` says of a node, as far as it matters."""

    name_: str = msgspec.field(name="Name")
    mounts: tuple[_Mount, ...]
    network_settings: _Networks
    state: _State
    config: _Config

    @property
    def name(self) -> str:
        """Its name, which is its node's too."""
        return self.name_.removeprefix("/")

    def bears(self, shared: Path) -> bool:
        """Whether it bears the mark of the room whose shared folder that is."""
        return any(mount.destination == MARK and mount.source == str(shared) for mount in self.mounts)

    @property
    def control_plane(self) -> bool:
        """Whether it is the control plane's node."""
        return (self.config.labels or {}).get(ROLE) == "control-plane"

    @property
    def address(self) -> str:
        """Its address on the cluster's network; "" while it is down."""
        return next((each.address for each in self.network_settings.networks.values()), "")


def environment() -> Mapping[str, str]:
    """What Docker's client and kind need of the harness's own environment."""
    wanted = ("PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "SSL_CERT_FILE")
    proxies = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
    return {
        name: value for name, value in os.environ.items() if name in (*wanted, *proxies) or name.startswith("DOCKER_")
    }


async def docker(*words: str, timeout: Ns = PATIENCE) -> Completed:
    """Run Docker's client to its end."""
    return await execution.run(("docker", *words), env=environment(), timeout=timeout)


async def done(*words: str, timeout: Ns = PATIENCE) -> str:
    """What Docker's client printed; SubstrateError with what it complained of."""
    ended = await docker(*words, timeout=timeout)
    if not ended.ok:
        why = ended.stderr.strip() or f"no answer within {timeout / SECOND:.0f} s"
        if (
            "nil pointer" in why
        ):  # what a client's own template comes upon where no daemon has told it anything (docker info)
            why = "Docker's daemon does not answer"
        raise SubstrateError(f"docker {' '.join(words[:2])}: {why}\n    is Docker up? try: docker version")
    return ended.stdout


async def root() -> str:
    """The folder in which the daemon keeps everything, as the daemon sees it; "" where it does not say."""
    return (await done("info", "--format", "{{.DockerRootDir}}")).strip()


async def nodes(cluster: str) -> Sequence[Container]:
    """The node containers of a kind cluster, up or not, the control plane's first; whoever made it."""
    found = (await done("ps", "-aq", "--filter", f"label={CLUSTER}={cluster}")).split()
    if not found:
        return ()
    containers = msgspec.json.decode(await done("inspect", *found), type=tuple[Container, ...])
    return sorted(containers, key=lambda each: (not each.control_plane, each.name))


class _Range(msgspec.Struct, frozen=True, rename="pascal"):
    subnet: str
    gateway: str = ""


class _Ipam(msgspec.Struct, frozen=True, rename="pascal"):
    config: tuple[_Range, ...]


class _Described(msgspec.Struct, frozen=True):
    ipam: _Ipam = msgspec.field(name="IPAM")


@dataclass(frozen=True, slots=True)
class Network:
    """A cluster's network: nodes have addresses of its first half, what we put in it those at its end."""

    name: str
    subnet: ipaddress.IPv4Network

    @property
    def gateway(self) -> str:
        """This machine's address on it."""
        return str(self.subnet[1])

    @property
    def nodes(self) -> str:
        """Where Docker takes addresses from."""
        return str(next(self.subnet.subnets()))

    def address(self, number: int) -> str:
        """The address of the thing of ours with that number, from 0 on."""
        return str(self.subnet[-10 - number])


async def network(cluster: str) -> Network:
    """The network of a cluster that is up."""
    (found,) = msgspec.json.decode(await done("network", "inspect", cluster), type=tuple[_Described, ...])
    ranges = [ipaddress.ip_network(each.subnet) for each in found.ipam.config]
    return Network(cluster, next(each for each in ranges if isinstance(each, ipaddress.IPv4Network)))


async def have_network(cluster: str) -> None:
    """Have a network of that name, ours. SubstrateError where there is one of somebody else's.

    Its range is one that Docker chose, given explicitly: only then may addresses be given to containers.
    """
    if cluster in await _networks(f"label={OURS}"):
        return
    if cluster in await _networks():
        raise SubstrateError(
            f"the Docker network {cluster!r}: expected none, or one that we made; found somebody else's\n"
            f"    remove it: docker network rm {cluster}"
        )
    for attempt in range(ATTEMPTS):
        await done("network", "create", "--label", f"{OURS}={cluster}", cluster)
        chosen = await network(cluster)
        await done("network", "rm", cluster)
        ours = ("--subnet", str(chosen.subnet), "--gateway", chosen.gateway, "--ip-range", chosen.nodes)
        made = await docker("network", "create", "--label", f"{OURS}={cluster}", *ours, cluster)
        if made.ok:
            return
        if attempt == ATTEMPTS - 1:  # each time somebody else was given that range in between
            raise SubstrateError(f"docker network create: {made.stderr.strip()}")


async def drop_network(cluster: str) -> None:
    """Remove it if it is ours, once what is still being removed has left it."""
    for _ in range(ROUNDS):
        if cluster not in await _networks(f"label={OURS}") or (await docker("network", "rm", cluster)).ok:
            return
        await asyncio.sleep(0.25)


async def _networks(*filters: str) -> Sequence[str]:
    words = [word for each in filters for word in ("--filter", each)]
    return (await done("network", "ls", "--format", "{{.Name}}", *words)).split()
