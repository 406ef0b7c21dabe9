"""The Kubernetes API as the network speaks it: one connection's settings from a kubeconfig, requests, lists that follow changes.

No client library: it watches six kinds of objects and creates four, and whoever starts it waits for its start.
"""

import asyncio
import base64
import logging
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Generic, TypeVar

import aiohttp
import msgspec

from harness.errors import SubstrateError
from harness.substrates.network.objects import Object

T = TypeVar("T", bound=Object)

_LOG = logging.getLogger(__name__)

AGAIN_S = 0.25
WATCH_S = 300


class _Context(msgspec.Struct, frozen=True):
    cluster: str
    user: str


class _NamedContext(msgspec.Struct, frozen=True):
    name: str
    context: _Context


class _Cluster(msgspec.Struct, frozen=True, rename="kebab"):
    server: str
    certificate_authority_data: str


class _NamedCluster(msgspec.Struct, frozen=True):
    name: str
    cluster: _Cluster


class _User(msgspec.Struct, frozen=True, rename="kebab"):
    client_certificate_data: str
    client_key_data: str


class _NamedUser(msgspec.Struct, frozen=True):
    name: str
    user: _User


class _Config(msgspec.Struct, frozen=True, rename="kebab"):
    clusters: tuple[_NamedCluster, ...]
    users: tuple[_NamedUser, ...]
    contexts: tuple[_NamedContext, ...]
    current_context: str


class _Listed(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str


class _List(msgspec.Struct, frozen=True):
    metadata: _Listed
    items: list[msgspec.Raw]


class _Event(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw


class _Versioned(msgspec.Struct, frozen=True):
    metadata: _Listed


class Api:
    """An API server, asked with one user's certificate."""

    def __init__(self, session: aiohttp.ClientSession, server: str) -> None:
        self._session = session
        self._server = server

    async def request(
        self, method: str, path: str, *, body: bytes = b"", kind: str = "application/json"
    ) -> tuple[int, bytes]:
        """The status and body of an answer. OSError or aiohttp.ClientError where there is none."""
        headers = {"Content-Type": kind} if body else {}
        async with self._session.request(method, self._server + path, data=body or None, headers=headers) as response:
            return response.status, await response.read()

    async def apply(self, path: str, thing: Mapping[str, object]) -> None:
        """Have an object exist like that (server-side apply). SubstrateError with what the server says if it refuses."""
        status, answer = await self.request(
            "PATCH",
            f"{path}?fieldManager=rundrill-network&force=true",
            body=msgspec.json.encode(thing),
            kind="application/apply-patch+yaml",
        )
        if status not in {200, 201}:
            raise SubstrateError(
                f"{path}: expected the API server to take it; it answered {status}: {answer.decode(errors='replace')}"
            )

    @asynccontextmanager
    async def stream(self, path: str, parameters: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that goes on for long."""
        limit = aiohttp.ClientTimeout(total=None, sock_read=WATCH_S + 30)
        async with self._session.get(self._server + path, params=parameters, timeout=limit) as response:
            yield response


@asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[Api]:
    """The API server of a kubeconfig's current context. SubstrateError where the file is not one, in JSON, with certificates."""
    server, trust = _read(kubeconfig)
    connector = aiohttp.TCPConnector(ssl=trust, limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield Api(session, server)


def _read(kubeconfig: Path) -> tuple[str, ssl.SSLContext]:
    try:
        config = msgspec.json.decode(kubeconfig.read_bytes(), type=_Config)
        context = next(one.context for one in config.contexts if one.name == config.current_context)
        cluster = next(one.cluster for one in config.clusters if one.name == context.cluster)
        user = next(one.user for one in config.users if one.name == context.user)
        return cluster.server, _trust(cluster, user)
    except (OSError, msgspec.DecodeError, StopIteration, ValueError) as error:
        expected = "expected a kubeconfig in JSON with an authority, a client certificate and its key"
        raise SubstrateError(f"{kubeconfig}: {expected}; found {error!r}") from error


def _trust(cluster: _Cluster, user: _User) -> ssl.SSLContext:
    trust = ssl.create_default_context(cadata=base64.b64decode(cluster.certificate_authority_data).decode())
    with tempfile.NamedTemporaryFile("wb") as file:  # the library takes a certificate from files only
        file.write(base64.b64decode(user.client_certificate_data) + base64.b64decode(user.client_key_data))
        file.flush()
        trust.load_cert_chain(file.name)
    return trust


class Followed(Generic[T]):
    """All objects of one kind, kept as they are now."""

    def __init__(self, api: Api, path: str, kind: type[T], *, changed: Callable[[], None]) -> None:
        self._api = api
        self._path = path
        self._kind = kind
        self._changed = changed
        self._found: dict[str, T] = {}
        self.listed = asyncio.Event()

    @property
    def objects(self) -> tuple[T, ...]:
        """Those there are."""
        return tuple(self._found.values())

    async def follow(self) -> None:
        """List and watch, and begin again when the server is away or its memory too short, until cancelled."""
        while True:
            try:
                version = await self._list()
                while version:
                    version = await self._watch(version)
            except (aiohttp.ClientError, OSError, TimeoutError, msgspec.DecodeError) as error:
                _LOG.warning("%s: listing again: %r", self._path, error)
            await asyncio.sleep(AGAIN_S)

    async def _list(self) -> str:
        status, body = await self._api.request("GET", self._path)
        if status != 200:
            return ""
        answer = msgspec.json.decode(body, type=_List)
        found = [msgspec.json.decode(item, type=self._kind) for item in answer.items]
        self._found = {one.name: one for one in found}
        self.listed.set()
        self._changed()
        return answer.metadata.resource_version

    async def _watch(self, version: str) -> str:
        """Take in what happens; the version to go on from, "" where everything is to be listed anew."""
        parameters = {
            "watch": "1",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_S),
        }
        rest = b""
        async with self._api.stream(self._path, parameters) as response:
            if response.status != 200:
                return ""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    version = self._take(msgspec.json.decode(line, type=_Event))
                    if not version:
                        return ""
        return version

    def _take(self, event: _Event) -> str:
        if event.type == "ERROR":
            return ""
        if event.type != "BOOKMARK":
            one = msgspec.json.decode(event.object, type=self._kind)
            if event.type == "DELETED":
                self._found.pop(one.name, None)
            else:
                self._found[one.name] = one
            self._changed()
        return msgspec.json.decode(event.object, type=_Versioned).metadata.resource_version
