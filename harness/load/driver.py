"""The background load as the harness holds it: starts the worker inside the environment, tells it how many users there shall
be, reads its counts. It never makes a request itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from harness.clock import now, until
from harness.errors import InstrumentError
from harness.measuring.lines import read_counts
from harness.model.load import LoadCount, LoadProfile, LoadWork
from harness.model.units import SECOND, Ns, milliseconds, seconds
from harness.ports import Environment, Process

STARTING = seconds(20)
"""How long the worker may take to its first line; importing locust takes a third of a second on a quiet machine."""


class Driver:
    """The load while it runs (harness.ports.Load)."""

    def __init__(self, process: Process, profile: LoadProfile, *, stdout: Path, stderr: Path) -> None:
        self._process = process
        self._users = profile.users
        self._stdout = stdout
        self._stderr = stderr
        self._offset = 0
        self._last: LoadCount | None = None

    @property
    def users(self) -> int:
        """How many concurrent users there are meant to be."""
        return self._users

    async def set_users(self, users: int) -> None:
        """Go to that many concurrent users, now."""
        self._alive()
        self._users = users
        await self._process.send(f"users {users}")

    async def requests(self) -> tuple[int, int]:
        """Requests finished so far, and how many of them failed; at most a second old. InstrumentError if it died."""
        self._alive()
        last = self.last()
        return (last.requests, last.failures) if last else (0, 0)

    def last(self) -> LoadCount | None:
        """The latest count; None before the first."""
        counts, self._offset = read_counts(self._stdout, self._offset)
        if counts:
            self._last = counts[-1]
        return self._last

    async def started(self) -> None:
        """Return when the load runs; InstrumentError if it does not."""

        async def counted() -> LoadCount | None:
            self._alive()
            return self.last()

        if await until(counted, deadline=now() + STARTING, every=milliseconds(20)) is None:
            raise InstrumentError(f"the load worker wrote no count in {STARTING // SECOND} s\n{self._complaint()}")

    async def stop(self) -> None:
        """Stop the load; InstrumentError if it had died before."""
        self._alive()
        await self._process.send("stop")
        if await self._process.wait(seconds(3)):
            raise InstrumentError(f"the load worker ended with status {self._process.returncode}\n{self._complaint()}")

    def _alive(self) -> None:
        status = self._process.returncode
        if status is not None:
            raise InstrumentError(
                f"the load worker ended early, with status {status}: what was measured since is without load\n"
                f"{self._complaint()}"
            )

    def _complaint(self) -> str:
        try:
            return self._stderr.read_text(encoding="utf-8", errors="replace")[-2000:]
        except OSError as error:
            return f"{self._stderr}: {error.strerror}"


@asynccontextmanager
async def driving(
    environment: Environment, profile: LoadProfile, folder: Path, *, seed: int = 1, bound: Ns = 600 * SECOND
) -> AsyncIterator[Driver]:
    """The load of `profile` on its service while the scope lasts, and at most `bound` ns. Its counts and complaints lie in
    `folder` as load.jsonl and load.err. InstrumentError if the worker does not start, or did not live as long as the scope.
    """
    peer = environment.peer(profile.service)
    work = LoadWork(profile=profile, host=peer.host, port=peer.port, seed=seed, bound=bound)
    stdout, stderr = folder / "load.jsonl", folder / "load.err"
    argv = (environment.python, "-m", "harness.load.worker", msgspec.json.encode(work).decode())
    process = await environment.start(argv, stdout=stdout, stderr=stderr)
    driver = Driver(process, profile, stdout=stdout, stderr=stderr)
    try:
        await driver.started()
        yield driver
        await driver.stop()
    finally:
        await process.stop()
