"""Gates on modelled systems, under virtual time: they stop when they have decided, and resume as if never interrupted."""

import asyncio
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from harness.checking.gate import BRONZE, QUICK, Decision
from harness.clock import now
from harness.errors import StoreError
from harness.model.design import CONTROL, TREATED
from harness.model.units import SECOND, seconds
from harness.model.verdict import Outcome
from harness.running import gating, triallog
from harness.running.pool import here
from harness.running.trial import Bench
from harness.substrates.simulated import Model
from tests.running.stage import CURE, CURES, DOWN, LEDGER, ground, planned, with_recovery


class Gated:
    """A gate on a model, as the command runs one; each call of `run` is another day."""

    def __init__(self, folder: Path, model: Model = CURES, *, tier=BRONZE, scenario=DOWN, names=("shop/down",)) -> None:
        self.folder = folder
        self.substrate = ground(model)
        self.tier = tier
        self.plans = tuple(replace(planned(scenario, substrate=self.substrate), name=name) for name in names)
        self.days = 0
        self.told = []

    @property
    def path(self) -> Path:
        return self.folder / "trials.jsonl"

    @contextmanager
    def log(self):
        with triallog.opened(self.path, gating.opening(self.plans, self.substrate, self.tier, 1)) as log:
            yield log

    async def run(self, *, jobs=1, budget=None, runner=None):
        self.days += 1
        runner = runner or here(Bench(self.substrate, "test"))
        with self.log() as log:
            found = await gating.run_gate(
                self.plans,
                log,
                runner,
                self.folder / str(self.days),
                jobs=jobs,
                budget=budget,
                listener=self.told.append,
            )
        return found if len(found) > 1 else found[0]


@pytest.mark.looptime
async def test_a_procedure_that_works_passes_after_five_trials_and_two_controls(tmp_path: Path) -> None:
    gate = Gated(tmp_path)
    found = await gate.run()
    assert found.outcome is Outcome.PASSED
    assert (found.gate.ok, found.control.failed) == (5, 2)
    assert len(gate.told) == 7
    assert len({r.place.environment for r in found.records}) == 7


@pytest.mark.looptime
async def test_a_procedure_that_mends_nothing_fails_after_two(tmp_path: Path) -> None:
    found = await Gated(tmp_path, Model()).run()
    assert (found.outcome, found.gate.failed) == (Outcome.FAILED, 2)


@pytest.mark.looptime
async def test_recovery_that_needs_no_procedure_is_not_attributed_to_it(tmp_path: Path) -> None:
    found = await Gated(tmp_path, replace(CURES, heals_after=seconds(4))).run()
    assert found.decision is Decision.PASS
    assert (found.attributable, found.outcome) == (False, Outcome.FAILED)


@pytest.mark.looptime
async def test_a_lost_write_fails_at_once_where_none_may_be_lost(tmp_path: Path) -> None:
    scenario = replace(with_recovery(rpo=0), ledger=LEDGER)
    found = await Gated(tmp_path, replace(CURES, loses=3), scenario=scenario).run()
    assert found.gate.violated
    assert len(found.of(TREATED)) == 1


@pytest.mark.looptime
async def test_a_fault_that_is_never_felt_ends_inconclusive_not_failed(tmp_path: Path) -> None:
    found = await Gated(tmp_path, replace(CURES, felt=False)).run()
    assert found.outcome is Outcome.INCONCLUSIVE
    assert found.gate.n == 0
    assert found.invalid() == 4


@pytest.mark.looptime
async def test_a_gate_resumes_where_its_budget_ended(tmp_path: Path) -> None:
    gate = Gated(tmp_path)
    found = await gate.run(budget=seconds(60))
    assert found.open
    before = len(found.records)
    assert 0 < before < 7
    found = await gate.run()
    assert found.outcome is Outcome.PASSED
    assert (found.gate.ok, found.control.failed) == (5, 2)
    assert found.records[:before] == tuple(gate.told[:before])
    assert len({r.trial for r in found.records}) == len(found.records)


