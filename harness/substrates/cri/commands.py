"""What is done in containers that run: commands, attaching to their streams, connections into their pods' networks.

Fulfils sessions.Sessions.
"""

import asyncio
import fcntl
import os
import secrets
import signal
import socket
import struct
import termios
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any

from harness.errors import SubstrateError
from harness.substrates.cri import flows
from harness.substrates.cri import runtime_pb2 as cri
from harness.substrates.cri.births import Births, Born
from harness.substrates.cri.container import Container, Output
from harness.substrates.cri.containers import Containers
from harness.substrates.cri.orders import Command
from harness.substrates.cri.refusals import InvalidError, NotNowError, TooLateError
from harness.substrates.cri.sandboxes import Sandboxes
from harness.substrates.cri.sessions import Size, Stdio
from harness.substrates.inside import kernel

MOST_OUTPUT = 16 * 1024 * 1024
"""Bytes of each stream that ExecSync answers with (api.proto)."""

_DRAINED_S = 1.0
_WAITING = 64


class Commands:
    """Commands in the containers of one node."""

    def __init__(self, births: Births, containers: Containers, sandboxes: Sandboxes) -> None:
        self._births = births
        self._containers = containers
        self._sandboxes = sandboxes

    async def exec_sync(self, container: Container, argv: Sequence[str], timeout_s: float) -> cri.ExecSyncResponse:
        """Run a command to its end, or kill it after `timeout_s` seconds (0: never) and raise TooLateError."""
        pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(2)]
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            born = await self._bear(container, argv, (null, pipes[0][1], pipes[1][1]))
        except BaseException:
            for source, _ in pipes:
                os.close(source)
            raise
        finally:
            for fd in (null, *(sink for _, sink in pipes)):
                os.close(fd)
        texts = [bytearray(), bytearray()]
        outputs = [
            asyncio.ensure_future(flows.collect(source, text, MOST_OUTPUT))
            for (source, _), text in zip(pipes, texts, strict=True)
        ]
        try:
            status = await self._ended(container, born, timeout_s)
            await asyncio.wait(outputs, timeout=_DRAINED_S)
        finally:
            await _cancel(outputs)
            for source, _ in pipes:
                os.close(source)
        return cri.ExecSyncResponse(stdout=bytes(texts[0]), stderr=bytes(texts[1]), exit_code=status)

    async def exec(
        self, container: str, command: tuple[str, ...], *, tty: bool, stdio: Stdio, resize: AsyncIterator[Size]
    ) -> int:
        """Run a command on a client's descriptors to its end; its exit code. SubstrateError if it cannot be started."""
        target = self._containers.get(container)
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        given = () if tty else (stdio.stdin, stdio.stdout, stdio.stderr)
        try:
            fds = [null if fd is None else fd for fd in given] or [null, null, null]
            born = await self._bear(target, command, fds, terminal=tty)
        finally:
            os.close(null)
        if born.terminal is None:
            return await self._ended(target, born, 0)
        copying = [asyncio.ensure_future(flows.copy(born.terminal, stdio.stdout))] if stdio.stdout is not None else []
        others = [asyncio.ensure_future(_resize(born.terminal, resize))]
        if stdio.stdin is not None:
            others.append(asyncio.ensure_future(flows.copy(stdio.stdin, born.terminal)))
        try:
            status = await self._ended(target, born, 0)
            if copying:
                await asyncio.wait(copying, timeout=_DRAINED_S)
            return status
        finally:
            await _cancel([*copying, *others])
            os.close(born.terminal)

    async def _bear(
        self, container: Container, argv: Sequence[str], stdio: Sequence[int], *, terminal: bool = False
    ) -> Born:
        if not container.running:
            raise NotNowError(f"container is in {cri.ContainerState.Name(container.state)} state")
        if not argv:
            raise InvalidError("failed to exec in container: no command specified")
        order = container.order
        command = Command(
            do="command",
            key=secrets.token_hex(32),
            container=container.id,
            argv=list(argv),
            env={**order["env"], "TERM": "xterm"} if terminal else order["env"],
            cwd=order["cwd"],
            user=order["user"],
            terminal=terminal,
            oom_score_adj=order["oom_score_adj"],
        )
        try:
            return await self._births.bear(command, stdio)
        except SubstrateError as error:
            raise SubstrateError(
                f'failed to exec in container: failed to start exec "{command["key"]}": OCI runtime exec failed: '
                f"exec failed: unable to start container process: {error}: unknown"
            ) from error

    async def _ended(self, container: Container, born: Born, timeout_s: float) -> int:
        done, _ = await asyncio.wait([born.ended], timeout=timeout_s or None)
        if not done:
            self._births.signal(born.key, signal.SIGKILL)
            await asyncio.wait([born.ended], timeout=_DRAINED_S)
            raise TooLateError(
                f"failed to exec in container: timeout {timeout_s:g}s exceeded: context deadline exceeded"
            )
        end = born.ended.result()
        container.cpu_ns_of_the_ended += end.cpu_ns
        return end.status

    async def attach(self, container: str, *, tty: bool, stdio: Stdio, resize: AsyncIterator[Size]) -> None:
        """Copy between a client's descriptors and a container's streams until it has ended, or until the client's input has,
        where others may attach after it (containerd's ContainerIO.Attach). NotNowError if it does not run."""
        target = self._containers.get(container)
        if not target.running:
            raise NotNowError(f"container is in {cri.ContainerState.Name(target.state)} state")
        listener: asyncio.Queue[Output] = asyncio.Queue(_WAITING)
        target.listeners.add(listener)
        others = []
        ends: list[asyncio.Future[Any]] = [asyncio.ensure_future(target.done.wait())]
        if stdio.stdin is not None and target.stdin is not None:
            others.append(asyncio.ensure_future(_feed(target, stdio.stdin)))
            ends += [] if _for_once(target) else others
        if tty and target.stdin is not None:
            others.append(asyncio.ensure_future(_resize(target.stdin, resize)))
        try:
            await _relay(listener, {"stdout": stdio.stdout, "stderr": stdio.stderr}, ends=ends)
        finally:
            target.listeners.discard(listener)
            while not listener.empty():
                listener.get_nowait()  # the container may be waiting for room in it
            await _cancel([*others, *ends])

    async def connect(self, sandbox: str, address: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to an address (IPv4 or IPv6) in a pod's network namespace. OSError as the kernel gives it."""
        pid = self._sandboxes.get(sandbox).pid
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = await asyncio.to_thread(_socket_of, pid, family)
        sock.setblocking(False)  # noqa: FBT003 - the library's signature
        try:
            await asyncio.get_running_loop().sock_connect(sock, (address, port))
            return await asyncio.open_connection(sock=sock)
        except BaseException:
            sock.close()
            raise


async def _cancel(tasks: Sequence["asyncio.Future[Any]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _relay(
    listener: "asyncio.Queue[Output]", sinks: dict[str, int | None], *, ends: Sequence["asyncio.Future[Any]"]
) -> None:
    """Copy what a container says until one of `ends` has come and nothing is left."""
    try:
        while not (any(end.done() for end in ends) and listener.empty()):
            coming = asyncio.ensure_future(listener.get())
            await asyncio.wait([*ends, coming], return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                coming.cancel()
                continue
            stream, data = coming.result()
            sink = sinks[stream]
            if sink is not None:
                await flows.write(sink, data)
    except OSError:
        return  # the client has gone


def _for_once(container: Container) -> bool:
    """Whether the end of one client's input is the end of the container's."""
    return container.config.stdin_once and not container.config.tty


async def _feed(container: Container, source: int) -> None:
    """Copy a client's input to a container's; where it is to be read once only, its end is the container's."""
    if container.stdin is None:
        return
    own = os.dup(container.stdin)
    try:
        await flows.copy(source, own)
        if _for_once(container) and container.stdin is not None:
            os.close(container.stdin)
            container.stdin = None
    finally:
        os.close(own)


async def _resize(terminal: int, sizes: AsyncIterator[Size]) -> None:
    async for size in sizes:
        with suppress(OSError):
            fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", size.rows, size.columns, 0, 0))


def _socket_of(pid: int, family: socket.AddressFamily) -> socket.socket:
    """A TCP socket of a process's network namespace, made in a thread that ends there: this one stays where it is."""
    made: list[socket.socket] = []
    trouble: list[OSError] = []

    def there() -> None:
        try:
            space = os.pidfd_open(pid)
            try:
                kernel.enter(space, kernel.CLONE_NEWNET)
                made.append(socket.socket(family, socket.SOCK_STREAM))
            finally:
                os.close(space)
        except OSError as error:
            trouble.append(error)

    thread = threading.Thread(target=there)
    thread.start()
    thread.join()
    if trouble:
        raise trouble[0]
    return made[0]
