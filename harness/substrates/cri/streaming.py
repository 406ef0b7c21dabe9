"""The streaming server that the kubelet sends exec, attach and port-forward to: HTTP/1.1, upgraded to SPDY/3.1.

What the runtime has to do for it is harness.substrates.cri.sessions.Sessions. It is bound to an address of the environment
and speaks to whoever has a URL: a URL is good for one client within a minute, as with the kubelet's other runtimes.
"""

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import suppress

from harness.clock import now
from harness.errors import InputError, Problem, SubstrateError
from harness.model.units import SECOND, Ns
from harness.substrates.cri import port_forward, remote_command
from harness.substrates.cri.sessions import Attach, Exec, PortForward, Sessions
from harness.substrates.cri.spdy_session import Session
from harness.substrates.cri.upgrade import LARGEST_REQUEST, Answer, RequestError, negotiate, read_request, upgraded

TOKEN_LIFE: Ns = 60 * SECOND
"""How long a URL waits for its client, who may use it once."""

MOST_TOKENS = 1000
"""How many URLs may wait for their clients."""

IDLE: Ns = 4 * 3600 * SECOND
"""How long a session lives in which nothing comes or goes: the kubelet's streamingConnectionIdleTimeout."""

PATIENCE: Ns = 30 * SECOND
"""How long a client may take for its request, and for opening its streams."""

LINGER: Ns = 10 * SECOND
"""How long a client may take to close its connection when all was said. spdystream may lose what it has not yet handed on
when a connection ends, so it is the client who ends it."""

Request = Exec | Attach | PortForward

_PATHS: Mapping[type[Request], str] = {Exec: "exec", Attach: "attach", PortForward: "portforward"}


class Streaming:
    """Serves `sessions` to whoever has a URL from here. The limits are for tests to shorten."""

    def __init__(self, sessions: Sessions, *, idle: Ns = IDLE, patience: Ns = PATIENCE, linger: Ns = LINGER) -> None:
        self._sessions = sessions
        self._idle = idle
        self._patience = patience
        self._linger = linger
        self._waiting: dict[str, tuple[Request, Ns]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._at = ""

    async def start(self, host: str, port: int = 0) -> int:
        """Listen from now on; the port, chosen by the kernel for 0. OSError if it cannot."""
        self._server = await asyncio.start_server(self._accepted, host, port, limit=LARGEST_REQUEST)
        chosen: int = self._server.sockets[0].getsockname()[1]
        self._at = f"http://{f'[{host}]' if ':' in host else host}:{chosen}"
        return chosen

    def url(self, request: Request) -> str:
        """The URL to answer the kubelet with: good for one client within TOKEN_LIFE.

        InputError if the request cannot be met as it is (no stream at all; a terminal and a stderr of its own; no id): a
        gRPC INVALID_ARGUMENT with that text. SubstrateError if too many wait already: RESOURCE_EXHAUSTED.
        """
        _check(request)
        at = now()
        self._waiting = {token: (asked, until) for token, (asked, until) in self._waiting.items() if until > at}
        if len(self._waiting) >= MOST_TOKENS:
            raise SubstrateError("maximum number of in-flight requests exceeded")
        token = secrets.token_urlsafe(16)
        self._waiting[token] = (request, at + TOKEN_LIFE)
        return f"{self._at}/{_PATHS[type(request)]}/{token}"

    async def close(self) -> None:
        """End every session, and what it runs, and listen no more."""
        if self._server:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(self._patience / SECOND):
                    agreed = await self._agree(reader, writer)
                if agreed:
                    await self._session(Session(reader, writer, idle=self._idle), *agreed)
        finally:
            writer.close()

    async def _agree(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[Request, str] | None:
        """What is asked for, in which protocol, after the upgrade; None if there is none."""
        try:
            head = await read_request(reader)
            if head is None:
                return None
            request = self._taken(head.path.partition("?")[0])
            known = port_forward.PROTOCOLS if isinstance(request, PortForward) else remote_command.PROTOCOLS
            protocol = negotiate(head, known)
        except RequestError as error:
            writer.write(error.answer.encode())
            await writer.drain()
            return None
        writer.write(upgraded(protocol))
        await writer.drain()
        return request, protocol

    def _taken(self, path: str) -> Request:
        """What a URL stands for, once. RequestError if it is none of ours, used, or too old."""
        _, _, rest = path.partition("/")
        kind, _, token = rest.partition("/")
        request, until = self._waiting.pop(token, (None, 0))
        if request is None or until < now() or _PATHS[type(request)] != kind:
            raise RequestError(Answer(404, "Not Found", "404 page not found"))
        return request

    async def _session(self, session: Session, request: Request, protocol: str) -> None:
        serving = asyncio.create_task(session.serve())
        try:
            match request:
                case PortForward():
                    await port_forward.serve(session, request, self._sessions, patience=self._patience)
                case Exec() | Attach():
                    await remote_command.serve(
                        session, request, self._sessions, protocol=protocol, patience=self._patience
                    )
            session.leave()
            await asyncio.wait({serving}, timeout=self._linger / SECOND)
        finally:
            serving.cancel()
            await asyncio.wait({serving})


def _check(request: Request) -> None:
    match request:
        case PortForward(sandbox):
            if not sandbox:
                raise InputError(Problem("missing required pod_sandbox_id"))
        case Exec() | Attach():
            if not request.container:
                raise InputError(Problem("missing required container_id"))
            if request.tty and request.stderr:
                raise InputError(Problem("tty and stderr cannot both be true"))
            if not (request.stdin or request.stdout or request.stderr):
                raise InputError(Problem("one of stdin, stdout, or stderr must be set"))
