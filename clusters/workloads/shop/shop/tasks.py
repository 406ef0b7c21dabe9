"""The queue of background tasks, a list in Redis or Valkey: the API pushes, the worker (shop.worker) takes."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

KEPT_S = 10
"""How long a reply waits for somebody who may have gone."""


class Unqueued(Exception):  # noqa: N818 - it is what happened, not a mistake
    """The queue could not be reached, or did not answer in time."""


class Tasks:
    """The list `queue`, and `queue`:failed for what could not be done. Every method may raise Unqueued."""

    def __init__(self, url: str, queue: str) -> None:
        from valkey.asyncio import Valkey  # noqa: PLC0415 - most services have no queue

        self._queue = queue
        self._server = Valkey.from_url(url, socket_timeout=5.0, socket_connect_timeout=1.0, decode_responses=True)

    async def close(self) -> None:
        """Let go of all connections."""
        await self._server.aclose()

    async def push(self, kind: str, *, reply: str = "") -> None:
        """Queue one task."""
        with _answered():
            await self._server.lpush(self._queue, json.dumps({"kind": kind, "reply": reply}))

    async def done(self, kind: str, *, within: float) -> bool:
        """Queue one task and wait until a worker has done it; False after `within` seconds."""
        reply = f"{self._queue}:reply:{secrets.token_hex(8)}"
        await self.push(kind, reply=reply)
        with _answered():
            return await self._server.brpop([reply], timeout=within) is not None

    async def work(self, *, within: float) -> bool:
        """Take the oldest task and do it; False if none came within `within` seconds."""
        with _answered():
            taken = await self._server.brpop([self._queue], timeout=within)
            if taken is None:
                return False
            try:
                reply = str(json.loads(taken[1])["reply"])
            except (ValueError, KeyError, TypeError):
                await self._server.lpush(f"{self._queue}:failed", taken[1])
                return True
            if reply:
                async with self._server.pipeline() as pipe:
                    pipe.lpush(reply, "done")
                    pipe.expire(reply, KEPT_S)
                    await pipe.execute()
            return True


@contextmanager
def _answered() -> Iterator[None]:
    from valkey.exceptions import ValkeyError  # noqa: PLC0415

    try:
        yield
    except (ValkeyError, OSError, TimeoutError) as error:
        raise Unqueued(f"queue: {error}") from error
