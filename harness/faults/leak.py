"""A client that leaks sessions, a process of its own inside the environment: `python -m harness.faults.leak WORK`, WORK
being Work as JSON. It opens real connections and sits on them; one line of Held on standard output per change."""

import asyncio
import math
import sys

import msgspec
import psycopg

from harness.clock import now
from harness.measuring.lines import Lines, lines_to
from harness.measuring.openloop import stop_when_told
from harness.measuring.postgres import Connection, connect, reason, sever
from harness.model.units import SECOND, Ns, milliseconds, seconds

CONNECTING = seconds(5)


class Work(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the client does: `count` sessions over `dsn` (None: until the server refuses), each first running `opening`, then
    sitting in `staying` ("": it sits idle in whatever `opening` left it in).

    `keep`: a session that the server has refused is asked for again every `retry` ns, so that freed slots are taken.
    `returns`: a session that somebody ended is opened again; otherwise the client contents itself with what it still has.
    """

    dsn: str
    count: int | None
    opening: str
    staying: str = ""
    keep: bool = True
    returns: bool = False
    retry: Ns = milliseconds(20)
    bound: Ns = 900 * SECOND


class Held(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many sessions the client has at `at` (monotonic ns), why it has no more (`refused`), how many were ended by
    others so far, and why the last of them (`ended`). Why: an SQLSTATE or a word, "" before the first."""

    at: Ns
    held: int
    refused: str
    killed: int
    ended: str


class Leak:
    """The client while it runs."""

    def __init__(self, work: Work, lines: Lines) -> None:
        self._work = work
        self._lines = lines
        self._aim: float = math.inf if work.count is None else work.count
        self._sessions: dict[asyncio.Task[None], Connection] = {}
        self._held = 0
        self._refused = ""
        self._killed = 0
        self._ended = ""

    async def run(self) -> None:
        """Fill up and stay full until cancelled."""
        while True:
            if len(self._sessions) >= self._aim or not await self._opened():
                await asyncio.sleep(self._work.retry / SECOND)

    async def close(self) -> None:
        """Let go of every session, without a word: psycopg would wait for the server's consent to cancel a statement."""
        for connection in self._sessions.values():
            sever(connection)
        if self._sessions:
            await asyncio.wait(self._sessions)

    async def _opened(self) -> bool:
        try:
            connection = await connect(self._work.dsn, now() + CONNECTING)
        except (psycopg.Error, OSError) as error:
            if reason(error) != self._refused:
                self._refused = reason(error)
                self._say()
            if not self._work.keep:
                self._aim = len(self._sessions)
            return False
        if len(self._sessions) >= self._aim:  # one was ended while this was being opened
            await connection.close()
            return False
        self._sessions[asyncio.create_task(self._sit(connection))] = connection
        return True

    async def _sit(self, connection: Connection) -> None:
        sitting = 0
        try:
            await connection.execute(self._work.opening.encode())
            sitting = 1
            self._held += 1
            self._say()
            if self._work.staying:
                await connection.execute(self._work.staying.encode())
            else:
                async for _ in connection.notifies():
                    pass
        except (psycopg.Error, OSError) as error:
            self._killed += 1
            self._ended = reason(error)
        finally:
            self._held -= sitting
            del self._sessions[_this_task()]
            if not self._work.returns:
                self._aim = min(self._aim, len(self._sessions))
            await connection.close()
            self._say()

    def _say(self) -> None:
        held = Held(at=now(), held=self._held, refused=self._refused, killed=self._killed, ended=self._ended)
        self._lines.put(held)


def _this_task() -> "asyncio.Task[None]":
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - only tasks run coroutines
    return task


async def leak(work: Work) -> None:
    """Leak until told to stop, or for `work.bound` ns."""
    stop = stop_when_told()
    async with lines_to(every=milliseconds(10)) as lines:
        leaking = Leak(work, lines)
        running = asyncio.create_task(leaking.run())
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((running, stopped), timeout=work.bound / SECOND, return_when=asyncio.FIRST_COMPLETED)
        finally:
            running.cancel()
            stopped.cancel()
            await asyncio.wait((running, stopped))
            await leaking.close()
        if not running.cancelled():
            running.result()


def main(argv: list[str]) -> int:
    """Run the client; 2 if its work cannot be understood."""
    try:
        work = msgspec.json.decode(argv[1] if len(argv) == 2 else "", type=Work)
    except msgspec.DecodeError as error:
        sys.stderr.write(f"harness.faults.leak: expected one Work as JSON, found {argv[1:]}: {error}\n")
        return 2
    asyncio.run(leak(work))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
