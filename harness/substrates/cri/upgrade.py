"""The HTTP of the streaming server: one request, answered by an upgrade to SPDY/3.1 or by why not.

As k8s.io/apimachinery's httpstream does it; nothing else of HTTP is served.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

LARGEST_REQUEST = 1 << 16
"""Bytes that a request's head may have; asyncio.StreamReader's own limit."""

_WANTED = "x-stream-protocol-version"


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request. Header names are in lower case; a name may come several times."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]

    def values(self, name: str) -> tuple[str, ...]:
        """What a header says, its lists taken apart."""
        found = (value.split(",") for key, value in self.headers if key == name)
        return tuple(part.strip() for parts in found for part in parts)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered when nothing is upgraded."""

    status: int
    reason: str
    text: str
    headers: tuple[tuple[str, str], ...] = ()

    def encode(self) -> bytes:
        """The whole response; the connection ends with it."""
        body = (self.text + "\n").encode()
        fixed = (
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        )
        return _head(f"{self.status} {self.reason}", (*self.headers, *fixed)) + body


class RequestError(ValueError):
    """What came is no request that is served here; `answer` says so to the client."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__(answer.text)


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The request that a connection begins with; None if it ends before. RequestError if it is none."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError as error:
        why = f"a request's head has at most {LARGEST_REQUEST} bytes"
        raise RequestError(Answer(431, "Request Header Fields Too Large", why)) from error
    return parse(head)


def parse(head: bytes) -> Request:
    """The request of a head. RequestError if it is not one of HTTP/1.1."""
    line, *fields = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    parts = line.split(" ")
    if len(parts) != 3 or parts[2] != "HTTP/1.1" or not parts[1].startswith("/"):
        raise RequestError(Answer(400, "Bad Request", f"not a request of HTTP/1.1: {line[:100]!r}"))
    headers = []
    for field in fields:
        name, colon, value = field.partition(":")
        if not colon or not name or name != name.strip():
            raise RequestError(Answer(400, "Bad Request", f"not a header: {field[:100]!r}"))
        headers.append((name.lower(), value.strip(" \t")))
    return Request(parts[0], parts[1], tuple(headers))


def negotiate(request: Request, protocols: Sequence[str]) -> str:
    """The first of the client's protocols that is spoken here. RequestError if there is none, or no upgrade is asked for."""
    connection = {value.lower() for value in request.values("connection")}
    upgrades = {value.lower() for value in request.values("upgrade")}
    if request.method not in {"GET", "POST"}:
        raise RequestError(Answer(405, "Method Not Allowed", f"{request.method}: GET or POST are served"))
    if "upgrade" not in connection or "spdy/3.1" not in upgrades:
        why = "unable to upgrade: missing upgrade headers in request: Connection: Upgrade and Upgrade: SPDY/3.1 were expected"
        raise RequestError(Answer(400, "Bad Request", why))
    wanted = request.values(_WANTED)
    for protocol in wanted:
        if protocol in protocols:
            return protocol
    accepted = tuple(("X-Accepted-Stream-Protocol-Versions", protocol) for protocol in protocols)
    why = f"unable to negotiate protocol: client supports [{' '.join(wanted)}], server accepts [{' '.join(protocols)}]"
    raise RequestError(Answer(403, "Forbidden", why, accepted))


def upgraded(protocol: str) -> bytes:
    """The answer after which SPDY is spoken."""
    headers = (("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1"), ("X-Stream-Protocol-Version", protocol))
    return _head("101 Switching Protocols", headers)


def _head(status: str, headers: Sequence[tuple[str, str]]) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers), "", "")).encode(
        "latin-1"
    )
