"""Two substrates held against each other: the same verdict passes, another fails with both reasons, none settles nothing."""

from dataclasses import replace

from harness.checking.assess import assess
from harness.checking.judge import judge
from harness.checking.parity import Parity, Side, StepPair, Times, compare
from harness.model.design import CONTROL, TREATED
from harness.model.history import History, Name, Phase, Scalar
from harness.model.units import seconds
from harness.model.verdict import Outcome
from tests.checking.histories import FOUR_SECONDS, history, outage, plus, step, terms, without

STEPS = (step(0, "SELECT 1"), step(1, "kubectl  get\n  pods"), step(2, what="manual"))
NEVER = outage((0.2, 99))


def trials(
    treated: History | None = None, *, ran: tuple[dict[str, Scalar], ...] = ({}, {}), times: int = 2
) -> tuple[History, ...]:
    """Trials of a procedure that helps, unless told otherwise."""
    judged = terms(steps=STEPS)
    pairs = []
    for number in range(1, times + 1):
        one = treated or history(TREATED, FOUR_SECONDS, judged=judged, ran=ran)
        other = history(CONTROL, NEVER, judged=judged)
        pairs += [
            replace(each, header=replace(each.header, trial=f"{each.header.arm}-{number}")) for each in (one, other)
        ]
    return tuple(
        plus(plus(each, -9.9, Name.ENVIRONMENT, Phase.INVOKE), -7, Name.ENVIRONMENT, Phase.OK) for each in pairs
    )


def side(name: str, histories: tuple[History, ...]) -> Side:
    return Side(name, assess("shop/pool", [judge(each) for each in histories], histories), histories)


def held(one: tuple[History, ...], other: tuple[History, ...]) -> Parity:
    return compare(side("local", one), side("kind", other))


def ineffective() -> History:
    return history(TREATED, NEVER, judged=terms(steps=STEPS), ran=({}, {}))


def test_the_same_verdict_on_both_passes_and_nothing_differs() -> None:
    parity = held(trials(), trials())
    assert (parity.outcome, parity.why) == (Outcome.PASSED, "both say effective")
    assert parity.differences == ()
    assert parity.steps == (
        StepPair("runbook.md:41", "SELECT 1", "ok ×2", "ok ×2"),
        StepPair("runbook.md:42", "kubectl get pods", "ok ×2", "ok ×2"),
    )


def test_another_verdict_fails_with_the_reasons_of_both() -> None:
    parity = held(trials(), trials(ineffective()))
    assert parity.outcome is Outcome.FAILED
    local, kind = parity.why.split("; kind says ")
    assert local.startswith("local says effective: ")
    assert kind.startswith("ineffective: ")
    assert parity.differences == ("the treated arm recovered in time in 2 of 2 and 0 of 2 trials",)


def test_what_is_no_verdict_settles_nothing_and_says_where_and_why() -> None:
    never_steady = without(history(TREATED, FOUR_SECONDS, judged=terms(steps=STEPS)), Name.STEADY)
    for parity in (held(trials(), trials(never_steady)), held(trials(never_steady), trials(ineffective()))):
        assert parity.outcome is Outcome.INCONCLUSIVE
        assert "says invalid: " in parity.why
        assert "effective:" not in parity.why
    assert held(trials(never_steady), trials(never_steady)).outcome is Outcome.INCONCLUSIVE


def test_a_command_that_ends_otherwise_is_told_though_the_verdicts_agree() -> None:
    failing: tuple[dict[str, Scalar], ...] = ({"phase": "fail", "status": 1, "stderr": "not now"}, {"phase": "info"})
    parity = held(trials(), trials(ran=failing))
    assert [(pair.one, pair.other, pair.alike) for pair in parity.steps] == [
        ("ok ×2", "failed (1) ×2", False),
        ("ok ×2", "ended from outside ×2", False),
    ]
    assert parity.differences[0] == "runbook.md:41: `SELECT 1` was ok ×2 on local, failed (1) ×2 on kind"


def test_a_step_that_one_side_never_reached_is_told_as_that() -> None:
    assert [pair.other for pair in held(trials(), trials(ran=({},))).steps] == ["ok ×2", "not reached ×2"]


def test_how_often_something_became_of_a_step_is_no_difference() -> None:
    assert StepPair("r:1", "x", "ok ×2", "ok ×5").alike
    assert not StepPair("r:1", "x", "ok ×2", "failed ×1, ok ×5").alike


def test_steps_of_trials_that_do_not_count_are_not_looked_at() -> None:
    spoilt = without(history(TREATED, FOUR_SECONDS, judged=terms(steps=STEPS), ran=({}, {})), Name.STEADY)
    assert held(trials(spoilt), trials()).steps[0].one == "not seen"


