"""Experiments: a balanced randomised schedule, all trials of it, and the same judgement whenever it is asked for."""

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clock import now
from harness.errors import InputError, StoreError
from harness.model.design import ARMS, BASELINE, CONTROL, SHAM, TREATED
from harness.model.units import SECOND, milliseconds, seconds
from harness.model.verdict import Outcome, Word
from harness.ports import Capability
from harness.reporting import files
from harness.reporting.drill import Drill
from harness.running import store
from harness.running.experiment import assess_stored, run_experiment, schedule
from harness.running.trial import Bench
from harness.scenario import Known
from harness.substrates.simulated import Model, Reaction, Simulated
from tests.running.stage import CURE, CURES, DOWN, LEDGER, Watched, ground, planned, with_recovery

ARM_SETS = st.lists(st.sampled_from(ARMS), min_size=1, max_size=4, unique=True)


@given(ARM_SETS, st.integers(1, 12), st.integers())
def test_every_block_of_the_schedule_has_every_arm_once(arms, repetitions, seed) -> None:
    trials = schedule(arms, repetitions, seed)
    assert len(trials) == len(arms) * repetitions
    for number in range(1, repetitions + 1):
        block = trials[(number - 1) * len(arms) : number * len(arms)]
        assert sorted(trial.arm for trial in block) == sorted(arms)
        assert {trial.number for trial in block} == {number}
    assert len({trial.id for trial in trials}) == len(trials)


@given(ARM_SETS, st.integers(1, 6), st.integers())
def test_the_schedule_follows_from_its_seed(arms, repetitions, seed) -> None:
    assert schedule(arms, repetitions, seed) == schedule(arms, repetitions, seed)


def test_the_order_within_blocks_is_drawn_not_fixed() -> None:
    first = Counter(schedule(ARMS, 1, seed)[0].arm for seed in range(400))
    assert set(first) == set(ARMS)
    assert min(first.values()) > 60


def test_trials_have_seeds_of_their_own() -> None:
    trials = schedule((CONTROL, TREATED), 10, 1)
    assert len({trial.seed for trial in trials}) == 20


NOT_THERE = Reaction(pattern="uptime", status=127, stderr="uptime: command not found")


async def experiment(
    model: Model, run: Path, *, scenario=DOWN, arms=(CONTROL, TREATED), places=1, repetitions=1, **bench
):
    substrate = ground(model)
    plan = planned(scenario, substrate=substrate)
    run.mkdir(exist_ok=True)  # noqa: ASYNC240 - on virtual time nothing waits
    return await run_experiment(
        plan,
        schedule(arms, repetitions, 1),
        Bench(substrate, run.name, **bench),
        run,
        places=asyncio.Semaphore(places),
    )


@pytest.mark.looptime
async def test_a_procedure_that_mends_what_does_not_heal_is_effective(tmp_path: Path) -> None:
    watched = Watched()
    assessment, histories = await experiment(CURES, tmp_path / "run", arms=ARMS, reporters=(watched,))
    assert (assessment.word, assessment.outcome) == (Word.EFFECTIVE, Outcome.PASSED)
    assert [summary.arm for summary in assessment.arms] == list(ARMS)
    assert len(histories) == 4
    assert watched.verdicts == {
        "shop/down baseline-1": "no_breach",
        "shop/down control-1": "censored",
        "shop/down treated-1": "ok",
        "shop/down sham-1": "no_breach",
        "shop/down": "effective",
    }


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("model", "changes", "word"),
    [
        (Model(), {}, Word.INEFFECTIVE),
        (replace(CURES, heals_after=seconds(4)), {}, Word.UNNECESSARY),
        (replace(CURES, reactions=(replace(CURE, cures_after=seconds(6)),)), {"rto": seconds(5)}, Word.SLOW),
        (replace(CURES, reactions=(NOT_THERE, CURE)), {}, Word.BROKEN),
        (replace(CURES, felt=False), {}, Word.INVALID),
        (replace(CURES, trouble="no room"), {}, Word.INVALID),
    ],
    ids=["ineffective", "unnecessary", "slow", "broken", "not felt", "no environment"],
)  # fmt: skip
async def test_each_word_is_reached_by_the_system_that_deserves_it(tmp_path: Path, model, changes, word) -> None:
    assessment, _ = await experiment(model, tmp_path / "run", scenario=with_recovery(**changes))
    assert assessment.word is word


class Hiccuping(Simulated):
    """Its instrument leaves gaps in the environments of these numbers."""

    def __init__(self, model: Model, *hiccups: int) -> None:
        super().__init__(model, provides=frozenset(Capability))
        self._fit, self._hiccups = model, hiccups

    def environment(self, *args, **keywords):
        gaps = len(self.environments) in self._hiccups
        self.model = replace(self._fit, period=milliseconds(400)) if gaps else self._fit
        return super().environment(*args, **keywords)


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("hiccups", "again", "ran", "word"),
    [
        ((), True, {"control-1", "treated-1"}, Word.EFFECTIVE),
        ((0, 1), True, {"control-1", "control-2", "treated-1", "treated-2"}, Word.EFFECTIVE),
        ((0, 1, 2, 3), True, {"control-1", "control-2", "treated-1", "treated-2"}, Word.INVALID),
        ((0, 1), False, {"control-1", "treated-1"}, Word.INVALID),
    ],
    ids=["none", "one of each arm", "all", "not wished"],
)
async def test_one_trial_of_each_arm_that_was_unfit_is_run_once_more(tmp_path: Path, hiccups, again, ran, word) -> None:
    run = tmp_path / "run"
    run.mkdir()
    bench = Bench(Hiccuping(CURES, *hiccups), run.name, replace=again, ahead=again)
    trials = schedule((CONTROL, TREATED), 1, 1)
    assessment, histories = await run_experiment(planned(), trials, bench, run, places=asyncio.Semaphore(1))
    assert {history.header.trial for history in histories} == ran
    assert len({history.header.seed for history in histories}) == len(ran)
    assert assessment.word is word
    assert sum(arm.invalid for arm in assessment.arms) == len(hiccups)


