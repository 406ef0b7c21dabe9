"""A daemon that dies while an environment is up: told in words, and what it had is removed when it is back.

The daemon that dies is a relay of the test's own in front of the real one, which goes on and knows nothing of it.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from harness.clock import now
from harness.model.units import seconds
from harness.substrates.containers import Containers
from tests.harnesses import launched, said
from tests.substrates.containers.test_death import gone, left
from tests.substrates.test_local_death import descendants

pytestmark = [pytest.mark.real, pytest.mark.slow]

HARNESS = """
import asyncio, sys
from pathlib import Path
from harness.errors import SubstrateError
from harness.substrates.containers import Containers
from tests.substrates.containers.conftest import TOPOLOGY

async def main():
    folder = Path(sys.argv[1])
    async with Containers().environment(TOPOLOGY, run=sys.argv[2], folder=folder) as environment:
        print("up", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        try:
            await environment.service("api").restart()
        except SubstrateError as error:
            print(error, flush=True)

asyncio.run(main())
"""


class Front:
    """A socket at which Docker's daemon is found, until it dies."""

    def __init__(self, path: Path, daemon: str) -> None:
        self._path = path
        self._daemon = daemon
        self._server: asyncio.Server | None = None
        self._served: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def live(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, str(self._path))

    async def die(self) -> None:
        """Nobody listens any more, and what is open breaks off."""
        if self._server:
            self._server.close()
            self._path.unlink(missing_ok=True)
        self._server = None
        for task, writer in self._served.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*self._served, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._served[task] = writer
        there, back = await asyncio.open_unix_connection(self._daemon)
        try:
            await asyncio.gather(_pass(reader, back), _pass(there, writer))
        finally:
            del self._served[task]
            for each in (writer, back):
                each.close()
                with suppress(OSError, asyncio.CancelledError):
                    await each.wait_closed()


async def _pass(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(1 << 16):
            to.write(data)
            await to.drain()
        to.write_eof()


@pytest.fixture
async def front(containers: Containers, tmp_path: Path) -> AsyncIterator[Front]:
    """One that lives."""
    from harness.substrates.containers import daemon

    made = Front(tmp_path / "docker.sock", daemon.endpoint())
    await made.live()
    yield made
    await made.die()


async def test_a_daemon_that_dies_under_a_drill_is_told_and_has_nothing_left_when_it_is_back(
    front: Front, tmp_path: Path
) -> None:
    run = f"daemonless{os.getpid()}"
    with launched("-c", HARNESS, str(tmp_path), run, DOCKER_HOST=f"unix://{tmp_path / 'docker.sock'}") as harness:
        await said(harness, "up")
        assert len(left(run)) == 6
        below = descendants(harness.pid)
        await front.die()
        begun = now()
        out, complaint = await asyncio.to_thread(harness.communicate, "\n", 30)
        assert now() - begun < seconds(15)
    assert "no Docker daemon answers" in out
    assert "start Docker, or set DOCKER_HOST" in out
    last = complaint[complaint.rindex("SubstrateError: removing") :]
    assert f"removing {run}" in last
    assert "is removed by its watchdog" in last
    assert "rundrill reap" in last
    assert len(left(run)) == 6
    await front.live()
    assert await gone(run, below) == []
