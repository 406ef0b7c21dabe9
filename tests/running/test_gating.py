"""Gates on modelled systems, under virtual time: they stop when they have decided, and resume as if never interrupted."""

import asyncio
import hashlib
import random
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from harness.checking.evidence import Interrupted, gather
from harness.checking.gate import BRONZE, QUICK, Decision
from harness.clock import now
from harness.errors import StoreError
from harness.model.design import CONTROL, TREATED
from harness.model.history import Name
from harness.model.units import SECOND, seconds
from harness.model.verdict import Outcome, Status
from harness.running import gating, triallog
from harness.running.pool import here, host
from harness.running.trial import Bench
from harness.substrates.simulated import Model
from tests.checking.records import record
from tests.running.stage import CURE, CURES, DOWN, LEDGER, ground, planned, with_recovery


class Gated:
    """A gate on a model, as the command runs one; each call of `run` is another day."""

    def __init__(
        self, folder: Path, model: Model = CURES, *, tier=BRONZE, scenario=DOWN, names=("shop/down",), seed=1
    ) -> None:
        self.folder = folder
        self.substrate = ground(model)
        self.tier = tier
        self.seed = seed
        self.plans = tuple(replace(planned(scenario, substrate=self.substrate), name=name) for name in names)
        self.days = 0
        self.told = []

    @property
    def path(self) -> Path:
        return self.folder / "trials.jsonl"

    @contextmanager
    def log(self):
        with triallog.opened(self.path, gating.opening(self.plans, self.substrate, self.tier, self.seed)) as log:
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
@pytest.mark.parametrize("seed", [1, 3])  # with 3 the control is decided while a treated trial of its block waits
async def test_blocks_are_randomised_and_balanced(tmp_path: Path, seed) -> None:
    gate = Gated(tmp_path, replace(CURES, reactions=(CURE,), heals_after=None), seed=seed)
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


def test_a_digest_is_that_of_plan_substrate_isolation_and_class_of_host() -> None:
    plan, substrate = planned(), ground(CURES)
    told = "\n".join((plan.digest, substrate.name, substrate.isolation, host()[1]))
    assert gating.digest(plan, substrate) == hashlib.sha256(told.encode()).hexdigest()


def test_the_effort_is_by_the_mean_of_the_trials_there_are() -> None:
    plan = planned()
    seen = [replace(record(number=n), took=seconds(10 * n)) for n in (1, 2)]
    found = gather("shop/down", BRONZE, plan.terms.recovery, cells=1, records=seen)
    assert gating.effort(found, plan, 1.0, jobs=1) == gating.Effort(1.0, 5, seconds(75))
    assert gating.effort(found, plan, 1.0, jobs=2) == gating.Effort(1.0, 5, seconds(37.5))
    stuck = record(CONTROL, Status.CENSORED, number=3)
    half = gather("shop/down", BRONZE, plan.terms.recovery, cells=1, records=[*seen, stuck])
    assert gating.effort(half, plan, 1.0, jobs=1).trials == 4
    nothing = gather("shop/down", BRONZE, plan.terms.recovery, cells=1, records=[])
    assert gating.effort(nothing, plan, 1.0, jobs=2).wall == round(3.5 * gating.longest(plan))


def test_a_trial_takes_at_longest_its_window_and_its_horizon_beside_what_brings_it_up() -> None:
    plan = planned()
    watched = plan.terms.recovery.window + plan.terms.recovery.horizon
    assert gating.longest(replace(plan, prepare=())) == gating.BRINGING_UP + watched
    prepared = tuple(replace(plan.steps[0], timeout=seconds(n)) for n in (3, 9))
    assert gating.longest(replace(plan, prepare=prepared)) == gating.BRINGING_UP + seconds(3 + 5) + watched


@pytest.mark.looptime
async def test_without_any_time_nothing_is_begun(tmp_path: Path) -> None:
    found = await Gated(tmp_path).run(budget=0)
    assert (found.records, found.interrupted, found.open) == ((), (), True)


@pytest.mark.looptime
async def test_what_was_interrupted_counts_in_its_own_cell_only(tmp_path: Path) -> None:
    gate = Gated(tmp_path, names=("shop/a", "shop/b"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3):
            await gate.run()
    with gate.log() as log:
        (begun,) = log.interrupted()
        found = {plan.name: gating.evidence(plan, log).interrupted for plan in gate.plans}
    assert found.pop(begun.cell) == (Interrupted(begun.arm, begun.block),)
    assert list(found.values()) == [()]


def kept(folder: Path) -> list[str]:
    """The folders that trials were run in."""
    return [str(path.relative_to(folder / "kept")) for path in folder.glob("kept/*/*")]


@pytest.mark.looptime
async def test_trials_are_run_one_after_another_and_their_waves_are_numbered_over_the_days(tmp_path: Path) -> None:
    gate, waves = Gated(tmp_path), []
    await asyncio.sleep(100)  # a budget begins with the gate, and not with the clock
    for budget in (seconds(60), None):
        with gate.log() as log:
            runner = here(Bench(gate.substrate, "test"))
            (found,) = await gating.run_gate(gate.plans, log, runner, tmp_path / "kept", budget=budget)
            waves.append([r.place.batch for r in found.records])
    assert waves[0] == list(range(1, len(waves[0]) + 1))
    assert 0 < len(waves[0]) < 7
    assert waves[1] == [1, 2, 3, 4, 5, 6, 7]
    assert {(r.place.host, r.place.host_class) for r in found.records} == {host()}
    assert sorted(kept(tmp_path)) == sorted(f"shop__down/{r.trial}" for r in found.records)


@pytest.mark.looptime
@pytest.mark.parametrize(("tier", "needed"), [(BRONZE, 5), (QUICK, 1)])
async def test_no_more_trials_wait_than_could_decide(tmp_path: Path, tier, needed) -> None:
    found = await Gated(tmp_path, tier=tier).run(jobs=20)
    first = [r.arm for r in found.records if r.place.batch == 1]
    assert (first.count(TREATED), first.count(CONTROL)) == (needed, 2)
    assert (found.outcome, len(first)) == (Outcome.PASSED, len(found.records))


@pytest.mark.looptime
async def test_what_is_drawn_in_a_block_follows_from_the_gates_seed_and_the_blocks_number(tmp_path: Path) -> None:
    found = await Gated(tmp_path).run()
    for number in (1, 2):
        order, arms = random.Random(f"1/{number}"), [CONTROL, TREATED]
        order.shuffle(arms)
        drawn = [(arm, f"{arm}-{number}", order.randrange(2**31)) for arm in arms]
        assert [(r.arm, r.trial, r.seed) for r in found.records if r.block == number] == drawn


@pytest.mark.looptime
async def test_an_environment_that_nothing_is_told_of_has_no_name(tmp_path: Path) -> None:
    gate = Gated(tmp_path)

    async def bare(plan, trial, folder):
        history = await here(Bench(gate.substrate, "test"))(plan, trial, folder)
        return replace(history, events=tuple(e for e in history.events if e.name is not Name.ENVIRONMENT))

    found = await gate.run(runner=bare, budget=1)
    assert [r.place.environment for r in found.records] == [""]
