"""Pods: sets of namespaces that a holder process keeps, with an address, and the files that say who and where they are."""

import asyncio
import ipaddress
import secrets
import shutil
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from harness import clock
from harness.errors import SubstrateError
from harness.substrates.cri import runtime_pb2 as cri
from harness.substrates.cri.births import Births, Born
from harness.substrates.cri.containing import HOSTNAME, HOSTS, RESOLV, Place
from harness.substrates.cri.node import Node
from harness.substrates.cri.orders import Holder
from harness.substrates.cri.refusals import NotFoundError
from harness.substrates.network import links

_ENDING_S = 5.0
_SYSCTLS = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 0"}
"""As containerd has them: any user of a container may serve port 80, and ping."""


@dataclass(slots=True)
class Sandbox:
    """One pod. `address` is empty for a pod in the node's network; `link` is its end of the link there."""

    id: str
    config: cri.PodSandboxConfig
    handler: str
    created_at: int
    place: Place
    address: str = ""
    link: str = ""
    holder: Born | None = None
    stopping: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def ready(self) -> bool:
        """Whether its namespaces are there."""
        return self.holder is not None and not self.holder.ended.done()

    @property
    def state(self) -> cri.PodSandboxState:
        """As CRI has it."""
        return cri.SANDBOX_READY if self.ready else cri.SANDBOX_NOTREADY

    @property
    def pid(self) -> int:
        """The holder's pid. SubstrateError if it has ended."""
        if self.holder is None or not self.ready:
            raise SubstrateError(f"sandbox {self.id} is not running")
        return self.holder.pid


class Addresses:
    """The addresses of a node's pods: each is given again as late as possible."""

    def __init__(self, network: str) -> None:
        self._hosts = [str(host) for host in ipaddress.IPv4Network(network).hosts()][1:]
        self._taken: set[str] = set()
        self._next = self._turns()

    def _turns(self) -> Iterator[str]:
        while True:
            yield from self._hosts

    def take(self) -> str:
        """One that nobody has. SubstrateError if all are taken."""
        for _ in self._hosts:
            if (found := next(self._next)) not in self._taken:
                self._taken.add(found)
                return found
        raise SubstrateError(f"no address is left of the {len(self._hosts)} of this node")

    def give_back(self, address: str) -> None:
        """Nobody has it any more."""
        self._taken.discard(address)


class Sandboxes:
    """The pods of one node."""

    def __init__(self, births: Births, node: Node, network: str) -> None:
        self._births = births
        self._node = node
        self._addresses = Addresses(network)
        self._all: dict[str, Sandbox] = {}

    def all(self) -> Iterable[Sandbox]:
        """Every pod that was not removed."""
        return tuple(self._all.values())

    def get(self, key: str) -> Sandbox:
        """The pod of that id; NotFoundError."""
        if key not in self._all:
            raise NotFoundError(f'an error occurred when try to find sandbox "{key}": not found')
        return self._all[key]

    async def run(self, config: cri.PodSandboxConfig, handler: str) -> Sandbox:
        """Make a pod and have it connected. SubstrateError if that fails, with nothing left of it."""
        key = secrets.token_hex(32)
        options = config.linux.security_context.namespace_options
        private = options.network != cri.NODE
        hostname = (config.hostname or key[:12]) if private else self._node.name
        sandbox = Sandbox(
            id=key, config=config, handler=handler, created_at=clock.wall(),
            place=Place(key, self._node.folder(key), hostname),
        )  # fmt: skip
        self._write_files(sandbox)
        order = Holder(
            do="holder",
            key=key,
            hostname=hostname,
            network=private,
            ipc=options.ipc != cri.NODE,
            sysctls={**_SYSCTLS, **config.linux.sysctls},
            proc=str(self._node.state / "proc"),
            program=() if options.pid == cri.POD else self._node.idle,
        )
        try:
            await self._connect(sandbox, order)
        except BaseException as error:
            await asyncio.shield(self._end(sandbox))
            shutil.rmtree(sandbox.place.folder, ignore_errors=True)
            if isinstance(error, SubstrateError | OSError):
                raise SubstrateError(f'failed to setup network for sandbox "{key}": {error}') from error
            raise
        self._all[key] = sandbox
        return sandbox

    async def _connect(self, sandbox: Sandbox, order: Holder) -> None:
        holder = sandbox.holder = await self._births.bear(order)
        if order["network"]:
            sandbox.address, sandbox.link = self._addresses.take(), f"pod{sandbox.id[:11]}"
            await asyncio.to_thread(links.connect, holder.pid, address=sandbox.address, name=sandbox.link)

    def _write_files(self, sandbox: Sandbox) -> None:
        folder, config = sandbox.place.folder, sandbox.config
        (folder / "shm").mkdir(parents=True)
        (folder / "shm").chmod(0o1777)
        (folder / HOSTNAME).write_text(f"{sandbox.place.hostname}\n", encoding="utf-8")
        (folder / HOSTS).write_text("127.0.0.1\tlocalhost\n", encoding="utf-8")
        (folder / RESOLV).write_text(resolver(config.dns_config), encoding="utf-8")

    async def stop(self, sandbox: Sandbox) -> None:
        """End its namespaces and give its address back. Its containers have been stopped before."""
        async with sandbox.stopping:
            await self._end(sandbox)

    async def _end(self, sandbox: Sandbox) -> None:
        if sandbox.link:
            with suppress(OSError):
                await asyncio.to_thread(links.disconnect, sandbox.link)
        if sandbox.holder is not None and sandbox.ready:
            self._births.signal(sandbox.id, signal.SIGKILL)
            await asyncio.wait([sandbox.holder.ended], timeout=_ENDING_S)
        if sandbox.address:
            self._addresses.give_back(sandbox.address)
            sandbox.address = sandbox.link = ""

    def remove(self, sandbox: Sandbox) -> None:
        """Forget it and its files."""
        self._all.pop(sandbox.id, None)
        shutil.rmtree(sandbox.place.folder, ignore_errors=True)


def resolver(dns: cri.DNSConfig) -> str:
    """resolv.conf as the kubelet wants it."""
    lines = [f"search {' '.join(dns.searches)}"] if dns.searches else []
    lines += [f"nameserver {server}" for server in dns.servers]
    lines += [f"options {' '.join(dns.options)}"] if dns.options else []
    return "\n".join((*lines, ""))


def status(sandbox: Sandbox) -> cri.PodSandboxStatus:
    """What CRI says of a pod."""
    return cri.PodSandboxStatus(
        id=sandbox.id,
        metadata=sandbox.config.metadata,
        state=sandbox.state,
        created_at=sandbox.created_at,
        network=cri.PodSandboxNetworkStatus(ip=sandbox.address),
        linux=cri.LinuxPodSandboxStatus(
            namespaces=cri.Namespace(options=sandbox.config.linux.security_context.namespace_options)
        ),
        labels=sandbox.config.labels,
        annotations=sandbox.config.annotations,
        runtime_handler=sandbox.handler,
    )
