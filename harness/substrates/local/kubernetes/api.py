"""The harness's own word with a cluster's API server: a handful of requests while it comes up. Not a client for anything else."""

import asyncio
import http.client
import ssl
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from harness.errors import SubstrateError
from harness.model.units import SECOND, Ns, seconds

T = TypeVar("T")

LIMIT: Ns = seconds(10)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said; status 0 where it did not."""

    status: int
    text: str


class Api:
    """Asks the API server behind a port of the loopback. Every call is a connection of its own."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._port = port
        self._context = context

    async def ask(
        self, method: str, path: str, body: object = None, *, limit: Ns = LIMIT, content: str = "application/json"
    ) -> Answer:
        """One request with a JSON body (None: none) of that media type, and its answer within `limit` ns."""
        return await asyncio.to_thread(self._ask, method, path, body, limit=limit, content=content)

    async def read(self, path: str, kind: type[T]) -> T | None:
        """What is at that path as that type; None where there is nothing. A question that nobody answered is asked once more:
        connections are lost while servers come up. SubstrateError if it is not to be had."""
        answer = await self.ask("GET", path)
        if answer.status == 0:
            answer = await self.ask("GET", path)
        if answer.status == http.HTTPStatus.NOT_FOUND:
            return None
        if answer.status != http.HTTPStatus.OK:
            raise SubstrateError(f"the API server answers {path} with {answer.status}: {answer.text[:400]}")
        try:
            return msgspec.json.decode(answer.text.encode(), type=kind)
        except msgspec.DecodeError as error:
            raise SubstrateError(f"the API server answers {path} with something else: {error}") from error

    def _ask(self, method: str, path: str, body: object, *, limit: Ns, content: str) -> Answer:
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, context=self._context, timeout=limit / SECOND)
        try:
            data = None if body is None else msgspec.json.encode(body)
            connection.request(method, path, data, {"Content-Type": content, "Accept": "application/json"})
            response = connection.getresponse()
            return Answer(response.status, response.read().decode("utf-8", "replace"))
        except (OSError, http.client.HTTPException) as error:
            return Answer(0, str(error))
        finally:
            connection.close()
