"""One container runtime from start to end: its parts are put together, served, and taken down."""

import asyncio
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import grpc

from harness import clock, execution
from harness.errors import RundrillError
from harness.model.units import SECOND
from harness.substrates.cri import images, node, server
from harness.substrates.cri import runtime_pb2 as cri
from harness.substrates.cri.births import Births
from harness.substrates.cri.commands import Commands
from harness.substrates.cri.container import Container
from harness.substrates.cri.containers import Containers
from harness.substrates.cri.events import Events
from harness.substrates.cri.image_service import ImageService
from harness.substrates.cri.runtime_service import RuntimeService
from harness.substrates.cri.sandboxes import Sandboxes, status
from harness.substrates.cri.stats import Stats
from harness.substrates.cri.streaming import Streaming

_PATIENCE = 5 * SECOND


@dataclass(frozen=True, slots=True)
class Options:
    """What it is told on the command line: `pods` is a CIDR, `streaming` an address of this machine."""

    socket: Path
    state: Path
    node: str
    pods: str
    images: tuple[Path, ...]
    streaming: str


def run(control: socket.socket, options: Options) -> int:
    """Serve until SIGTERM or SIGINT, or until the zygote has ended; the exit status."""
    try:
        return asyncio.run(_serve(control, options))
    except (RundrillError, OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 4


async def _serve(control: socket.socket, options: Options) -> int:
    births = Births(control)
    here = node.survey(options.node, options.state, applets=await _applets())
    events = Events()

    def changed(container: Container, kind: cri.ContainerEventType) -> None:
        events.tell(
            cri.ContainerEventResponse(
                container_id=container.id,
                container_event_type=kind,
                created_at=clock.wall(),
                pod_sandbox_status=status(container.sandbox),
                containers_statuses=[each.status() for each in containers.of(container.sandbox)],
            )
        )

    known = images.Images(images.load(options.images))
    sandboxes = Sandboxes(births, here, options.pods)
    containers = Containers(births, here, known, changed)
    commands = Commands(births, containers, sandboxes)
    stats = Stats(births, containers)
    streaming = Streaming(commands)
    await streaming.start(options.streaming)
    grpc_server = grpc.aio.server()
    services = cri.DESCRIPTOR.services_by_name
    runtime = RuntimeService(
        sandboxes=sandboxes, containers=containers, commands=commands, stats=stats, streaming=streaming, events=events
    )
    grpc_server.add_generic_rpc_handlers(
        (
            server.handlers(services["RuntimeService"], runtime),
            server.handlers(services["ImageService"], ImageService(known, options.state)),
        )
    )
    server.bind(grpc_server, options.socket)
    await grpc_server.start()
    watching = asyncio.ensure_future(stats.watch())
    try:
        return await _until_over(births, watching)
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await watching
        await grpc_server.stop(None)
        await streaming.close()
        births.close()
        options.socket.unlink(missing_ok=True)


async def _applets() -> Sequence[str]:
    """The commands of the machine's busybox; none if it has none."""
    if not (program := execution.find("busybox")):
        return ()
    done = await execution.run((program, "--list"), env={}, timeout=_PATIENCE)
    return done.stdout.split() if done.ok else ()


async def _until_over(births: Births, watching: "asyncio.Future[None]") -> int:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    ends = [asyncio.ensure_future(told.wait()), asyncio.ensure_future(births.over.wait())]
    watching.add_done_callback(lambda _: told.set())
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for end in ends:
        end.cancel()
    if watching.done():
        watching.result()
    return 0 if told.is_set() else 4
