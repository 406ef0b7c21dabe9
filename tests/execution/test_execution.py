"""How programs of the host are run and ended."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from harness import execution
from harness.clock import now, until
from harness.errors import SubstrateError
from harness.model.units import SECOND, milliseconds

ENV = {"PATH": os.defpath}
PYTHON = sys.executable


def state(pid: int) -> str | None:
    """The letter that Linux gives the process's state; None where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return None


async def alive(pid: int) -> bool:
    """Whether that process still runs a second later (a zombie does not run)."""

    async def gone() -> bool | None:
        return True if state(pid) in {None, "Z"} else None

    return not await until(gone, deadline=now() + SECOND)


def content(path: Path) -> str | None:
    return (path.exists() and path.read_text()) or None


async def written(path: Path) -> str:
    """What the file holds as soon as it holds something."""

    async def text() -> str | None:
        return content(path)

    return await until(text, deadline=now() + 5 * SECOND) or ""


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_status_output_and_input_are_reported() -> None:
    done = await execution.run(["sh", "-c", "cat; echo bad >&2; exit 3"], env=ENV, stdin="hello", timeout=5 * SECOND)
    assert (done.status, done.stdout, done.stderr, done.ok) == (3, "hello", "bad\n", False)
    assert 0 < done.took < 5 * SECOND


async def test_a_program_sees_only_the_environment_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "leaked")
    done = await execution.run(["env"], env={**ENV, "GIVEN": "yes"}, timeout=5 * SECOND)
    assert "GIVEN=yes" in done.stdout
    assert "SECRET" not in done.stdout


async def test_a_signal_is_a_negative_status() -> None:
    done = await execution.run(["sh", "-c", "kill -9 $$"], env=ENV, timeout=5 * SECOND)
    assert done.status == -9


async def test_output_up_to_the_time_limit_is_kept() -> None:
    done = await execution.run(["sh", "-c", "echo early; sleep 60"], env=ENV, timeout=milliseconds(200))
    assert done.status is None
    assert done.stdout == "early\n"
    assert done.took < 5 * SECOND


async def test_a_program_that_ignores_signals_is_killed_with_its_children() -> None:
    script = "trap '' INT TERM; sleep 60 & echo $!; echo $$; while :; do sleep 1; done"
    done = await execution.run(["sh", "-c", script], env=ENV, timeout=milliseconds(100))
    pids = [int(line) for line in done.stdout.split()]
    assert done.status is None
    assert len(pids) == 2
    assert not any([await alive(pid) for pid in pids])


async def test_a_child_left_in_the_background_does_not_hold_up_the_result() -> None:
    done = await execution.run(["sh", "-c", "sleep 60 & echo $!"], env=ENV, timeout=30 * SECOND)
    assert done.status == 0
    assert done.took < 5 * SECOND
    assert not await alive(int(done.stdout))


async def test_cancellation_kills_the_group(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"trap '' INT TERM; sleep 60 & echo $! $$ > {pids}.new; mv {pids}.new {pids}; wait; sleep 60"
    task = asyncio.create_task(execution.run(["sh", "-c", script], env=ENV, timeout=60 * SECOND))
    children = (await written(pids)).split()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not any([await alive(int(pid)) for pid in children])


async def test_long_output_keeps_head_and_tail_and_says_so() -> None:
    script = "import sys; sys.stdout.write('a'*300_000 + 'b'*600_000 + 'c'*300_000)"
    done = await execution.run([PYTHON, "-c", script], env=ENV, timeout=20 * SECOND)
    assert done.stdout.startswith("a" * 1000)
    assert done.stdout.endswith("c" * 1000)
    assert f"[{1_200_000 - 2 * execution.KEPT} bytes left out here]" in done.stdout


async def test_a_megabyte_of_input_that_nobody_reads_does_no_harm() -> None:
    done = await execution.run(["true"], env=ENV, stdin="x" * 1_000_000, timeout=5 * SECOND)
    assert done.ok


async def test_undecodable_bytes_are_replaced() -> None:
    done = await execution.run(["printf", r"a\377\000b"], env=ENV, timeout=5 * SECOND)
    assert done.stdout == "a\ufffd\0b"


def test_a_character_that_straddles_head_and_tail_is_whole() -> None:
    kept = execution.Bounded(3)
    kept.add("aaé".encode())
    assert kept.text() == "aaé"


async def test_a_program_that_is_not_there_is_an_error_that_names_it() -> None:
    with pytest.raises(SubstrateError, match="no-such-program"):
        await execution.run(["no-such-program"], env=ENV, timeout=SECOND)
    with pytest.raises(SubstrateError, match="no-such-program"):
        execution.start(["no-such-program"], env=ENV)


async def test_a_started_program_reads_lines_and_appends_to_files(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("before\n")
    async with execution.start(["sh", "-c", "read a; echo got $a"], env=ENV, stdout=out) as child:
        assert child.returncode is None
        await child.send("this")
        assert await child.wait(5 * SECOND) == 0
    assert out.read_text() == "before\ngot this\n"
    with pytest.raises(BrokenPipeError):
        await child.send("more")


async def test_leaving_the_scope_ends_the_group(tmp_path: Path) -> None:
    out = tmp_path / "out"
    async with execution.start(["sh", "-c", "sleep 60 & echo $!; wait"], env=ENV, stdout=out) as child:
        pid = int(await written(out))
    assert not await alive(pid)
    assert child.returncode == -2


async def test_waiting_has_a_limit() -> None:
    async with execution.start(["sleep", "60"], env=ENV) as child:
        assert await child.wait(milliseconds(20)) is None


async def test_no_descriptor_is_left_open() -> None:
    before = descriptors()
    for _ in range(5):
        await execution.run(["true"], env=ENV, stdin="x", timeout=5 * SECOND)
        with pytest.raises(SubstrateError):
            await execution.run(["no-such-program"], env=ENV, timeout=SECOND)
    assert descriptors() == before


def test_programs_are_found_on_the_path() -> None:
    assert execution.find("sh")
    assert execution.find("no-such-program") is None
