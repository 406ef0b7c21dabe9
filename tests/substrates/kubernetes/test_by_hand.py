"""`rundrill kubernetes run`, as a person runs it: a program of its own, from nothing to nothing."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.substrates.local.kubernetes import binaries
from tests.substrates.test_local_death import descendants, gone

pytestmark = [pytest.mark.real, pytest.mark.slow]


@contextmanager
def started(folder: Path, *words: str) -> "Iterator[subprocess.Popen[str]]":
    """`rundrill kubernetes run WORDS`, in `folder`, whose `tmp` it has to itself."""
    (folder / "tmp").mkdir(exist_ok=True)
    process = subprocess.Popen(
        (sys.executable, "-m", "harness.cli", "kubernetes", "run", *words),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "TMPDIR": str(folder / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_command_has_the_callers_files_and_the_cluster_and_gives_its_status(
    programs: binaries.Binaries, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("a file of mine\n")
    script = """
        cat mine.txt && id -u && test -f "$KUBECONFIG" && kubectl get nodes -o name
        kubectl config view -o jsonpath='{.clusters[0].cluster.server}{"\\n"}'
        echo written > made.txt
        exit 7
    """
    with started(tmp_path, "--", "sh", "-c", script) as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 7, err
    assert out.splitlines() == [
        "a file of mine",
        str(os.getuid()),
        "node/rundrill-control-plane",
        "https://10.0.0.1:6443",
    ]
    assert (tmp_path / "made.txt").read_text() == "written\n"
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_command_that_is_not_there_is_127(programs: binaries.Binaries, tmp_path: Path) -> None:
    with started(tmp_path, "--", "no-such-program") as process:
        _, err = process.communicate(timeout=120)
    assert process.returncode == 127
    assert "no-such-program: No such file or directory" in err


async def test_a_killed_harness_leaves_no_process_and_no_file_of_a_cluster(
    programs: binaries.Binaries, tmp_path: Path
) -> None:
    with started(tmp_path, "--", "sh", "-c", "kubectl get nodes -o name; setsid sleep 1000 & sleep 1000") as process:
        assert process.stdout
        assert await asyncio.to_thread(process.stdout.readline) == "node/rundrill-control-plane\n"
        label, below = f"by-hand-{process.pid}-1", descendants(process.pid)
        assert len(below) > 12
        process.kill()
        process.wait()
        assert await gone(label, below) == []
        assert list((tmp_path / "tmp").iterdir()) == []


async def test_a_harness_that_is_told_to_end_leaves_no_process_and_no_file(
    programs: binaries.Binaries, tmp_path: Path
) -> None:
    with started(tmp_path, "--", "sh", "-c", "echo up; sleep 1000") as process:
        assert process.stdout
        assert await asyncio.to_thread(process.stdout.readline) == "up\n"
        label, below = f"by-hand-{process.pid}-1", descendants(process.pid)
        process.terminate()
        assert await asyncio.to_thread(process.wait, 20) == 143
        assert await gone(label, below) == []
        assert list((tmp_path / "tmp").iterdir()) == []


def test_without_programs_nothing_is_started_and_both_remedies_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(binaries.ASSETS, str(tmp_path))
    with started(tmp_path, "--", "true") as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "there is no etcd" in err or "it needs namespaces" in err
    assert "nothing was started" in err


def test_a_table_of_images_that_does_not_exist_is_bad_input(tmp_path: Path) -> None:
    with started(tmp_path, "--images", "nowhere.toml", "--", "true") as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "nowhere.toml" in err
