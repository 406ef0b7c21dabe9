"""A full disk, which is never any other disk."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.errors import FaultError, SubstrateError
from harness.faults import FillDisk
from harness.faults.resources import _must_be_its_own
from harness.faults.server import ServerError, session
from harness.model.topology import Postgres, Role
from harness.ports import Database, Room
from harness.substrates.local.volume import room
from tests.faults.conftest import Staged


def free_kb(volume: Path) -> int:
    stat = os.statvfs(volume)
    return stat.f_bavail * stat.f_frsize // 1024


async def grow(database: Database) -> str:
    """What becomes of 8 MB of new rows."""
    try:
        async with session(database) as server:
            await server.ask("CREATE UNLOGGED TABLE grown AS SELECT repeat('x', 1000) FROM generate_series(1, 8000)")
    except ServerError as error:
        return error.code
    return ""


@pytest.mark.real
@pytest.mark.parametrize("leave_kb", [0, 512, 4096])
async def test_a_full_volume_refuses_rows_until_the_fault_ends(staged: Staged, leave_kb: int) -> None:
    fault = FillDisk(database="main", leave_kb=leave_kb)
    async with staged(fault) as stage:
        database = stage.environment.database("main")
        before, host = free_kb(database.volume), free_kb(Path("/tmp"))
        async with fault.applied_to(stage) as injection:
            assert injection.felt, injection.why
            assert injection.evidence["spilling"] == "53100"
            assert int(injection.evidence["free_kb"] or 0) <= leave_kb
            assert await grow(database) == "53100"
            assert abs(free_kb(Path("/tmp")) - host) < 100_000
        assert free_kb(database.volume) > before - 4096
        assert await grow(database) == ""


@pytest.mark.real
async def test_a_file_that_the_operator_moved_or_removed_is_not_missed(staged: Staged) -> None:
    fault = FillDisk(database="main")
    async with staged(fault) as stage:
        volume = stage.environment.database("main").volume
        async with fault.applied_to(stage):
            (volume / "export.dump").rename(volume / "old.dump")
        assert (volume / "old.dump").stat().st_size == 0
        async with fault.applied_to(stage):
            (volume / "export.dump").unlink()
        assert free_kb(volume) > 50_000


@pytest.mark.real
async def test_a_server_that_went_down_over_it_is_up_afterwards(staged: Staged) -> None:
    fault = FillDisk(database="main")
    async with staged(fault) as stage:
        database = stage.environment.database("main")
        async with fault.applied_to(stage):
            await database.stop(mode="immediate")
        assert await database.up()


@pytest.mark.real
async def test_a_file_that_is_there_is_not_overwritten(staged: Staged) -> None:
    fault = FillDisk(database="main")
    async with staged(fault) as stage:
        volume = stage.environment.database("main").volume
        (volume / "export.dump").write_text("precious")
        with pytest.raises(FaultError, match="File exists"):
            async with fault.applied_to(stage):
                pytest.fail("it was applied")
        assert (volume / "export.dump").read_text() == "precious"


@dataclass
class OfAnotherSize:
    """A database whose volume is not what was declared; nothing else of it is asked for."""

    spec: Postgres

    async def room(self) -> Room:
        return Room(size=64 << 20, free=64 << 20)


def test_a_folder_that_is_no_volume_of_its_own_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SubstrateError, match="lies on the file system around it"):
        room("main", tmp_path)


async def test_a_file_system_of_another_size_than_declared_is_refused() -> None:
    spec = Postgres(name="main", database="store", owner=Role("app"), volume_mb=3)
    with pytest.raises(FaultError, match="expected a volume of 3 MiB"):
        await _must_be_its_own(OfAnotherSize(spec))  # type: ignore[arg-type]


def test_a_volume_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SubstrateError, match="cannot be looked at"):
        room("main", tmp_path / "none")
