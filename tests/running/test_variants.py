"""Procedures taken apart, broken on purpose and compared, on modelled systems under virtual time."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.checking import comparison
from harness.checking.ablation import Effect
from harness.checking.gate import QUICK, Decision
from harness.model.units import seconds
from harness.model.verdict import Outcome
from harness.runbooks.mutants import Kind, mutants
from harness.running.ablating import ablate
from harness.running.comparing import compare
from harness.running.deciding import REPLACED, Effort, Variant, decide
from harness.running.mutating import mutate
from harness.running.pool import here
from harness.running.trial import Bench
from harness.substrates.modelled import Model, Reaction
from tests.running.stage import CURES, DOWN, LEDGER, ground, planned, with_recovery

EFFORT = Effort()


def on(model: Model):
    substrate = ground(model)
    return planned(substrate=substrate), here(Bench(substrate, "test"))


def effects(found) -> list[Effect]:
    return [each.call.effect for each in found.singles]


@pytest.mark.looptime
async def test_the_step_that_mends_is_necessary_and_those_that_look_are_not(tmp_path: Path) -> None:
    plan, runner = on(CURES)
    found = await ablate(plan, runner, tmp_path, effort=EFFORT)
    assert effects(found) == [Effect.NOTHING, Effect.NECESSARY, Effect.NOTHING]
    assert found.together is not None
    assert found.together.call.effect is Effect.NOTHING
    assert [step.terms.text for step in found.removable] == ["uptime", "uptime"]
    assert all(each.trials == 2 for each in found.singles)


TWICE = """# Book

## Service down

**Resolution**

