"""What pods and containers use, as CRI has it, and the watch over memory limits. Without cgroups both come from /proc: what
ended unwaited for between two looks is not counted, and a limit is kept to within a tenth of a second."""

import os
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from harness import clock
from harness.model.units import SECOND, Ns, milliseconds
from harness.substrates.cri import processes
from harness.substrates.cri import runtime_pb2 as cri
from harness.substrates.cri.births import Births
from harness.substrates.cri.container import Container
from harness.substrates.cri.containers import Containers
from harness.substrates.cri.sandboxes import Sandbox

WATCH: Ns = milliseconds(80)
"""How often memory limits are looked at, in ns."""

SAMPLE: Ns = 2 * SECOND
"""How often CPU time is looked at by itself, in ns."""

WINDOW: Ns = 10 * SECOND
"""What the rate of CPU time is the mean of, in ns."""

FRESH: Ns = 3 * SECOND
"""How long memory counts as it was seen: the kernel takes almost a millisecond for each process."""

SHORTEST: Ns = SECOND
"""What it is the mean of at least: the kernel counts in hundredths of a second."""

_KILL = 9
_NOTHING = processes.Memory(0, 0)


@dataclass(slots=True)
class _Use:
    """CPU time of one container as it was seen: the instant and the sum, both ns; never less than before. And its memory, when
    that was last looked at."""

    seen: deque[tuple[Ns, int]] = field(default_factory=deque)
    held: processes.Memory = _NOTHING
    held_at: Ns = -FRESH

    def add(self, at: Ns, total: int) -> None:
        self.seen.append((at, max(total, self.seen[-1][1] if self.seen else 0)))
        while len(self.seen) > 2 and self.seen[1][0] < at - WINDOW:
            self.seen.popleft()

    @property
    def total(self) -> int:
        return self.seen[-1][1] if self.seen else 0

    @property
    def rate(self) -> int:
        """In billionths of a CPU; 0 as long as it was seen for less than SHORTEST."""
        if not self.seen or self.seen[-1][0] - self.seen[0][0] < SHORTEST:
            return 0
        (first, least), (last, most) = self.seen[0], self.seen[-1]
        return (most - least) * SECOND // (last - first)


class Stats:
    """Watches the containers of one node."""

    def __init__(self, births: Births, containers: Containers) -> None:
        self._births = births
        self._containers = containers
        self._census = processes.Census()
        self._groups: Mapping[int, tuple[int, ...]] = {}
        self._uses: dict[str, _Use] = {}

    async def watch(self) -> None:
        """Keep memory limits and sample CPU time, until cancelled."""
        sampled = 0
        while True:
            began = clock.now()
            running = [container for container in self._containers.all() if container.running]
            due = began - sampled >= SAMPLE
            if due or any(container.limit for container in running):
                self._groups = self._census.take(anew=due)
            for container in running:
                self._limit(container)
            if due:
                sampled = began
                self._sample(running)
            await clock.sleep_until(began + WATCH)

    def _limit(self, container: Container) -> None:
        """Kill it if it has more memory than it may: the quick sum counts shared pages often, so it is only a suspicion."""
        group = self._groups.get(container.space, ())
        if not container.limit or container.oom_killed or processes.resident(group) <= container.limit:
            return
        if processes.memory(group).own > container.limit:
            container.oom_killed = True
            for pid in group:
                with suppress(ProcessLookupError):
                    os.kill(pid, _KILL)

    def _sample(self, running: Iterable[Container]) -> None:
        known = {container.id for container in self._containers.all()}
        self._uses = {key: use for key, use in self._uses.items() if key in known}
        for container in running:
            self._look(container, self._uses.setdefault(container.id, _Use()))

    def _look(self, container: Container, use: _Use) -> None:
        total = processes.cpu(self._groups.get(container.space, ())) + container.cpu_ns_of_the_ended
        use.add(clock.now(), total)

    def _weigh(self, container: Container, use: _Use) -> None:
        if clock.now() - use.held_at >= FRESH:
            use.held, use.held_at = processes.memory(self._groups.get(container.space, ())), clock.now()

    def refresh(self) -> None:
        """Look at who there is now, before several are asked about."""
        self._groups = self._census.take()

    def container(self, container: Container) -> cri.ContainerStats:
        """What a container uses."""
        at = clock.wall()
        use = self._uses.setdefault(container.id, _Use())
        if container.running:
            self._look(container, use)
            self._weigh(container, use)
        held = use.held if container.running else _NOTHING
        return cri.ContainerStats(
            attributes=cri.ContainerAttributes(
                id=container.id,
                metadata=container.config.metadata,
                labels=container.config.labels,
                annotations=container.config.annotations,
            ),
            cpu=_cpu(at, use.total, use.rate),
            memory=_memory(at, held, container.limit),
            writable_layer=_layer(at, container),
            swap=cri.SwapUsage(
                timestamp=at,
                swap_available_bytes=cri.UInt64Value(value=0),
                swap_usage_bytes=cri.UInt64Value(value=0),
            ),
        )

    def sandbox(self, sandbox: Sandbox) -> cri.PodSandboxStats:
        """What a pod uses: its containers and its network."""
        at = clock.wall()
        containers = [container for container in self._containers.of(sandbox) if container.running]
        parts = [self.container(container) for container in containers]
        held = processes.Memory(
            sum(part.memory.working_set_bytes.value for part in parts),
            sum(part.memory.rss_bytes.value for part in parts),
        )
        count = sum(len(self._groups.get(container.space, ())) for container in containers)
        cpu = _cpu(
            at,
            sum(part.cpu.usage_core_nano_seconds.value for part in parts),
            sum(part.cpu.usage_nano_cores.value for part in parts),
        )
        return cri.PodSandboxStats(
            attributes=cri.PodSandboxAttributes(
                id=sandbox.id,
                metadata=sandbox.config.metadata,
                labels=sandbox.config.labels,
                annotations=sandbox.config.annotations,
            ),
            linux=cri.LinuxPodSandboxStats(
                cpu=cpu,
                memory=_memory(at, held, 0),
                network=_network(at, sandbox),
                process=cri.ProcessUsage(timestamp=at, process_count=cri.UInt64Value(value=count)),
                containers=parts,
            ),
        )


