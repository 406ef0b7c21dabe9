"""What a dead run leaves behind is found and undone, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from harness.substrates import journal
from harness.substrates.journal import Folder, Journal, Mortal, Over, read, reap


def dead() -> int:
    """The pid of a process that has just ended."""
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


def write(folder: Path, *entries: journal.Entry) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)
    folder.joinpath(journal.NAME).write_bytes(lines)


def test_leftovers_of_a_dead_harness_are_undone(tmp_path: Path) -> None:
    stray = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    left = tmp_path / "left"
    left.joinpath("deep").mkdir(parents=True)
    write(
        tmp_path / "runs" / "one" / "trial",
        Mortal("env", dead(), 1, journal.HARNESS),
        Folder("env", str(left)),
        Mortal("env", stray.pid, journal.started(stray.pid) or 0, "the supervisor"),
    )
    done = reap(tmp_path / "runs")
    assert stray.wait(5) == -9
    assert not left.exists()
    place = tmp_path / "runs" / "one" / "trial"
    assert done == [f"{place}: killed the supervisor, pid {stray.pid}", f"{place}: removed {left}"]
    assert stray.stdin
    stray.stdin.close()
    assert reap(tmp_path / "runs") == []


def test_a_pid_that_was_given_to_another_process_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        began = (journal.started(other.pid) or 0) - 1
        write(tmp_path, Mortal("env", dead(), 1, journal.HARNESS), Mortal("env", other.pid, began, "the supervisor"))
        assert reap(tmp_path) == []
        assert other.poll() is None


def test_a_living_run_is_not_touched(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    kept = Journal(tmp_path, "env")
    kept.made(mine)
    assert reap(tmp_path) == []
    assert mine.is_dir()


def test_what_was_undone_is_not_undone_again(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    write(tmp_path, Mortal("a", dead(), 1, journal.HARNESS), Folder("a", str(mine)), Over("a"), Mortal("b", 1, 0, "x"))
    assert reap(tmp_path) == []
    assert mine.is_dir()


def test_a_line_cut_short_by_a_kill_is_left_out(tmp_path: Path) -> None:
    Journal(tmp_path, "env").process(os.getpid(), "the supervisor")
    path = tmp_path / journal.NAME
    path.write_bytes(path.read_bytes() + b'{"kind":"fold')
    assert [type(entry) for entry in read(path)] == [Mortal, Mortal]


def test_no_runs_no_leftovers(tmp_path: Path) -> None:
    assert reap(tmp_path / "never") == []