@pytest.mark.looptime
async def test_a_gate_that_has_decided_runs_nothing_more(tmp_path: Path) -> None:
    gate = Gated(tmp_path)
    await gate.run()
    told = len(gate.told)
    before = gate.path.read_bytes()
    assert (await gate.run()).outcome is Outcome.PASSED
    assert (len(gate.told), gate.path.read_bytes()) == (told, before)


@pytest.mark.looptime
async def test_interrupting_a_trial_does_not_make_it_disappear(tmp_path: Path) -> None:
    gate = Gated(tmp_path, tier=QUICK)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await gate.run()
    with gate.log() as log:
        assert len(log.interrupted()) == 3
        assert gating.evidence(gate.plans[0], log).invalid() + len(
            [b for b in log.interrupted() if b.arm == CONTROL]
        ) == 3  # fmt: skip


@pytest.mark.looptime
async def test_blocks_are_randomised_and_balanced(tmp_path: Path) -> None:
    gate = Gated(tmp_path, replace(CURES, reactions=(CURE,), heals_after=None))
    found = await gate.run()
    blocks = {}
    for each in found.records:
        blocks.setdefault(each.block, []).append(each.arm)
    assert sorted(blocks) == [1, 2, 3, 4, 5]
    assert [sorted(arms) for arms in blocks.values()] == [[CONTROL, TREATED]] * 2 + [[TREATED]] * 3


@pytest.mark.looptime
async def test_several_cells_run_in_common_blocks_and_all_are_decided(tmp_path: Path) -> None:
    gate = Gated(tmp_path, names=("shop/a", "shop/b"))
    found = await gate.run()
    assert [each.outcome for each in found] == [Outcome.PASSED, Outcome.PASSED]
    assert {each.gate.cells for each in found} == {2}
    assert {r.cell for r in gate.told if r.block == 1} == {"shop/a", "shop/b"}


class Uneven:
    """Runs trials of which the failing ones take longer than the others, as they do."""

    def __init__(self, substrates) -> None:
        self.substrates = iter(substrates)

    async def __call__(self, plan, trial, folder):
        return await here(Bench(next(self.substrates), "test"))(plan, trial, folder)


@pytest.mark.looptime
async def test_trials_count_in_the_order_they_were_drawn_in_not_in_that_they_ended_in(tmp_path: Path) -> None:
    gate = Gated(tmp_path)
    stuck, cured = ground(Model()), ground(CURES)
    found = await gate.run(jobs=4, runner=Uneven([stuck, cured, stuck, cured] + [cured] * 40))
    assert [r.block for r in found.records] == sorted(r.block for r in found.records)
    first = [r.verdict.status for r in found.records[:4]]
    assert len(set(first)) == 2
    began = [r.place.batch for r in found.records]
    assert began[:4] == [1, 1, 2, 2] or began[:4] == [1, 1, 1, 1]


@pytest.mark.looptime
async def test_jobs_run_side_by_side(tmp_path: Path) -> None:
    took = {}
    for jobs in (1, 2):
        began = now()
        await Gated(tmp_path / str(jobs)).run(jobs=jobs)
        took[jobs] = (now() - began) / SECOND
    assert took[2] < 0.75 * took[1]


@pytest.mark.looptime
async def test_a_log_of_another_text_is_refused_before_anything_is_run(tmp_path: Path) -> None:
    gate = Gated(tmp_path)
    await gate.run(budget=seconds(20))
    before = gate.path.read_bytes()
    other = Gated(tmp_path, scenario=replace(DOWN, title="Another"))
    with pytest.raises(StoreError, match="begun for something else"):
        await other.run()
    assert gate.path.read_bytes() == before
    assert not other.told


@pytest.mark.looptime
async def test_the_effort_is_told_beforehand_and_comes_true(tmp_path: Path) -> None:
    gate = Gated(tmp_path)
    with gate.log() as log:
        found = gating.evidence(gate.plans[0], log)
    ahead = gating.effort(found, gate.plans[0], 1.0, jobs=1)
    assert ahead.trials == 7
    began = now()
    await gate.run()
    assert now() - began < ahead.wall