def _cpu(at: int, total: int, rate: int) -> cri.CpuUsage:
    return cri.CpuUsage(
        timestamp=at,
        usage_core_nano_seconds=cri.UInt64Value(value=total),
        usage_nano_cores=cri.UInt64Value(value=rate),
    )


def _memory(at: int, held: processes.Memory, limit: int) -> cri.MemoryUsage:
    return cri.MemoryUsage(
        timestamp=at,
        working_set_bytes=cri.UInt64Value(value=held.used),
        available_bytes=cri.UInt64Value(value=max(0, limit - held.used)) if limit else None,
        usage_bytes=cri.UInt64Value(value=held.used),
        rss_bytes=cri.UInt64Value(value=held.own),
        page_faults=cri.UInt64Value(value=0),
        major_page_faults=cri.UInt64Value(value=0),
    )


def _layer(at: int, container: Container) -> cri.FilesystemUsage:
    """What it wrote outside its volumes: its root is a file system of its own, and so is what lies over the node's programs."""
    used = inodes = 0
    if container.born is not None and container.running:
        with suppress(OSError):
            for place in ("/", *_written_over(container.born.pid)):
                found = os.statvfs(f"/proc/{container.born.pid}/root{place}")
                used += (found.f_blocks - found.f_bfree) * found.f_frsize
                inodes += found.f_files - found.f_ffree
    return cri.FilesystemUsage(
        timestamp=at,
        fs_id=cri.FilesystemIdentifier(mountpoint="/"),
        used_bytes=cri.UInt64Value(value=used),
        inodes_used=cri.UInt64Value(value=inodes),
    )


def _written_over(pid: int) -> tuple[str, ...]:
    """One of a container's overlays, if any: what is written to all is in one file system (proc_pid_mountinfo(5))."""
    for line in Path(f"/proc/{pid}/mountinfo").read_text(encoding="utf-8").splitlines():
        if " - overlay " in line:
            return (line.split()[4],)
    return ()


def _network(at: int, sandbox: Sandbox) -> cri.NetworkUsage:
    """Its interfaces by /proc/net/dev of its holder (proc(5)): received bytes, …, errors in column 2, sent from column 8."""
    found = []
    if sandbox.ready and sandbox.address:
        with suppress(OSError):
            for line in Path(f"/proc/{sandbox.pid}/net/dev").read_text(encoding="ascii").splitlines()[2:]:
                name, _, numbers = line.partition(":")
                if name.strip() != "lo":
                    found.append(_interface(name.strip(), [int(number) for number in numbers.split()]))
    default = next((interface for interface in found if interface.name == "eth0"), None)
    return cri.NetworkUsage(timestamp=at, default_interface=default, interfaces=found)


def _interface(name: str, counts: list[int]) -> cri.NetworkInterfaceUsage:
    return cri.NetworkInterfaceUsage(
        name=name,
        rx_bytes=cri.UInt64Value(value=counts[0]),
        rx_errors=cri.UInt64Value(value=counts[2]),
        tx_bytes=cri.UInt64Value(value=counts[8]),
        tx_errors=cri.UInt64Value(value=counts[10]),
    )
