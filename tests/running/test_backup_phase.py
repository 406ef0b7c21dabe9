"""When in its backup schedule a drill's fault comes: whole trials on a modelled system, under virtual time."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.checking import backups
from harness.model.backup import BackupPhase, BackupSchedule
from harness.model.design import BASELINE, CONTROL, TREATED, Arm
from harness.model.history import History, Name, Phase
from harness.model.units import Ns, milliseconds, seconds
from tests.running.stage import CURES, DOWN, LEDGER, tried, with_recovery

pytestmark = pytest.mark.looptime

SCHEDULE = BackupSchedule(seconds(30))


async def phase(folder: Path, schedule: BackupSchedule | None, arm: Arm = TREATED) -> tuple[Ns, Ns]:
    """How long after the backup began the fault (without one: steady) came, and how long the backup took."""
    scenario = replace(DOWN, prepare=("backup",), ledger=LEDGER, backup=schedule)
    history, _ = await tried(CURES, arm, folder, scenario=scenario)
    backup = backups.taken(iter(history.events))
    assert backup is not None
    return act(history).at - backup.begun, backup.duration


def act(history: History):
    found = history.first(Name.FAULT, Phase.INVOKE) or history.first(Name.STEADY, Phase.OK)
    assert found is not None
    return found


@pytest.mark.parametrize("arm", [TREATED, CONTROL], ids=str)
async def test_the_fault_comes_just_before_the_next_backup_would_be_durable(tmp_path: Path, arm: Arm) -> None:
    came, duration = await phase(tmp_path, SCHEDULE, arm)
    assert abs(came - (seconds(30) + duration - backups.EDGE)) < milliseconds(20)


async def test_without_a_schedule_it_comes_as_soon_as_the_system_is_steady(tmp_path: Path) -> None:
    came, _ = await phase(tmp_path, None)
    assert came < seconds(8)


async def test_without_a_fault_nothing_is_waited_for(tmp_path: Path) -> None:
    came, _ = await phase(tmp_path, SCHEDULE, BASELINE)
    assert came < seconds(8)


async def test_a_random_phase_is_that_of_the_trials_seed(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    by_chance = replace(SCHEDULE, phase=BackupPhase.RANDOM, drilled=seconds(300))
    first, _ = await phase(tmp_path / "1", by_chance)
    second, _ = await phase(tmp_path / "2", by_chance)
    assert abs(first - second) < milliseconds(20)
    assert first < seconds(300)


async def test_a_point_that_is_over_is_not_waited_for(tmp_path: Path) -> None:
    """Steady takes longer than the schedule's interval: the record shows when the fault came."""
    scenario = replace(with_recovery(window=seconds(5)), prepare=("backup",), ledger=LEDGER)
    history, _ = await tried(CURES, TREATED, tmp_path, scenario=replace(scenario, backup=BackupSchedule(seconds(5))))
    backup = backups.taken(iter(history.events))
    assert backup is not None
    assert act(history).at - backup.begun >= seconds(5)
    assert history.first(Name.OBSERVED) is not None