```bash
# One way
mend-it --now
# Another way
mend-it --again
# Look
uptime
```
"""


@pytest.mark.looptime
async def test_two_steps_that_stand_in_for_each_other_are_found_as_a_pair(tmp_path: Path) -> None:
    substrate = ground(CURES)
    plan = planned(text=TWICE, substrate=substrate)
    found = await ablate(plan, here(Bench(substrate, "test")), tmp_path, effort=EFFORT)
    assert effects(found) == [Effect.NOTHING] * 3
    assert found.together is not None
    assert found.together.call.effect is Effect.NECESSARY
    assert found.removable == ()
    assert [
        tuple(step.terms.index for step in pair.steps) for pair in found.pairs if pair.call.effect is Effect.NECESSARY
    ] == [(0, 1)]
    assert len(found.pairs) == 3


@pytest.mark.looptime
async def test_a_step_without_which_it_works_does_harm(tmp_path: Path) -> None:
    spoiler = Reaction(pattern="uptime", harms_after=0)
    text = TWICE.replace("mend-it --again", "true")
    substrate = ground(replace(CURES, reactions=(*CURES.reactions, spoiler)))
    plan = planned(text=text, substrate=substrate)
    found = await ablate(plan, here(Bench(substrate, "test")), tmp_path, effort=EFFORT)
    assert found.whole.decision is Decision.FAIL
    assert effects(found)[2] is Effect.HARMFUL
    assert effects(found)[0] is Effect.UNKNOWN


@pytest.mark.looptime
async def test_a_step_that_loses_rows_does_harm_and_a_slow_one_slows(tmp_path: Path) -> None:
    scenario = replace(with_recovery(rpo=seconds(5)), ledger=LEDGER)
    model = replace(
        CURES, reactions=(Reaction(pattern="uptime", loses=4, took=seconds(4)), Reaction(pattern="mend", cures_after=0))
    )
    substrate = ground(model)
    text = TWICE.replace("mend-it --again", "echo")
    found = await ablate(planned(scenario, text, substrate), here(Bench(substrate, "test")), tmp_path, effort=EFFORT)
    assert effects(found)[2] is Effect.HARMFUL
    sleepy = TWICE.replace("mend-it --now", "uptime").replace("# Look\nuptime", "# Look\necho")
    substrate = ground(replace(model, reactions=(replace(model.reactions[0], loses=0), model.reactions[1])))
    found = await ablate(
        planned(text=sleepy, substrate=substrate), here(Bench(substrate, "x")), tmp_path / "b", effort=EFFORT
    )
    assert effects(found) == [Effect.SLOWS, Effect.NECESSARY, Effect.NOTHING]


@pytest.mark.looptime
async def test_what_cannot_be_measured_is_not_known(tmp_path: Path) -> None:
    plan, runner = on(replace(CURES, felt=False))
    (found,) = await decide([Variant("whole", plan)], runner, tmp_path, effort=EFFORT)
    assert found.decision is Decision.INCONCLUSIVE
    assert (len(found.records), len(found.counted)) == (REPLACED + 1, 0)


@pytest.mark.looptime
async def test_broken_twins_are_killed_and_survivors_are_named(tmp_path: Path) -> None:
    plan = planned()
    strict = replace(CURES, reactions=(replace(CURES.reactions[0], pattern="mend-it --now"),))
    substrate = ground(strict)
    made = mutants(plan)
    found = await mutate(plan, made, here(Bench(substrate, "t")), tmp_path, effort=Effort(QUICK))
    assert found.original is Decision.PASS
    fates = {(str(f.mutant.kind), f.mutant.source.line): f.decision for f in found.fates}
    assert fates["dropped step", 17] is Decision.FAIL
    assert fates["stale name", 17] is Decision.FAIL
    assert {d for (kind, line), d in fates.items() if line != 17 and kind == "dropped step"} == {Decision.PASS}
    killed = len(found.of(Decision.FAIL))
    assert found.rate == killed / len(made)
    assert found.outcome is Outcome.FAILED
    assert all(f.why for f in found.fates)


@pytest.mark.looptime
async def test_all_twins_killed_is_a_pass(tmp_path: Path) -> None:
    plan, runner = on(CURES)
    made = [m for m in mutants(plan, (Kind.DROPPED,)) if "mend-it" in m.what]
    found = await mutate(plan, made, runner, tmp_path, effort=EFFORT)
    assert (found.rate, found.outcome) == (1, Outcome.PASSED)


@pytest.mark.looptime
async def test_a_text_that_does_not_pass_itself_gives_no_kill_rate(tmp_path: Path) -> None:
    plan, runner = on(Model())
    found = await mutate(plan, mutants(plan, (Kind.DROPPED,)), runner, tmp_path, effort=Effort(QUICK))
    assert found.original is Decision.FAIL
    assert (found.rate, found.outcome) == (None, Outcome.INCONCLUSIVE)


class Versions:
    """Runs the old and the new version on systems of their own."""

    def __init__(self, old: Model, new: Model) -> None:
        self.models = {"old": old, "new": new}

    async def __call__(self, plan, trial, folder):
        model = replace(self.models[folder.parent.name], seed=trial.number)
        return await here(Bench(ground(model), "test"))(plan, trial, folder)


def curing(after: float) -> Model:
    return replace(CURES, reactions=(replace(CURES.reactions[0], cures_after=seconds(after)),))


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("old", "new", "blocks", "outcome"),
    [
        (1, 1, 5, Outcome.PASSED),
        (4, 1, 5, Outcome.PASSED),
        (1, 6, 5, Outcome.FAILED),
        (1, 1, 3, Outcome.INCONCLUSIVE),
    ],
)
async def test_versions_are_compared_block_by_block(tmp_path: Path, old, new, blocks, outcome) -> None:
    plan = planned()
    found = await compare(plan, plan, Versions(curing(old), curing(new)), tmp_path, blocks=blocks)
    assert len(found.blocks) == blocks
    assert found.fair
    result = comparison.compare(found.times(DOWN.recovery.horizon))
    assert result.outcome is outcome


@pytest.mark.looptime
async def test_a_version_that_never_recovers_stands_at_the_horizon_and_fails_its_gate(tmp_path: Path) -> None:
    plan = planned()
    found = await compare(plan, plan, Versions(CURES, Model()), tmp_path, blocks=4)
    assert found.unseen == 4
    assert {new for _, new in found.times(seconds(20))} == {seconds(20)}
    assert found.evidence.decision is Decision.FAIL


@pytest.mark.looptime
async def test_blocks_with_an_invalid_trial_are_replaced_and_too_many_end_it(tmp_path: Path) -> None:
    plan = planned()
    found = await compare(plan, plan, Versions(CURES, replace(CURES, felt=False)), tmp_path, blocks=10)
    assert (found.blocks, found.fair) == ((), False)
    assert found.spoilt <= 4
