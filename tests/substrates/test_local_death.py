"""However the harness ends, nothing of an environment outlives it: no process, no mount, no file outside the run's folder."""

# A test may wait for a short program.
# ruff: noqa: ASYNC240
import asyncio
import os
import random
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from harness.clock import now, until
from harness.errors import SubstrateError
from harness.model.topology import Topology
from harness.model.units import SECOND
from harness.substrates import labels
from harness.substrates.journal import Mortal, reap, started
from harness.substrates.local import Local
from tests.harnesses import launched, said
from tests.substrates.conftest import TOPOLOGY, Bring

pytestmark = pytest.mark.real

HARNESS = """
import asyncio, sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from harness.model.units import SECOND
from harness.substrates.local import Local
from tests.substrates.conftest import TOPOLOGY

async def main():
    folder = Path(sys.argv[1])
    local = Local().environment(TOPOLOGY, run=sys.argv[2], folder=folder, links=frozenset({"orders"}))
    async with local as environment:
        await environment.start(["sleep", "1000"], stdout=folder / "out", stderr=folder / "err")
        print("up", flush=True)
        await environment.operate(["bash", "-c", "setsid sleep 1000 & sleep 1000"], timeout=1000 * SECOND)

asyncio.run(main())
"""


def survivors(label: str) -> list[str]:
    """The command lines of what still runs and carries that label."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{labels.VARIABLE}={label}".encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def descendants(pid: int) -> set[Mortal]:
    """The processes below that one. Not all carry a label: PostgreSQL writes its titles over its environment."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    found, size = {pid}, 0
    while len(found) > size:
        size = len(found)
        found |= {child for child, parent in parents.items() if parent in found}
    return {Mortal("", number, started(number) or 0, "") for number in found - {pid}}


async def gone(label: str, known: Iterable[Mortal] = ()) -> list[str]:
    """What is left two seconds later at the latest."""

    def left() -> list[str]:
        return survivors(label) + [str(process) for process in known if process.alive]

    async def none() -> bool | None:
        return None if left() else True

    return [] if await until(none, deadline=now() + 2 * SECOND) else left()


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A TMPDIR of its own, in which nothing may be left."""
    path = Path("/tmp") / f"rdt{os.getpid()}"
    path.mkdir(mode=0o755, exist_ok=True)
    yield path
    path.rmdir()


@pytest.mark.parametrize("number", range(6))
async def test_a_killed_harness_leaves_nothing(isolation: str, folder: Path, temporary: Path, number: int) -> None:
    label = f"killed{os.getpid()}n{number}"
    mounts = Path("/proc/self/mountinfo").read_text()
    with launched("-c", HARNESS, str(folder), label, TMPDIR=str(temporary)) as harness:
        if number < 4:  # while it comes up: importing takes 0.3 s, coming up 0.1 to 0.3 s
            await asyncio.sleep(random.Random(number).uniform(0.25, 0.7))
        else:
            await said(harness, "up")
            await asyncio.sleep(0.05 * (number - 4))
        below = descendants(harness.pid)
        assert len(below) > 8 or number < 4
    assert await gone(label, below) == []

    async def empty() -> bool | None:
        return None if list(temporary.iterdir()) else True

    assert await until(empty, deadline=now() + 2 * SECOND)
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert not any("killed" in line for line in reap(folder.parent))


async def test_an_interrupted_harness_leaves_nothing(isolation: str, folder: Path, temporary: Path) -> None:
    label = f"interrupted{os.getpid()}"
    with launched("-c", HARNESS, str(folder), label, TMPDIR=str(temporary)) as harness:
        await said(harness, "up")
        below = descendants(harness.pid)
        harness.send_signal(signal.SIGINT)
        _, complaints = await asyncio.to_thread(harness.communicate, timeout=20)
    assert "KeyboardInterrupt" in complaints
    assert "Error" not in complaints.replace("CancelledError", "")
    assert await gone(label, below) == []
    assert list(temporary.iterdir()) == []
    assert reap(folder.parent) == []


async def test_an_environment_ends_with_its_scope_whatever_happens_in_it(
    isolation: str, bring: Bring, folder: Path
) -> None:
    others = descendants(os.getpid())
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the scope is what is tested
        async with bring(TOPOLOGY) as environment:
            label = environment.id
            below = descendants(os.getpid()) - others
            assert len(below) > 5
            _ = 1 / 0
    assert await gone(label, below) == []


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.05, 0.1])
async def test_cancelling_while_it_comes_up_leaves_nothing(
    isolation: str, bring: Bring, folder: Path, after_s: float
) -> None:
    async def up() -> None:
        async with bring(TOPOLOGY, links=frozenset({"orders"})):
            await asyncio.sleep(60)

    task = asyncio.create_task(up())
    await asyncio.sleep(after_s)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert survivors(f"test-{os.getpid()}") == []
    assert reap(folder) == []


async def test_a_supervisor_that_is_killed_takes_all_with_it(isolation: str, bring: Bring) -> None:
    others = descendants(os.getpid())
    async with bring(TOPOLOGY) as environment:
        sleeping = asyncio.create_task(environment.operate(["sleep", "60"], timeout=60 * SECOND))
        await asyncio.sleep(0.1)
        supervisor = (
            int(str(environment.database("orders").volume).split("/")[2]) if isolation == "namespaces" else None
        )
        if supervisor is None:
            inner = [line for line in survivors(environment.id) if "supervisor.py" in line]
            assert len(inner) == 2
            supervisor = max(pids_of(environment.id, "supervisor.py"))
        below = descendants(os.getpid()) - others
        os.kill(supervisor, signal.SIGKILL)
        assert (await sleeping).status == -9
        with pytest.raises(SubstrateError, match="has ended"):
            await environment.operate(["true"], timeout=SECOND)
        label = environment.id
    assert await gone(label, below) == []


def pids_of(label: str, text: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            ours = f"{labels.VARIABLE}={label}".encode() in (folder / "environ").read_bytes()
            if ours and text in (folder / "cmdline").read_text(errors="replace"):
                found.append(int(folder.name))
    return found


async def test_two_runs_do_not_know_of_each_other(isolation: str, folder: Path) -> None:
    async with Local().environment(Topology("bare"), run="r", folder=folder) as one:
        async with Local().environment(Topology("bare"), run="r", folder=folder) as other:
            assert one.id != other.id
        assert reap(folder) == []
        assert (await one.operate(["true"], timeout=SECOND)).ok


async def test_ended_and_killed_servers_leave_no_shared_memory(processes: str, bring: Bring) -> None:
    async with bring(TOPOLOGY) as environment:
        data = environment.database("orders").volume / "data"
        segment = (data / "postmaster.pid").read_text().split("\n")[6].split()[1]
        assert segment in segments()
        script = "psql -Atc 'SHOW dynamic_shared_memory_type'"
        done = await environment.operate(["bash", "-c", script], timeout=5 * SECOND)
        assert done.stdout == "mmap\n"
        os.kill(environment.database("orders").pid, signal.SIGKILL)

    async def removed() -> bool | None:
        return None if segment in segments() else True

    assert await until(removed, deadline=now() + 2 * SECOND)


def segments() -> set[str]:
    """The numbers of the machine's System V segments (sysvipc(7))."""
    return {line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}
