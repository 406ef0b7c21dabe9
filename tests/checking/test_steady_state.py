from dataclasses import replace

from harness.checking import steady_state
from harness.checking.moments import moments
from harness.model.design import TREATED
from harness.model.history import Mode, Name, Phase
from harness.model.objectives import Objective
from harness.model.verdict import Finding, Outcome
from tests.checking.histories import FOUR_SECONDS, at, history, outage, plus, samples, terms, without


def checked(trial):
    return list(steady_state.check(trial, moments(trial)))


def before(down, *, judged=None):
    """A trial whose system was down as told, also before the fault."""
    return history(TREATED, down, judged=judged)


def test_a_system_that_was_steady_is_told_to_have_been_with_the_event_that_says_so():
    trial = history()
    [event] = trial.named(Name.STEADY)
    assert checked(trial) == [
        Finding("steady_state", Outcome.PASSED, "every objective held for 5 s before", (event.index,))
    ]


def test_a_history_that_only_says_that_steadiness_was_asked_for_does_not_say_it_was_found():
    asked = plus(without(history(), Name.STEADY), -1, Name.STEADY, Phase.INVOKE)
    why = "the history does not say that the system was steady"
    assert checked(asked) == [Finding("steady_state", Outcome.INVALID, why, ())]


def test_that_it_was_not_steady_is_told_in_the_runners_words():
    trial = without(history(), Name.STEADY)
    told = plus(trial, -1, Name.STEADY, Phase.FAIL, why="`read`: 9 of 100 bad")
    [event] = told.named(Name.STEADY)
    assert checked(told) == [Finding("steady_state", Outcome.INVALID, "`read`: 9 of 100 bad", (event.index,))]
    wordless = plus(trial, -1, Name.STEADY, Phase.FAIL)
    assert [f.why for f in checked(wordless)] == [""]
    both = plus(history(), -1, Name.STEADY, Phase.FAIL, why="not any more")
    assert [(f.outcome, f.why) for f in checked(both)] == [(Outcome.INVALID, "not any more")]


def test_the_window_is_that_before_the_act_and_no_sample_of_another():
    assert checked(before(outage((-5, -4.75))))[0].outcome is Outcome.PASSED  # 5 of 100, as many as are allowed
    assert checked(before(outage((-5, -4.7))))[0].outcome is Outcome.INVALID
    assert checked(before(outage((-9, -5))))[0].outcome is Outcome.PASSED
    assert checked(before(outage((0, 4))))[0].outcome is Outcome.PASSED


def test_each_series_that_was_not_steady_is_told_with_its_figures():
    trial = before(outage((-3, -2), (0.2, 4)), judged=terms(Objective("read", ratio=0.99)))
    [event] = trial.named(Name.STEADY)
    why = "not steady in the 5 s before: `read` (fresh): 20 of 100 bad, 1 allowed; `read` (pooled): 20 of 100 bad, 1 allowed"
    assert checked(trial) == [Finding("steady_state", Outcome.INVALID, why, (event.index,))]


def test_a_series_that_was_not_asked_was_not_steady():
    trial = replace(history(), samples=samples(FOUR_SECONDS, modes=[Mode.POOLED]))
    assert checked(trial)[0].why == "not steady in the 5 s before: `read` (fresh): 0 of 0 bad, 0 allowed"
    assert moments(trial).since == at(0)
