"""However the harness ends, nothing of an environment is left in Docker, nor any process of it."""

import asyncio
import os
import random
import signal
from pathlib import Path

import pytest

from harness.clock import now, until
from harness.model.units import SECOND
from harness.substrates import labels
from harness.substrates.containers import Containers
from harness.substrates.journal import Mortal, reap
from tests.full import FULL
from tests.harnesses import launched, said
from tests.substrates.test_local_death import descendants

pytestmark = [pytest.mark.real, pytest.mark.slow]

HARNESS = """
import asyncio, sys
from pathlib import Path
from harness.substrates.containers import Containers
from tests.substrates.containers.conftest import TOPOLOGY

async def main():
    folder = Path(sys.argv[1])
    containers = Containers().environment(TOPOLOGY, run=sys.argv[2], folder=folder, links=frozenset({"main"}))
    print("begun", flush=True)
    async with containers as environment:
        await environment.start(["sleep", "1000"], stdout=folder / "out", stderr=folder / "err")
        print("up", flush=True)
        await asyncio.sleep(1000)

asyncio.run(main())
"""

INSTANTS = 20 if FULL else 5
WITHIN = 10 * SECOND
COMING_UP_S = 6.0
AT_A_TIME = 4


def left(run: str) -> list[str]:
    """What Docker has of that run."""
    from harness.substrates.containers import daemon

    docker = daemon.client()
    label = f"{labels.RUN}={run}"
    wanted: dict[str, str | list[str] | bool] = {"label": label}
    found = [f"container {one.name}" for one in docker.containers.list(all=True, filters=wanted, ignore_removed=True)]
    found += [f"network {one.name}" for one in docker.networks.list(filters={"label": label})]
    found += [f"volume {one.name}" for one in docker.volumes.list(filters={"label": label})]
    docker.close()
    return found


async def gone(run: str, known: set[Mortal]) -> list[str]:
    """What of it is left ten seconds later."""

    def all_of_it() -> list[str]:
        return [*left(run), *(str(process) for process in known if process.alive)]

    async def none() -> bool | None:
        return None if await asyncio.to_thread(all_of_it) else True

    return [] if await until(none, deadline=now() + WITHIN, every=SECOND // 5) else all_of_it()


async def test_a_killed_harness_leaves_nothing_in_docker(containers: Containers, tmp_path: Path) -> None:
    run = f"killed{os.getpid()}"
    with launched("-c", HARNESS, str(tmp_path), run) as harness:
        await said(harness, "begun")
        await said(harness, "up")
        assert len(left(run)) == 6
        below = descendants(harness.pid)
    assert await gone(run, below) == []
    assert not any("container" in line for line in reap(tmp_path))


async def test_nor_does_one_that_is_killed_at_any_instant_while_it_brings_an_environment_up(
    containers: Containers, tmp_path: Path
) -> None:
    places = asyncio.Semaphore(AT_A_TIME)

    async def killed(number: int) -> list[str]:
        run, folder = f"killed{os.getpid()}n{number}", tmp_path / str(number)
        folder.mkdir()
        async with places:
            with launched("-c", HARNESS, str(folder), run) as harness:
                await said(harness, "begun")
                await asyncio.sleep(random.Random(number).uniform(0.1, COMING_UP_S))
                below = descendants(harness.pid)
            return await gone(run, below) + [line for line in reap(folder) if "container" in line]

    assert [line for found in await asyncio.gather(*map(killed, range(1, INSTANTS))) for line in found] == []


async def test_an_interrupted_harness_leaves_nothing_in_docker(containers: Containers, tmp_path: Path) -> None:
    run = f"interrupted{os.getpid()}"
    with launched("-c", HARNESS, str(tmp_path), run) as harness:
        await said(harness, "begun")
        await said(harness, "up")
        below = descendants(harness.pid)
        harness.send_signal(signal.SIGINT)
        await asyncio.to_thread(harness.communicate, timeout=30)
        assert left(run) == []
    assert await gone(run, below) == []


async def test_what_a_killed_harness_and_its_watchdog_leave_is_reaped(containers: Containers, tmp_path: Path) -> None:
    run = f"reaped{os.getpid()}"
    with launched("-c", HARNESS, str(tmp_path), run) as harness:
        await said(harness, "begun")
        await said(harness, "up")
        below = descendants(harness.pid)
        assert reap(tmp_path) == []
        for process in below:
            if b"watchdog" in Path(f"/proc/{process.pid}/cmdline").read_bytes():  # noqa: ASYNC240 - /proc does not block
                os.kill(process.pid, signal.SIGKILL)
    assert len(left(run)) == 6
    done = reap(tmp_path)
    assert left(run) == []
    assert sum("removed the" in line for line in done) == 6
    assert reap(tmp_path) == []