@pytest.mark.looptime
async def test_a_procedure_that_breaks_a_healthy_system_is_harmful(tmp_path: Path) -> None:
    model = Model(reactions=(Reaction(pattern="mend-it", cures_after=0, harms_after=0),))
    assessment, _ = await experiment(model, tmp_path / "run", arms=(CONTROL, TREATED, SHAM))
    assert assessment.word is Word.HARMFUL


@pytest.mark.looptime
async def test_without_a_control_nothing_is_called_effective(tmp_path: Path) -> None:
    assessment, _ = await experiment(CURES, tmp_path / "run", arms=(TREATED,))
    assert assessment.word is Word.INCONCLUSIVE


@pytest.mark.looptime
async def test_a_known_defect_passes_if_and_only_if_it_shows(tmp_path: Path) -> None:
    scenario = replace(DOWN, expect=Known(word=Word.INEFFECTIVE, because="it mends nothing"))
    shown, _ = await experiment(Model(), tmp_path / "shown", scenario=scenario)
    assert (shown.word, shown.outcome) == (Word.INEFFECTIVE, Outcome.PASSED)
    mended, _ = await experiment(CURES, tmp_path / "mended", scenario=scenario)
    assert (mended.word, mended.outcome) == (Word.EFFECTIVE, Outcome.FAILED)


@pytest.mark.looptime
async def test_as_many_trials_run_at_a_time_as_there_are_places(tmp_path: Path) -> None:
    took = {}
    for places in (1, 2, 4):
        began = now()
        await experiment(CURES, tmp_path / str(places), arms=(CONTROL,), repetitions=4, places=places)
        took[places] = (now() - began) / SECOND
    assert took[1] == pytest.approx(4 * took[4], rel=0.02)
    assert took[2] == pytest.approx(2 * took[4], rel=0.02)


@pytest.mark.looptime
async def test_judging_a_stored_run_gives_what_was_said_when_it_ran(tmp_path: Path) -> None:
    scenario = replace(with_recovery(rpo=seconds(1)), ledger=LEDGER, caveats=("small",))
    run = tmp_path / "run"
    assessment, histories = await experiment(replace(CURES, loses=5), run, scenario=scenario, arms=ARMS, repetitions=2)
    ((stored, read),) = store.scenarios(run)
    assert assess_stored(stored, read) == assessment
    assert {h.header.trial for h in read} == {h.header.trial for h in histories}


@pytest.mark.looptime
async def test_judging_a_stored_run_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assessment, histories = await experiment(CURES, run, arms=ARMS)
    files.write([Drill(assessment, histories)], run)
    first = (run / "assessment.json").read_bytes()
    for _ in range(2):
        (run / "assessment.json").unlink()
        drills = [Drill(assess_stored(stored, read), read) for stored, read in store.scenarios(run)]
        files.write(drills, run)
        assert (run / "assessment.json").read_bytes() == first


@pytest.mark.looptime
async def test_a_run_keeps_one_folder_a_scenario_and_refuses_a_second_of_the_name(tmp_path: Path) -> None:
    run = tmp_path / "run"
    await experiment(CURES, run)
    assert sorted(p.name for p in run.iterdir()) == ["shop__down"]
    assert sorted(p.name for p in (run / "shop__down").iterdir()) == ["control-1", "scenario.json", "treated-1"]
    with pytest.raises(InputError, match="two scenarios of one run are called `shop/down`"):
        await experiment(CURES, run)


# The store


def test_new_runs_are_made_empty_and_never_shared(tmp_path: Path) -> None:
    runs = [store.new_run(tmp_path / "deep/runs") for _ in range(20)]
    assert len(set(runs)) == 20
    assert all(run.is_dir() and not list(run.iterdir()) for run in runs)


def test_a_run_is_found_by_path_by_id_and_as_the_latest(tmp_path: Path) -> None:
    for name in ("20260101-000000-aaaa", "20260301-000000-aaaa", "20260201-000000-ffff"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes.txt").touch()
    assert store.find_run(tmp_path, "latest").name == "20260301-000000-aaaa"
    assert store.find_run(tmp_path, "20260201-000000-ffff").name == "20260201-000000-ffff"
    assert store.find_run(Path("elsewhere"), str(tmp_path / "20260101-000000-aaaa")).name == "20260101-000000-aaaa"


@pytest.mark.parametrize("name", ["latest", "20260101-000000-aaaa", "../else"])
def test_a_run_that_is_not_there_is_bad_input(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="no run"):
        store.find_run(tmp_path / "runs", name)


def test_a_folder_that_is_no_run_cannot_be_judged(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no scenario\.json"):
        list(store.scenarios(tmp_path))


@pytest.mark.looptime
async def test_a_history_that_was_tampered_with_is_refused_with_its_line(tmp_path: Path) -> None:
    run = tmp_path / "run"
    await experiment(CURES, run, arms=(BASELINE,))
    path = run / "shop__down/baseline-1/history.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b'{"no": "event"}\n', *lines[4:]]))
    with pytest.raises(StoreError, match=r"history\.jsonl:4"):
        list(store.scenarios(run))
