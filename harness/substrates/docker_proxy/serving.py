"""The socket that the operator's `docker` and `docker-compose` are given: requests are decided, rewritten, handed on or refused.

One request a connection: what is not decided here never reaches the daemon behind what was.
"""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import msgspec

from harness.errors import SubstrateError
from harness.substrates import labels
from harness.substrates.docker_proxy import containers, documents
from harness.substrates.docker_proxy.asking import Daemon, marks_of
from harness.substrates.docker_proxy.documents import Document, Json, Place, Safe, read
from harness.substrates.docker_proxy.relaying import encoded, let_go, refuse, relay
from harness.substrates.docker_proxy.routes import Body, Does, Kind, RefusedError, Wanted, find, refused
from harness.substrates.docker_proxy.wire import LARGEST_HEAD, Head, WireError, all_of, body, read_head

LARGEST_DOCUMENT = 1 << 20
PATIENCE_S = 30
"""Seconds that a client may take to say what it wants."""


@asynccontextmanager
async def serve(path: Path, *, docker: Path, environment: str, project: str, network: str) -> AsyncIterator[None]:
    """Serve a Unix socket at `path` in front of the daemon's at `docker`, while the context lasts.

    What bears the label `rundrill.environment=<environment>` is the operator's: containers, networks and volumes. What they
    create gets that label (and the others that begin with `rundrill.` of `network`), joins `network`, which has to exist,
    and is refused if it would reach the host. A compose project is the operator's if it is called `project`. The socket may be
    used by everybody who sees it: put it where only the operator does. SubstrateError if it cannot be served.
    """
    daemon = Daemon(docker, environment)
    marks = {**await marks_of(daemon, network), labels.ENVIRONMENT: environment}
    door = Door(daemon, Place(marks, project, network))
    with _listener(path) as listener:
        server = await asyncio.start_unix_server(door.accepted, sock=listener, limit=LARGEST_HEAD)
        try:
            yield
        finally:
            server.close()
            await door.close()


@contextmanager
def _listener(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            listener.bind(str(path))
        except OSError as error:
            raise SubstrateError(f"{path}: no Docker socket can be served there: {error}") from error
        try:
            path.chmod(0o666)  # whoever sees it is the operator
            yield listener
        finally:
            path.unlink(missing_ok=True)


class Door:
    """The connections that are open."""

    def __init__(self, daemon: Daemon, place: Place) -> None:
        self._daemon = daemon
        self._place = place
        self._tasks: set[asyncio.Task[None]] = set()

    def accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a client from now on."""
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Let go of every client."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, TimeoutError):
                await self._answer(reader, writer)
                await let_go(reader, writer)
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                head = await read_head(reader)
            if head is None:
                return
            method, target, _ = head.first
            wanted = find(method, target)
            if head.value("expect").lower() == "100-continue":
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request = await self._request(wanted, head, reader)
            there, onward = await self._daemon.connect()
        except (RefusedError, WireError) as error:
            await refuse(writer, error)
            return
        try:
            onward.write(request)
            await relay(wanted, head, client=(reader, writer), daemon=(there, onward))
        except WireError as error:
            await refuse(writer, error)
        finally:
            onward.close()

    async def _request(self, wanted: Wanted, head: Head, reader: asyncio.StreamReader) -> bytes:
        """The request to hand on: made anew of what was understood. RefusedError if it may not be."""
        path = wanted.path("")
        query = wanted.query
        content = b""
        match wanted.route.does:
            case Does.HAND_ON:
                path = wanted.path(wanted.name)
            case Does.LIST:
                query = self._filtered(query)
            case Does.REACH if wanted.kind:
                path = wanted.path(await self._reached(wanted))
            case _:
                pass
        if wanted.route.body is Body.JSON:
            async with asyncio.timeout(PATIENCE_S):
                data = await all_of(body(head, reader), LARGEST_DOCUMENT)
            content = msgspec.json.encode(await self._safe(wanted, read(data)))
        return encoded(wanted, path, query, head=head, content=content)

    async def _reached(self, wanted: Wanted) -> str:
        """The id of what is named: whatever is called so a moment later, it is this one that is reached."""
        assert wanted.kind  # noqa: S101 - what the caller matched
        found = await self._daemon.own(wanted.kind, wanted.name)
        if wanted.kind is Kind.NETWORK and wanted.method == "DELETE":
            main = await self._daemon.own(Kind.NETWORK, self._place.network)
            if found == main:
                raise refused(f"the network {self._place.network} is what the drill measures by")
        return found

    def _filtered(self, query: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        """A query that finds only what is the environment's: the daemon wants every label that it is told."""
        mark = f"{labels.ENVIRONMENT}={self._place.labels[labels.ENVIRONMENT]}"
        # Two forms are understood, {"key": ["value"]} and {"key": {"value": true}}, but not mixed.
        filters: Document = {"label": {}}
        for key, values in read(dict(query).get("filters", "").encode()).items():
            if not isinstance(values, list | dict):
                raise RefusedError(f"filters.{key}: expected a list", 400)
            filters[key] = dict.fromkeys(map(str, values), True)
        filters["label"] = {**_object(filters["label"]), mark: True}
        rest = tuple(pair for pair in query if pair[0] != "filters")
        return (*rest, ("filters", msgspec.json.encode(filters).decode()))

    async def _safe(self, wanted: Wanted, document: Document) -> Document:
        """The document of a request, made safe, and all that it names the environment's."""
        match wanted.route.shape:
            case "/containers/create":
                safe = containers.container(document, self._place)
            case "/networks/create":
                safe = documents.network(document, self._place)
            case "/volumes/create":
                safe = documents.volume(document, self._place)
                await self._unclaimed(safe)
            case "/containers/{container}/exec":
                safe = documents.exec_options(document)
            case "/exec/{exec}/start":
                safe = documents.exec_start(document)
            case "/networks/{network}/connect" | "/networks/{network}/disconnect":
                safe = documents.connection(document)
            case shape:
                raise refused(f"{shape}: what it brings is not understood")
        for kind, names in (
            (Kind.CONTAINER, safe.containers),
            (Kind.NETWORK, safe.networks),
            (Kind.VOLUME, safe.volumes),
        ):
            for name in dict.fromkeys(names):
                await self._allowed(kind, name)
        return safe.document

    async def _allowed(self, kind: Kind, name: str) -> None:
        """What a document names is the environment's. Not "no such …" if it is not: docker would think that of the image."""
        try:
            await self._daemon.own(kind, _word(kind, name))
        except RefusedError as error:
            if error.status != 404:
                raise
            raise refused(f"there is no {kind.name.lower()} {name} in this environment") from error

    async def _unclaimed(self, safe: Safe) -> None:
        """The daemon answers with the volume that is there, if there is one: that has to be the environment's."""
        name = safe.document.get("Name")
        if isinstance(name, str) and name:
            try:
                await self._daemon.seen(Kind.VOLUME, _word(Kind.VOLUME, name))
            except RefusedError as error:
                if error.status != 404:
                    raise
            else:
                safe.volumes.append(name)


_NAME = re.compile(r"/?([A-Za-z0-9][A-Za-z0-9_.-]*)")


def _word(kind: Kind, name: str) -> str:
    """A name that can stand in a path. RefusedError if it is none."""
    found = _NAME.fullmatch(name)
    if not found:
        raise refused(f"{name[:200]!r} is not the name of a {kind.name.lower()}")
    return found[1]


def _object(value: Json) -> Document:
    return value if isinstance(value, dict) else {}
