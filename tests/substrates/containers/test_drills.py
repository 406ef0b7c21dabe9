"""Scenarios written for containers, drilled in them for real; and one that `local` drills as well."""

import asyncio
import os
from pathlib import Path

import pytest

from harness import runbooks
from harness.model.design import CONTROL, TREATED
from harness.model.verdict import Word
from harness.planning import compile_plan
from harness.running.experiment import run_experiment, schedule
from harness.running.loading import Loaded, load
from harness.running.trial import Bench
from harness.substrates.containers import Containers
from tests.substrates.containers.conftest import there

ROOT = Path(__file__).parents[3]
FILES = ("api_down.py", "disk_full.py", "log_rotation.py", "slow_queries.py")


def scenario_id(value: object) -> str | None:
    return value.name if isinstance(value, Loaded) else None


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("loaded", load([str(ROOT / "scenarios/inventory" / file) for file in FILES]), ids=scenario_id)
async def test_a_scenario_drilled_in_containers_deserves_the_word_it_says(
    loaded: Loaded, containers: Containers, tmp_path: Path
) -> None:
    if not os.environ.get("RUNDRILL_ALL_DRILLS"):
        pytest.skip("set RUNDRILL_ALL_DRILLS=1 to drill every scenario in containers")
    for program in ("docker", "docker-compose"):
        if loaded.runbook.name == "containers.md" and not containers.tool(program):
            pytest.skip(f"{program} is not installed below /usr or /opt, and the runbook uses it")
    plan = compile_plan(loaded.scenario, runbooks.read(loaded.runbook), containers, name=loaded.name)
    trials = schedule((CONTROL, TREATED), 1, loaded.scenario.seed)
    bench = Bench(containers, "containers")
    assessment, _ = await run_experiment(plan, trials, bench, tmp_path, places=asyncio.Semaphore(1))
    told = "\n".join([assessment.why, *(f"{v.trial}: {f.why}" for v in assessment.verdicts for f in v.findings)])
    assert assessment.word is Word.EFFECTIVE, told
    assert not [one for one in there() if "containers-" in one]
