"""What the proxy itself asks the daemon: whose a container, a network, a volume or an exec is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import SubstrateError
from harness.substrates import labels
from harness.substrates.docker_proxy.routes import Kind, RefusedError
from harness.substrates.docker_proxy.wire import CHUNK, LARGEST_HEAD, WireError, all_of, body, encode_head, read_head

PATIENCE_S = 30
"""Seconds that the daemon may take to say whose something is."""

LARGEST = 1 << 24


class _Settings(msgspec.Struct, rename="pascal"):
    labels: dict[str, str] | None = None


class Seen(msgspec.Struct, rename="pascal"):
    """What the daemon tells of a thing, as far as it matters here. Volumes have no id but their name."""

    id: str = msgspec.field(name="Id", default="")
    name: str = ""
    labels: dict[str, str] | None = None
    config: _Settings | None = None
    container_id: str = msgspec.field(name="ContainerID", default="")

    @property
    def marks(self) -> dict[str, str]:
        """Its labels."""
        return self.labels or (self.config.labels if self.config else None) or {}


class Daemon:
    """The Docker daemon behind a Unix socket, asked by one connection a question."""

    def __init__(self, docker: Path, environment: str) -> None:
        self._docker = docker
        self._environment = environment

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection. RefusedError (502) if nobody answers."""
        try:
            return await asyncio.open_unix_connection(str(self._docker), limit=LARGEST_HEAD)
        except OSError as error:
            raise RefusedError(f"the Docker daemon does not answer at {self._docker}: {error}", 502) from error

    async def own(self, kind: Kind, name: str) -> str:
        """The id of what is the environment's under that name. RefusedError (404) if there is none."""
        seen = await self.seen(kind, name)
        if kind is Kind.EXEC:
            await self.own(Kind.CONTAINER, seen.container_id)
            return seen.id or name
        if seen.marks.get(labels.ENVIRONMENT) != self._environment:
            word = kind.name.lower()
            raise RefusedError(f"No such {word}: {name} (the drill shows what is of {self._environment} alone)", 404)
        return seen.id or seen.name

    async def seen(self, kind: Kind, name: str) -> Seen:
        """What the daemon tells of it, whoever's it is. RefusedError, with its status and words, if it does not."""
        status, said = await self._get(kind.value.format(name))
        try:
            if status != 200:
                raise RefusedError(str(msgspec.json.decode(said, type=dict[str, Any]).get("message")), status)
            return msgspec.json.decode(said, type=Seen)
        except msgspec.DecodeError as error:
            raise RefusedError(f"the Docker daemon's words on {name} are not understood: {error}", 502) from error

    async def _get(self, path: str) -> tuple[int, bytes]:
        reader, writer = await self.connect()
        try:
            async with asyncio.timeout(PATIENCE_S):
                writer.write(encode_head(f"GET {path} HTTP/1.1", (("Host", "docker"), ("Connection", "close"))))
                head = await read_head(reader)
                if head is None:
                    raise RefusedError("the Docker daemon ended the connection", 502)
                framed = head.value("transfer-encoding") or head.value("content-length")
                pieces = body(head, reader) if framed else _rest(reader)
                return int(head.first[1]), await all_of(pieces, LARGEST)
        except (TimeoutError, OSError, WireError, ValueError) as error:
            raise RefusedError(f"the Docker daemon did not say what {path} is: {error}", 502) from error
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def _rest(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while piece := await reader.read(CHUNK):
        yield piece


async def marks_of(daemon: Daemon, network: str) -> dict[str, str]:
    """The run's labels of a network, for all that will be made in it. SubstrateError if it is not there or not marked."""
    try:
        seen = await daemon.seen(Kind.NETWORK, network)
    except RefusedError as error:
        raise SubstrateError(f"the network {network}: {error}") from error
    return {name: value for name, value in seen.marks.items() if name.startswith("rundrill.")}
