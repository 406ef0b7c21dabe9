"""One container: what it is, the state it is in, and what CRI says of it. Not how it gets there: that is `containers`."""

import asyncio
from dataclasses import dataclass, field

from harness.substrates.cri import runtime_pb2 as cri
from harness.substrates.cri.births import Born
from harness.substrates.cri.images import Image
from harness.substrates.cri.logs import Log
from harness.substrates.cri.orders import Container as Order
from harness.substrates.cri.sandboxes import Sandbox

Output = tuple[str, bytes]
"""`stdout` or `stderr`, and bytes of it."""


@dataclass(slots=True)
class Container:
    """A container in one state. Times are wall-clock ns; `space` is its mount namespace (an inode number), by which its
    processes are known; `stdin` is what its standard input is written to (with a terminal, the terminal's master);
    `listeners` are those attached; `done` is set when it has exited and its log is complete."""

    id: str
    sandbox: Sandbox
    config: cri.ContainerConfig
    image: Image
    order: Order
    stop_signal: int
    created_at: int
    state: cri.ContainerState = cri.CONTAINER_CREATED
    started_at: int = 0
    finished_at: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    oom_killed: bool = False
    born: Born | None = None
    space: int = 0
    stdin: int | None = None
    log: Log | None = None
    cpu_ns_of_the_ended: int = 0
    listeners: set["asyncio.Queue[Output]"] = field(default_factory=set)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def running(self) -> bool:
        """Whether its first process is there."""
        return self.state == cri.CONTAINER_RUNNING

    @property
    def limit(self) -> int:
        """Its memory limit in bytes; 0 is none."""
        return self.config.linux.resources.memory_limit_in_bytes

    @property
    def log_path(self) -> str:
        """Where the kubelet wants its log; "" is nowhere."""
        folder = self.sandbox.config.log_directory
        return f"{folder}/{self.config.log_path}" if folder and self.config.log_path else ""

    def item(self) -> cri.Container:
        """What CRI lists of it."""
        return cri.Container(
            id=self.id,
            pod_sandbox_id=self.sandbox.id,
            metadata=self.config.metadata,
            image=self.config.image,
            image_ref=self.image.digest,
            state=self.state,
            created_at=self.created_at,
            labels=self.config.labels,
            annotations=self.config.annotations,
            image_id=self.image.id,
        )

    def status(self) -> cri.ContainerStatus:
        """What CRI says of it."""
        user = self.order["user"]
        return cri.ContainerStatus(
            id=self.id,
            metadata=self.config.metadata,
            state=self.state,
            created_at=self.created_at,
            started_at=self.started_at,
            finished_at=self.finished_at,
            exit_code=self.exit_code,
            image=cri.ImageSpec(image=self.image.tag),
            image_ref=self.image.digest,
            reason=self.reason,
            message=self.message,
            labels=self.config.labels,
            annotations=self.config.annotations,
            mounts=self.config.mounts,
            log_path=self.log_path,
            resources=cri.ContainerResources(linux=self.config.linux.resources),
            image_id=self.image.id,
            user=cri.ContainerUser(
                linux=cri.LinuxContainerUser(uid=user["uid"], gid=user["gid"], supplemental_groups=[user["gid"]])
            ),
            stop_signal=self.config.stop_signal,
        )
