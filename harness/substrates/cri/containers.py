"""Containers from being created to being removed: started in their pod, their output logged, their end noticed."""

import asyncio
import os
import secrets
import signal
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress

from harness import clock
from harness.errors import SubstrateError
from harness.substrates.cri import containing, flows, processes
from harness.substrates.cri import runtime_pb2 as cri
from harness.substrates.cri.births import Births, Born, End
from harness.substrates.cri.container import Container
from harness.substrates.cri.images import Images
from harness.substrates.cri.logs import Log
from harness.substrates.cri.node import Node
from harness.substrates.cri.orders import OWN
from harness.substrates.cri.refusals import NotFoundError, NotNowError
from harness.substrates.cri.sandboxes import Sandbox

_NOT_STARTED = 128
"""Exit code of a container whose command could not be executed (containerd's)."""

_DRAINED_S = 1.0
_KILLED_S = 10.0
_SWEEPS, _SWEEP_S = 50, 0.02

Changed = Callable[[Container, cri.ContainerEventType], None]


class Containers:
    """The containers of one node. `changed` is told of each new state."""

    def __init__(self, births: Births, node: Node, images: Images, changed: Changed) -> None:
        self._births = births
        self._node = node
        self._images = images
        self._changed = changed
        self._all: dict[str, Container] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def all(self) -> Iterable[Container]:
        """Every container that was not removed."""
        return tuple(self._all.values())

    def of(self, sandbox: Sandbox) -> list[Container]:
        """Those of one pod."""
        return [container for container in self._all.values() if container.sandbox is sandbox]

    def get(self, key: str) -> Container:
        """The container of that id; NotFoundError."""
        if key not in self._all:
            raise NotFoundError(f'an error occurred when try to find container "{key}": not found')
        return self._all[key]

    def create(self, sandbox: Sandbox, config: cri.ContainerConfig) -> Container:
        """A container that can be started. NotFoundError without its image, NotNowError without its pod, InvalidError as
        containing says."""
        if not sandbox.ready:
            raise NotNowError(f'failed to create container in sandbox "{sandbox.id}": sandbox is not ready')
        image = self._images.find(config.image.image)
        if image is None:
            raise NotFoundError(f'failed to resolve image "{config.image.image}": not found')
        key = secrets.token_hex(32)
        container = Container(
            id=key,
            sandbox=sandbox,
            config=config,
            image=image,
            order=containing.order(self._node, sandbox.place, image, config, key=key),
            stop_signal=containing.stop_signal(image, config),
            created_at=clock.wall(),
        )
        self._all[key] = container
        self._changed(container, cri.CONTAINER_CREATED_EVENT)
        return container

    async def start(self, container: Container) -> None:
        """Start it. NotNowError if it was started before; SubstrateError with what kept it from starting: it has exited then."""
        if container.state != cri.CONTAINER_CREATED or container.log is not None:
            state = cri.ContainerState.Name(container.state)
            raise NotNowError(f'failed to start container "{container.id}": container is in {state} state')
        try:
            container.log = Log(container.log_path)
            await self._begin(container, container.log)
        except (SubstrateError, OSError) as error:
            self._fail(container, str(error))
            raise SubstrateError(container.message) from error
        self._changed(container, cri.CONTAINER_STARTED_EVENT)

    async def _begin(self, container: Container, log: Log) -> None:
        """Have it born on pipes of ours; what comes out of them is followed from then on."""
        if not container.sandbox.ready:
            raise SubstrateError(f"sandbox {container.sandbox.id} is not running")
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        stdin, ours = os.pipe2(os.O_CLOEXEC) if container.config.stdin and not container.config.tty else (null, None)
        pipes = {} if container.config.tty else {name: os.pipe2(os.O_CLOEXEC) for name in ("stdout", "stderr")}
        theirs = [stdin, *(pipe[1] for pipe in pipes.values())] if pipes else [null, null, null]
        try:
            born = await self._births.bear(container.order, theirs)
        except BaseException:
            for fd in (ours, *(pipe[0] for pipe in pipes.values())):
                if fd is not None:
                    os.close(fd)
            raise
        finally:
            for fd in {null, *theirs}:
                os.close(fd)
        sources = {name: pipe[0] for name, pipe in pipes.items()}
        if born.terminal is not None:
            sources, ours = {"stdout": born.terminal}, os.dup(born.terminal)
        container.born, container.stdin = born, ours
        container.space = processes.mount_namespace(born.pid)
        container.state, container.started_at = cri.CONTAINER_RUNNING, clock.wall()
        pumps = [self._task(self._pump(container, log, name, fd)) for name, fd in sources.items()]
        self._task(self._follow(container, log, born, pumps))

    def _task(self, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _pump(self, container: Container, log: Log, stream: str, source: int) -> None:
        """Write one stream to the log and to those attached; a slow one of these holds the container up, as elsewhere."""
        try:
            async for data in flows.chunks(source):
                log.write(stream, data)
                for listener in tuple(container.listeners):
                    await listener.put((stream, data))
        finally:
            os.close(source)
            log.end(stream)

    async def _follow(self, container: Container, log: Log, born: Born, pumps: list["asyncio.Task[None]"]) -> None:
        end = await born.ended
        finished = clock.wall()
        if container.order["pid"] != OWN:  # what shares a pid namespace with others is not ended by the kernel
            await _end_all(container.space)
        _, late = await asyncio.wait(pumps, timeout=_DRAINED_S)
        for pump in late:
            pump.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        log.close()
        if container.stdin is not None:
            os.close(container.stdin)
            container.stdin = None
        self._exit(container, end, finished)

    def _exit(self, container: Container, end: End, finished: int) -> None:
        container.state, container.finished_at, container.exit_code = cri.CONTAINER_EXITED, finished, end.status
        container.cpu_ns_of_the_ended += end.cpu_ns
        container.reason = "OOMKilled" if container.oom_killed else "Error" if end.status else "Completed"
        container.done.set()
        self._changed(container, cri.CONTAINER_STOPPED_EVENT)

    def _fail(self, container: Container, why: str) -> None:
        if container.log is not None:
            container.log.close()
        container.state = cri.CONTAINER_EXITED
        container.started_at = container.finished_at = clock.wall()
        container.exit_code, container.reason = _NOT_STARTED, "StartError"
        container.message = (
            "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
            f"unable to start container process: {why}: unknown"
        )
        container.done.set()
        self._changed(container, cri.CONTAINER_STOPPED_EVENT)

    async def stop(self, container: Container, grace_s: float) -> None:
        """Ask it to stop, and kill it `grace_s` seconds later. SubstrateError if even that does not end it."""
        if not container.running:
            return
        if grace_s > 0:
            self._births.signal(container.id, container.stop_signal)
            with suppress(TimeoutError):
                await asyncio.wait_for(container.done.wait(), grace_s)
        if container.running:
            await self.kill(container)

    async def kill(self, container: Container) -> None:
        """End it now. SubstrateError if it is still there some seconds later."""
        self._births.signal(container.id, signal.SIGKILL)
        try:
            await asyncio.wait_for(container.done.wait(), _KILLED_S)
        except TimeoutError as error:
            raise SubstrateError(f'failed to kill container "{container.id}": it does not end') from error

    async def remove(self, container: Container) -> None:
        """Forget it; if it runs, it is killed first."""
        if container.running:
            await self.kill(container)
        if self._all.pop(container.id, None):
            self._changed(container, cri.CONTAINER_DELETED_EVENT)

    def update(self, container: Container, resources: cri.LinuxContainerResources) -> None:
        """Give it other limits from now on; fields that are not set stay as they are."""
        container.config.linux.resources.MergeFrom(resources)

    def reopen(self, container: Container) -> None:
        """Go on in a new log file. NotNowError if it does not run."""
        if not container.running or container.log is None:
            raise NotNowError("container is not running")
        container.log.reopen()


async def _end_all(space: int) -> None:
    for _ in range(_SWEEPS):
        left = processes.members(space)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not left:
            return
        await asyncio.sleep(_SWEEP_S)