def test_times_are_medians_of_what_the_histories_say() -> None:
    slow = tuple(
        plus(without(each, Name.ENVIRONMENT, Phase.OK), -5, Name.ENVIRONMENT, Phase.OK) for each in trials(times=1)
    )
    slow = tuple(plus(without(each, Name.ENVIRONMENT), -9.9, Name.ENVIRONMENT, Phase.INVOKE) for each in slow)
    slow = tuple(plus(each, -4, Name.ENVIRONMENT, Phase.OK) for each in slow)
    times = side("local", (*trials(times=1), *slow, *trials(times=1))).times
    assert times.up == seconds(2.9)
    assert times.slowest == seconds(5.9)
    assert times.trial == seconds(27.1)
    assert times.down == seconds(0.1)


def test_an_environment_that_never_came_up_has_no_times() -> None:
    down = tuple(without(each, Name.ENVIRONMENT, Phase.INVOKE) for each in trials(times=1))
    assert side("kind", down).times == Times(None, None, None, None)


def test_what_was_compared_is_passed_on() -> None:
    one, other = side("local", trials()), side("kind", trials(times=1))
    parity = compare(one, other)
    assert (parity.scenario, parity.one, parity.other) == ("shop/pool", one, other)


def test_what_settles_nothing_on_either_side_is_told_of_both() -> None:
    never_steady = trials(without(history(TREATED, FOUR_SECONDS, judged=terms(steps=STEPS)), Name.STEADY))
    why = side("local", never_steady).assessment.why
    assert held(never_steady, never_steady).why == f"local says invalid: {why}; kind says invalid: {why}"


def mixed(*treated: History) -> tuple[History, ...]:
    """One trial of each history, and a control."""
    numbered = [replace(h, header=replace(h.header, trial=f"treated-{n}")) for n, h in enumerate(treated, 1)]
    return (*numbered, history(CONTROL, NEVER, judged=terms(steps=STEPS)))


def good() -> History:
    return history(TREATED, FOUR_SECONDS, judged=terms(steps=STEPS), ran=({}, {}))


def test_trials_that_do_not_count_do_not_hide_that_an_arm_ended_otherwise() -> None:
    unsteady = without(good(), Name.STEADY)
    parity = held(mixed(good(), unsteady), mixed(ineffective(), unsteady))
    assert parity.differences == ("the treated arm recovered in time in 1 of 1 and 0 of 1 trials",)


def test_an_arm_that_ends_now_so_now_so_on_both_sides_is_no_difference() -> None:
    pair = mixed(good(), ineffective())
    assert held(pair, pair).differences == ()


def test_a_side_without_trials_has_no_steps() -> None:
    assert held((), ()).steps == ()
    assert [(s.one, s.other) for s in held((), trials(times=1)).steps] == [("not seen", "ok ×1"), ("not seen", "ok ×1")]


def test_the_steps_are_those_of_the_plan_however_few_trials_there_are() -> None:
    only = (good(),)
    assert [pair.source for pair in held(only, ()).steps] == ["runbook.md:41", "runbook.md:42"]


def test_all_that_became_of_a_step_is_told_with_how_often() -> None:
    told: tuple[dict[str, Scalar], ...] = ({"phase": "fail", "status": 7}, {"phase": "fail"})
    failing = history(TREATED, FOUR_SECONDS, judged=terms(steps=STEPS), ran=told)
    first, second = held(mixed(good(), failing, good()), mixed(good())).steps
    assert first.one == "failed (7) ×1, ok ×2"
    assert second.one == "failed ×1, ok ×2"


def test_a_step_run_again_is_what_it_was_at_last() -> None:
    retried = plus(good(), 2, Name.STEP, Phase.FAIL, step=0, status=3)
    assert held(mixed(retried), mixed(good())).steps[0].one == "failed (3) ×1"


def test_kinds_of_end_are_told_apart_whatever_is_in_them() -> None:
    assert not StepPair("r:1", "x", "failed (1) ×2, ok ×1", "failed (1) ×2, failed ×1").alike
    assert StepPair("r:1", "x", "failed (1) ×2, ok ×1", "failed (1) ×1, ok ×2").alike


def test_of_a_trial_that_was_cut_off_nobody_saw_the_environment_go() -> None:
    cut = tuple(without(each, Name.TRIAL, Phase.OK) for each in trials(times=1))
    assert side("kind", cut).times == Times(seconds(2.9), seconds(27.1), None, seconds(2.9))
