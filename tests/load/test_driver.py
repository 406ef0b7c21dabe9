"""The load worker as a process, and the driver that holds it in an environment."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from harness import clock
from harness.errors import InstrumentError
from harness.load.driver import Driver, driving
from harness.measuring.lines import read_counts
from harness.model.load import LoadCount, LoadProfile, LoadWork, Task
from harness.model.topology import Topology, Workload
from harness.model.units import SECOND, Ns, milliseconds, seconds
from harness.ports import Environment
from harness.probes.rig import Trouble, rig
from harness.substrates.local.substrate import Local

pytestmark = [pytest.mark.real, pytest.mark.slow]

PROFILE = LoadProfile(
    "api", (Task("/live", weight=3), Task("/live?x={n}", weight=1)), users=4, pace=milliseconds(100), timeout=seconds(1)
)


async def until(condition: Callable[[], bool]) -> None:
    async def met() -> bool | None:
        return condition() or None

    assert await clock.until(met, deadline=clock.now() + 10 * SECOND, every=milliseconds(20)), "it did not come about"


TASKS = (Task("/a"), Task("/b", body='{"n": {n}}'))
PACE = milliseconds(100)


@contextlib.asynccontextmanager
async def worker(
    port: int,
    out: Path,
    *,
    bound: Ns = seconds(30),
    tasks: tuple[Task, ...] = TASKS,
    users: int = 4,
    pace: Ns = PACE,
    anew: bool = False,
) -> AsyncIterator[asyncio.subprocess.Process]:
    profile = LoadProfile("s", tasks, users=users, pace=pace, anew=anew)
    work = LoadWork(profile=profile, host="127.0.0.1", port=port, bound=bound)
    argv = (sys.executable, "-m", "harness.load.worker", msgspec.json.encode(work).decode())
    with out.open("wb") as file:
        process = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.PIPE, stdout=file)
    try:
        await until(lambda: bool(read_counts(out)[0]))
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_users_come_and_go_as_told_and_are_counted(tmp_path: Path) -> None:
    out = tmp_path / "load.jsonl"
    async with rig() as stub, worker(stub.port, out) as process:
        await until(lambda: read_counts(out)[0][-1].requests >= 20)
        process.stdin.write(b"users 12\n")
        await until(lambda: read_counts(out)[0][-1].users == 12)
        process.stdin.write(b"users 2\n")
        await until(lambda: read_counts(out)[0][-1].users == 2)
        process.stdin.write(b"stop\n")
        assert await asyncio.wait_for(process.wait(), 5) == 0
    counts = read_counts(out)[0]
    assert [count.requests for count in counts] == sorted(count.requests for count in counts)
    assert counts[-1].failures == 0
    assert max(count.rps for count in counts) > 60  # 12 users, ten a second each


async def test_users_that_start_together_do_not_ask_together(tmp_path: Path) -> None:
    arrivals: list[Ns] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                arrivals.append(clock.now())
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    out = tmp_path / "load.jsonl"
    async with worker(port, out, tasks=(Task("/a"),), users=8, pace=milliseconds(800)):
        await until(lambda: len(arrivals) >= 16)
    server.close()
    second = sorted(arrivals[8:16])
    assert second[-1] - second[0] > milliseconds(400)
    assert min(b - a for a, b in zip(second[::4], second[2::4], strict=False)) > milliseconds(50)


@pytest.mark.parametrize("anew", [False, True])
async def test_users_hold_on_to_their_connections_unless_each_request_is_to_have_its_own(
    tmp_path: Path, *, anew: bool
) -> None:
    asked: list[int] = []
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(0)
        mine = len(asked) - 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while not over.is_set():
                closes = b"connection: close" in (await reader.readuntil(b"\r\n\r\n")).lower()
                asked[mine] += 1
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n")
                writer.write(b"Connection: close\r\n\r\n" if closes else b"\r\n")
                if closes:
                    break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    out = tmp_path / "load.jsonl"
    async with worker(server.sockets[0].getsockname()[1], out, tasks=(Task("/a"),), users=2, anew=anew):
        await until(lambda: sum(asked) >= 12 and read_counts(out)[0][-1].requests >= 10)
        over.set()
    server.close()
    assert read_counts(out)[0][-1].failures == 0
    assert set(asked) == {1} if anew else len(asked) == 2


async def test_failures_are_counted_as_such(tmp_path: Path) -> None:
    out = tmp_path / "load.jsonl"
    async with rig() as stub, worker(stub.port, out):
        await until(lambda: read_counts(out)[0][-1].requests > 0)
        await stub.trouble(Trouble.ERROR, milliseconds(600))
        await until(lambda: read_counts(out)[0][-1].failures > 5)
        before = read_counts(out)[0][-1]
        assert before.failures < before.requests


@pytest.mark.parametrize("how", ["end of input", "bound", "SIGINT", "SIGTERM"])
async def test_it_ends_by_itself(tmp_path: Path, how: str) -> None:
    async with rig() as stub, worker(stub.port, tmp_path / "l", bound=seconds(1 if how == "bound" else 30)) as process:
        match how:
            case "end of input":
                assert process.stdin is not None
                process.stdin.close()
            case "SIGINT" | "SIGTERM":
                process.send_signal(signal.Signals[how])
            case _:
                pass
        assert await asyncio.wait_for(process.wait(), 5) == 0


async def test_a_defect_in_a_user_ends_the_worker_with_an_error(tmp_path: Path) -> None:
    """Locust would log it and go on with less load than was asked for."""
    out = tmp_path / "load.jsonl"
    async with rig() as stub, worker(stub.port, out, tasks=(Task("http://[bad/{n}"),)) as process:
        assert await asyncio.wait_for(process.wait(), 5) == 1


@contextlib.asynccontextmanager
async def environment(folder: Path) -> AsyncIterator[Environment]:
    topology = Topology("load", workloads=(Workload("api", "shop", 8000, hosts=("api.internal",), processes=1),))
    async with Local().environment(topology, run="load-test", folder=folder) as running:
        yield running


async def test_the_driver_drives_in_an_environment(tmp_path: Path) -> None:
    async with environment(tmp_path) as running, driving(running, PROFILE, tmp_path) as load:
        assert load.users == 4
        await load.set_users(8)
        await until(lambda: last(load).users == 8)
        finished, failed = await load.requests()
        assert (finished > 20, failed) == (True, 0)


async def test_load_that_died_is_an_error_of_the_instrument(tmp_path: Path) -> None:
    async with environment(tmp_path) as running:
        with pytest.raises(InstrumentError, match="ended early, with status"):
            await killed_while_driving(running, tmp_path)


async def killed_while_driving(running: Environment, folder: Path) -> None:
    async with driving(running, PROFILE, folder) as load:
        os.kill(load._process.pid, signal.SIGKILL)
        await until(lambda: load._process.returncode is not None)
        await load.requests()


def last(load: Driver) -> LoadCount:
    count = load.last()
    assert count is not None
    return count
