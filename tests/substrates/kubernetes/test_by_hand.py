"""`rundrill kubernetes run`, as a person runs it: a program of its own, from nothing to nothing."""

import asyncio
import os
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from harness.substrates.local.kubernetes import binaries
from tests.harnesses import launched, said
from tests.substrates.test_local_death import descendants, gone

pytestmark = [pytest.mark.real, pytest.mark.slow]


def by_hand(folder: Path, *words: str, **variables: str) -> "AbstractContextManager[subprocess.Popen[str]]":
    """`rundrill kubernetes run WORDS`, in `folder`, whose `tmp` it has to itself."""
    (folder / "tmp").mkdir(exist_ok=True)
    command = ("-m", "harness.cli", "kubernetes", "run", *words)
    return launched(*command, cwd=folder, TMPDIR=str(folder / "tmp"), **variables)


def test_a_command_has_the_callers_files_and_the_cluster_and_gives_its_status(
    programs: binaries.Binaries, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("a file of mine\n")
    (tmp_path / "images.toml").write_text('["mine:1"]\ncommand = ["true"]\n')
    script = """
        cat mine.txt && id -u && test -f "$KUBECONFIG" && kubectl get nodes -o name
        kubectl config view -o jsonpath='{.clusters[0].cluster.server}{"\\n"}'
        echo written > made.txt
        exit 7
    """
    with by_hand(tmp_path, "--images", "images.toml", "--", "sh", "-c", script) as process:
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


async def test_a_killed_harness_leaves_no_process_and_no_file_of_a_cluster(
    programs: binaries.Binaries, tmp_path: Path
) -> None:
    with by_hand(tmp_path, "--", "sh", "-c", "kubectl get nodes -o name; setsid sleep 1000 & sleep 1000") as process:
        await said(process, "node/rundrill-control-plane")
        label, below = f"by-hand-{process.pid}-1", descendants(process.pid)
        assert len(below) > 12
        process.kill()
        process.wait()
        assert await gone(label, below) == []
        assert list((tmp_path / "tmp").iterdir()) == []


async def test_a_harness_that_is_told_to_end_leaves_no_process_and_no_file(
    programs: binaries.Binaries, tmp_path: Path
) -> None:
    with by_hand(tmp_path, "--", "sh", "-c", "echo up; sleep 1000") as process:
        await said(process, "up")
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
    with by_hand(tmp_path, "--", "true") as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "there is no etcd" in err or "it needs namespaces" in err
    assert "nothing was started" in err


def test_a_table_of_images_that_does_not_exist_is_bad_input(tmp_path: Path) -> None:
    with by_hand(tmp_path, "--images", "nowhere.toml", "--", "true") as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "nowhere.toml" in err


def test_a_command_that_is_not_there_is_127_before_anything_is_started(tmp_path: Path) -> None:
    with by_hand(tmp_path, "--", "no-such-program") as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 127
    assert err == "no-such-program: there is no such program; nothing was started\n"


def test_tables_of_images_that_are_wrong_are_all_told_before_anything_is_started(
    programs: binaries.Binaries, tmp_path: Path
) -> None:
    (tmp_path / "one.toml").write_text('["web:1"]\ncommand = "not a list"\n["web:2"]\ncomand = ["true"]\n')
    (tmp_path / "two.toml").write_text('["web:3"\n')
    with by_hand(tmp_path, "--images", "one.toml", "--images", "two.toml", "--", "true") as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    places = [line.partition(": ")[0] for line in err.splitlines()[::2]]
    assert places == ["one.toml:1", "one.toml:3", "two.toml:1", "3 problems; nothing was started"]
    assert list((tmp_path / "tmp").iterdir()) == []
