"""A template is made once, whoever comes first, and never half."""

# A test may wait for a small file or a short program.
# ruff: noqa: ASYNC220, ASYNC240
import asyncio
import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import SubstrateError
from harness.model.topology import Role
from harness.substrates.local import template
from tests.substrates.conftest import ORDERS


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "rundrill"


async def test_it_is_made_once_however_many_come(cache: Path) -> None:
    made = 0

    async def make(path: Path) -> None:
        nonlocal made
        made += 1
        await asyncio.sleep(0.05)
        path.write_text("done")

    found = await asyncio.gather(*(template.obtain("one", make) for _ in range(5)))
    assert made == 1
    assert sorted(first for _, first in found) == [False] * 4 + [True]
    assert {path.read_text() for path, _ in found} == {"done"}


async def test_a_failure_leaves_nothing_that_passes_for_one(cache: Path) -> None:
    async def fail(path: Path) -> None:
        path.write_text("half")
        raise SubstrateError("no")

    async def make(path: Path) -> None:
        path.write_text("whole")

    with pytest.raises(SubstrateError, match="no"):
        await template.obtain("one", fail)
    path, made = await template.obtain("one", make)
    assert (path.read_text(), made) == ("whole", True)
    assert sorted(entry.name for entry in cache.iterdir()) == ["one.lock", "one.tar"]


async def test_whoever_is_killed_while_making_it_holds_up_nobody(cache: Path) -> None:
    script = (
        "import asyncio, sys\nfrom harness.substrates.local import template\n"
        "async def make(path):\n    path.write_text('half'); print('making', flush=True); await asyncio.sleep(60)\n"
        "asyncio.run(template.obtain('one', make))"
    )
    other = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert other.stdout
    assert other.stdout.readline() == b"making\n"

    async def make(path: Path) -> None:
        path.write_text("whole")

    waiting = asyncio.create_task(template.obtain("one", make))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    other.kill()
    other.communicate()
    path, made = await waiting
    assert (path.read_text(), made) == ("whole", True)
    assert [entry.name for entry in cache.glob("*.new")] == []


def test_it_depends_on_what_is_in_it_and_on_nothing_else() -> None:
    one = template.key(ORDERS, "18.6.3")
    same = dataclasses.replace(
        ORDERS.with_settings(max_connections="5"),
        name="other",
        hosts=("x",),
        volume_mb=64,
        clock_ahead_s=9.0,
        standbys=2,
    )
    assert template.key(same, "18.6.3") == one
    others = [
        dataclasses.replace(ORDERS, schema=""),
        dataclasses.replace(ORDERS, owner=Role("shop", "another")),
        dataclasses.replace(ORDERS, roles=()),
        dataclasses.replace(ORDERS, database="other"),
    ]
    assert one not in {template.key(other, "18.6.3") for other in others}
    assert template.key(ORDERS, "18.7.0") != one


def test_a_cache_that_cannot_be_written_is_an_error_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.joinpath("file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(SubstrateError, match="set XDG_CACHE_HOME"):
        template.cache()


def test_the_usual_place_is_below_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert template.cache() == tmp_path / ".cache" / "rundrill"
    assert os.access(template.cache(), os.W_OK)
