"""What a client of the streaming server may ask for, and what the runtime answers it with: the seam between the two.

Not the protocols of the wire: those are harness.substrates.cri.spdy and its neighbours.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Size:
    """A terminal's size, in characters."""

    columns: int
    rows: int


@dataclass(frozen=True, slots=True)
class Exec:
    """A command to be run in a container (CRI ExecRequest). With `tty` there is no stderr of its own."""

    container: str
    command: tuple[str, ...]
    tty: bool
    stdin: bool
    stdout: bool
    stderr: bool


@dataclass(frozen=True, slots=True)
class Attach:
    """A container whose own input and output are wanted (CRI AttachRequest)."""

    container: str
    tty: bool
    stdin: bool
    stdout: bool
    stderr: bool


@dataclass(frozen=True, slots=True)
class PortForward:
    """Connections into a sandbox's network namespace (CRI PortForwardRequest). The client names the port of each."""

    sandbox: str
    ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Stdio:
    """A session's ends of three pipes, blocking; None is a stream that the client did not ask for.

    They are the server's: it closes them when the call that was given them returns. The reading end of `stdin` ends when the
    client half-closes or goes; writing to `stdout` and `stderr` is a broken pipe once the client has gone. Who hands them to
    a process does so by duplicating them. They are pipes, never a terminal: with `tty` the runtime makes the terminal, and
    copies between its master and these (`stderr` is None then).
    """

    stdin: int | None
    stdout: int | None
    stderr: int | None


class Sessions(Protocol):
    """What the runtime does for the streaming server's clients. SubstrateError says why something cannot be done; the
    client is told its words as Kubernetes words an internal error."""

    async def exec(
        self, container: str, command: tuple[str, ...], *, tty: bool, stdio: Stdio, resize: AsyncIterator[Size]
    ) -> int:
        """Run a command in a container to its end; its exit code, 128+n for signal n.

        `resize` gives the terminal's sizes as the client changes them, and ends with the client; without `tty` it is empty.
        A client that goes ends the descriptors, not this call: the command runs on, as with other runtimes. It is
        cancelled when the server is closed.
        """
        ...

    async def attach(self, container: str, *, tty: bool, stdio: Stdio, resize: AsyncIterator[Size]) -> None:
        """Copy between the descriptors and a container's own streams until it has ended. Cancelled when the client goes."""
        ...

    async def connect(self, sandbox: str, address: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to an address (IPv4 or IPv6) in a sandbox's network namespace. OSError as the kernel gives it."""
        ...
