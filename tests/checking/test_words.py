"""The precedence of words as a table: one row, one experiment."""

from dataclasses import replace
from itertools import permutations

import pytest

from harness.checking.judge import judge
from harness.checking.words import Trials, effective, harmless, necessary, word_for
from harness.model.design import BASELINE, CONTROL, SHAM, TREATED
from harness.model.history import Name, Phase, WriteOutcome
from harness.model.units import seconds
from harness.model.verdict import Outcome, Status, Verdict, Word
from tests.checking.histories import history, outage, plus, reading, step, terms, with_ledger, without, write

BACK = outage((0.2, 4))
LATE = outage((0.2, 11))
NEVER = outage((0.2, 30))
FINE = outage()
WRITES = [write(n, -5 + n * 0.05) for n in range(100)]

good = judge(history())
stuck = judge(history(down=NEVER))
late = judge(history(down=LATE))
unfelt = judge(history(down=FINE))
unsteady = judge(history(down=outage((-3, -2), (0.2, 4))))
unclear = judge(history(judged=terms(rto=4)))
broken = judge(history(ran=[{"phase": "fail", "status": 127, "stderr": "x: command not found"}]))
aborted = judge(plus(history(), 15, Name.ABORT, Phase.INFO, why="too many errors"))
idle = judge(history(down=NEVER, ran=[{"status": 0, "stdout": "DELETE 0"}]))
cut = judge(without(history(down=NEVER, judged=terms(rto=1800)), Name.PROCEDURE, Phase.OK))

down = judge(history(CONTROL, NEVER))
heals = judge(history(CONTROL, BACK))
heals_late = judge(history(CONTROL, LATE))
heals_perhaps = judge(history(CONTROL, BACK, judged=terms(rto=4)))
invalid_control = judge(history(CONTROL, FINE))

quiet = judge(history(SHAM, FINE))
restarts = judge(history(SHAM, outage((1.2, 4))))
damages = judge(history(SHAM, NEVER))
broken_sham = judge(history(SHAM, FINE, ran=[{"phase": "fail", "status": 127, "stderr": "x: command not found"}]))

calm = judge(history(BASELINE, FINE))
restless = judge(history(BASELINE, outage((1, 4))))


def data(arm, seen, *, rpo=None, down=BACK, twice=()):
    return judge(with_ledger(history(arm, down, judged=terms(rpo=rpo)), WRITES, reading(seen, twice=twice)))


WHOLE, PART = range(100), range(90)
HOLED = [n for n in range(100) if n != 50]


@pytest.mark.parametrize(
    ("verdicts", "word"),
    [
        ([good, down], Word.EFFECTIVE),
        ([good, good, down, down, quiet, calm], Word.EFFECTIVE),
        ([good, heals_late], Word.EFFECTIVE),
        ([good, down, restarts], Word.EFFECTIVE),
        ([good, good, good, good, unfelt, down], Word.EFFECTIVE),
        ([good, heals], Word.UNNECESSARY),
        ([good, heals, heals], Word.UNNECESSARY),
        ([good], Word.INCONCLUSIVE),
        ([good, invalid_control], Word.INCONCLUSIVE),
        ([good, heals, down], Word.INCONCLUSIVE),
        ([good, heals_perhaps, down], Word.INCONCLUSIVE),
        ([good, heals_perhaps], Word.INCONCLUSIVE),
        ([good, unfelt, down], Word.EFFECTIVE),
        ([good, good, good, unfelt, unfelt, down], Word.INCONCLUSIVE),
        ([unclear, down], Word.INCONCLUSIVE),
        ([cut, down], Word.INCONCLUSIVE),
        ([down], Word.INCONCLUSIVE),
        ([], Word.INCONCLUSIVE),
        ([late, down], Word.SLOW),
        ([late, good, down], Word.SLOW),
        ([late], Word.SLOW),
        ([late, unclear, down], Word.SLOW),
        ([stuck, down], Word.INEFFECTIVE),
        ([stuck], Word.INEFFECTIVE),
        ([good, stuck, down], Word.INEFFECTIVE),
        ([stuck, late, unclear, down], Word.INEFFECTIVE),
        ([aborted, down], Word.INEFFECTIVE),
        ([broken, down], Word.BROKEN),
        ([broken, heals], Word.BROKEN),
        ([broken, stuck, down], Word.BROKEN),
        ([good, down, broken_sham], Word.BROKEN),
        ([stuck, heals], Word.HARMFUL),
        ([late, heals], Word.HARMFUL),
        ([late, heals, down], Word.SLOW),
        ([good, down, damages], Word.HARMFUL),
        ([broken, down, damages], Word.HARMFUL),
        ([unfelt, down], Word.INVALID),
        ([unsteady, unfelt, heals], Word.INVALID),
        ([good, down, restless], Word.INVALID),
        ([stuck, heals, damages, restless], Word.INVALID),
        ([unfelt, damages], Word.INVALID),
    ],
)
def test_the_first_word_that_applies_is_said_whatever_the_order_of_the_trials(verdicts, word):
    for order in list(permutations(verdicts))[:24]:
        assert word_for(Trials(tuple(order)))[0] is word


@pytest.mark.parametrize(
    ("treated", "control", "rpo", "word"),
    [
        (data(TREATED, PART, rpo=0), data(CONTROL, PART, rpo=0, down=NEVER), 0, Word.INEFFECTIVE),
        (data(TREATED, PART, rpo=0), data(CONTROL, WHOLE, rpo=0, down=NEVER), 0, Word.HARMFUL),
        (data(TREATED, PART, rpo=5), data(CONTROL, WHOLE, rpo=5, down=NEVER), 5, Word.EFFECTIVE),
        (data(TREATED, PART), data(CONTROL, WHOLE, down=NEVER), None, Word.HARMFUL),
        (data(TREATED, PART), data(CONTROL, PART, down=NEVER), None, Word.EFFECTIVE),
        (data(TREATED, WHOLE, rpo=0), data(CONTROL, PART, rpo=0, down=NEVER), 0, Word.EFFECTIVE),
        (data(TREATED, WHOLE, rpo=0), data(CONTROL, PART, rpo=0), 0, Word.EFFECTIVE),
        (data(TREATED, WHOLE, rpo=0), data(CONTROL, WHOLE, rpo=0), 0, Word.UNNECESSARY),
        (data(TREATED, WHOLE, twice=[3]), data(CONTROL, WHOLE, down=NEVER), None, Word.HARMFUL),
        (data(TREATED, HOLED), data(CONTROL, HOLED, down=NEVER), None, Word.INEFFECTIVE),
        (data(TREATED, HOLED), data(CONTROL, WHOLE, twice=[1], down=NEVER), None, Word.HARMFUL),
        (data(TREATED, HOLED), down, None, Word.HARMFUL),
        (data(TREATED, PART, rpo=0), down, 0, Word.INEFFECTIVE),
        (data(TREATED, WHOLE, rpo=0), data(CONTROL, HOLED, rpo=5), 5, Word.EFFECTIVE),
    ],
)
def test_data_counts_as_service_does(treated, control, rpo, word):
    trials = Trials((treated, control), None if rpo is None else seconds(rpo))
    assert word_for(trials)[0] is word


def test_one_control_that_loses_as_well_is_enough_not_to_blame_the_procedure():
    loses, keeps = data(CONTROL, PART, rpo=0, down=NEVER), data(CONTROL, WHOLE, rpo=0, down=NEVER)
    assert word_for(Trials((data(TREATED, PART, rpo=0), loses, keeps), 0))[0] is Word.INEFFECTIVE


def test_a_sham_that_loses_data_does_damage():
    sham = data(SHAM, PART, rpo=0, down=FINE)
    assert word_for(Trials((good, down, sham), 0))[0] is Word.HARMFUL
    sham = data(SHAM, WHOLE, twice=[3], down=FINE)
    assert word_for(Trials((good, down, sham)))[0] is Word.HARMFUL


@pytest.mark.parametrize(
    ("verdicts", "why"),
    [
        ([good, down], "recovered within RTO and RPO in 1 trial, and not without it in 1 trial"),
        ([good, good, down], "recovered within RTO and RPO in 2 trials, and not without it in 1 trial"),
        ([good], "there is no control trial, so it is not known whether the system heals by itself"),
        ([], "the procedure was not tried with the fault (no treated trial)"),
        (
            [good, heals],
            "without it: it came back by itself; service was back after 3.96 to 4.01 s (RTO 10 s) (control-1)",
        ),
        ([late, good, down], "in 1 of 2 trials: service was back after 10.96 to 11.01 s (RTO 10 s) (treated-1)"),
        (
            [idle, down],
            (
                "service had not recovered when observation ended (more than 20.0 s, RTO 10 s) (treated-1); "
                "runbook.md:41: `SELECT 1` reports success, but it changed nothing: DELETE 0"
            ),
        ),
        ([broken, down], "runbook.md:41: `SELECT 1` cannot work as written: x: command not found"),
        ([aborted, down], "the trial was aborted: too many errors (treated-1)"),
        (
            [late, heals],
            (
                "the control recovers within the RTO, and under the procedure it does not: "
                "service was back after 10.96 to 11.01 s (RTO 10 s) (treated-1)"
            ),
        ),
        (
            [good, down, damages],
            (
                "the procedure alone does damage: without any fault the procedure broke the objectives; "
                "service had not recovered when observation ended (more than 19.0 s, RTO 10 s) (sham-1)"
            ),
        ),
        (
            [unfelt, down],
            (
                "no treated trial counts: the target felt the fault, and the users' probes never noticed: "
                "felt (sessions 20) (treated-1)"
            ),
        ),
        (
            [restless, good],
            (
                "the system breaks with nothing done to it: nothing was done to the system, and it broke its objectives; "
                "service was back after 4.06 to 4.11 s (RTO 10 s) (baseline-1)"
            ),
        ),
        (
            [good, invalid_control],
            (
                "no control trial counts (the target felt the fault, and the users' probes never noticed: "
                "felt (sessions 20) (control-1)), so it is not known whether the system heals by itself"
            ),
        ),
        (
            [good, heals, down],
            "whether the system heals by itself is not settled: in 1 of 2 trials: it healed by itself",
        ),
        (
            [good, heals_perhaps],
            (
                "whether the system heals by itself is not settled: it came back by itself; "
                "service was back after 3.96 to 4.01 s (RTO 4 s) (control-1)"
            ),
        ),
        (
            [good, good, good, unfelt, unfelt, down],
            (
                "2 of 5 treated trials do not count: the target felt the fault, and the users' probes never noticed: "
                "felt (sessions 20) (treated-1)"
            ),
        ),
        ([unclear, down], "service was back after 3.96 to 4.01 s (RTO 4 s) (treated-1)"),
    ],
)
def test_the_word_says_why(verdicts, why):
    assert word_for(Trials(tuple(verdicts)))[1] == why


def test_data_says_why():
    lost, keeps = data(TREATED, PART, rpo=0), data(CONTROL, WHOLE, rpo=0, down=NEVER)
    told = "10 of 100 acknowledged writes lost, the oldest 495 ms to 545 ms before the fault call (RPO 0 s) (treated-1)"
    assert word_for(Trials((lost, keeps), 0))[1] == f"it loses data that the control keeps: {told}"
    assert word_for(Trials((lost, down), 0))[1] == told
    twice = data(TREATED, WHOLE, twice=[3, 5])
    assert (
        word_for(Trials((twice, down)))[1]
        == "what is stored after it is not what was written (treated-1): 2 duplicates"
    )


@pytest.mark.parametrize(
    ("verdicts", "claims"),
    [
        ([good, down, quiet], (True, True, True)),
        ([good, down], (True, True, None)),
        ([good, heals], (True, False, None)),
        ([good], (True, None, None)),
        ([good, heals, down], (True, None, None)),
        ([good, heals_perhaps], (True, None, None)),
        ([unclear, good, down], (None, True, None)),
        ([stuck, down, quiet], (False, True, True)),
        ([stuck, heals], (False, False, False)),
        ([good, down, damages], (True, True, False)),
        ([unfelt, invalid_control], (None, None, None)),
        ([], (None, None, None)),
    ],
)
def test_the_three_claims_are_told_apart(verdicts, claims):
    trials = Trials(tuple(verdicts))
    assert (effective(trials), necessary(trials), harmless(trials)) == claims


LATE_AND_LOSSY = data(TREATED, PART, rpo=0, down=LATE)
LATE_AND_HOLED = data(TREATED, HOLED, down=LATE)


def test_lost_data_is_worse_than_lost_time():
    assert word_for(Trials((LATE_AND_LOSSY, down), seconds(0)))[0] is Word.INEFFECTIVE
    assert word_for(Trials((LATE_AND_HOLED, data(CONTROL, HOLED, down=NEVER))))[0] is Word.INEFFECTIVE
    assert word_for(Trials((LATE_AND_LOSSY, down), seconds(0)))[1].startswith("10 of 100 acknowledged writes lost")
    assert word_for(Trials((LATE_AND_HOLED, data(CONTROL, HOLED, down=NEVER))))[1] == (
        "what is stored is not what was written: 1 holes (treated-1)"
    )


def test_a_control_in_which_nothing_was_acknowledged_keeps_nothing():
    empty = judge(with_ledger(history(CONTROL, NEVER, judged=terms(rpo=0)), [], reading([])))
    lost = data(TREATED, PART, rpo=0)
    assert word_for(Trials((lost, empty), seconds(0)))[0] is Word.INEFFECTIVE
    single = judge(with_ledger(history(CONTROL, NEVER, judged=terms(rpo=0)), WRITES[:1], reading([0])))
    assert word_for(Trials((lost, single), seconds(0)))[0] is Word.HARMFUL


def test_several_violations_are_told_in_words():
    spoilt = judge(
        with_ledger(history(), [*WRITES, write(100, 3, WriteOutcome.FAIL)], reading([*WHOLE, 100], twice=[1, 2]))
    )
    assert word_for(Trials((spoilt, down)))[1] == (
        "what is stored after it is not what was written (treated-1): 2 duplicates, 1 failed but present"
    )


def test_loss_without_an_rpo_says_what_was_lost():
    lost, keeps = data(TREATED, PART), data(CONTROL, WHOLE, down=NEVER)
    assert word_for(Trials((lost, keeps)))[1] == (
        "it loses data that the control keeps: 10 of 100 acknowledged writes lost; "
        "there is no RPO to judge it by (treated-1)"
    )


def test_all_idle_steps_are_told_and_what_has_no_line_is_told_without():
    two = judge(
        history(down=NEVER, judged=terms(steps=(step(0), step(1))), ran=[{"status": 0, "stdout": "UPDATE 0"}] * 2)
    )
    assert word_for(Trials((two, down)))[1].endswith(
        "runbook.md:41: `SELECT 1` reports success, but it changed nothing: UPDATE 0; "
        "runbook.md:42: `SELECT 1` reports success, but it changed nothing: UPDATE 0"
    )
    assert word_for(Trials((stuck, down)))[1].endswith("(more than 20.0 s, RTO 10 s) (treated-1)")
    bare = plus(history(down=NEVER), 2, Name.STEP, Phase.OK, step=9, text="x", stdout="UPDATE 0")
    assert word_for(Trials((judge(bare), down)))[1].endswith(
        "(treated-1); `x` reports success, but it changed nothing: UPDATE 0"
    )
    lost = plus(history(), 2, Name.STEP, Phase.FAIL, step=9, text="x", status=127)
    assert (
        word_for(Trials((judge(lost), down)))[1]
        == "`x` cannot work as written: the shell could not run it (status 127)"
    )


def test_a_verdict_without_findings_has_no_reason():
    bare = Verdict("treated-1", TREATED, Outcome.FAILED, Status.MISS, ())
    assert word_for(Trials((bare, down)))[1] == "no reason given (treated-1)"
    unclear_bare = Verdict("treated-1", TREATED, Outcome.INCONCLUSIVE, Status.OK, ())
    assert word_for(Trials((unclear_bare, down)))[1] == "no reason given"


def test_a_loss_that_no_check_told_of_is_harmful_without_a_reason():
    silent = replace(data(TREATED, PART), findings=())
    word, why = word_for(Trials((silent, data(CONTROL, WHOLE, down=NEVER))))
    assert (word, why) == (Word.HARMFUL, "it loses data that the control keeps: no reason given (treated-1)")


def test_all_that_failed_in_a_trial_is_told_of_it():
    both = data(TREATED, HOLED, rpo=0), data(CONTROL, HOLED, rpo=0, down=NEVER)
    word, why = word_for(Trials(both, rpo=0))
    assert word is Word.INEFFECTIVE
    assert "1 of 100 acknowledged writes lost" in why
    assert why.endswith("; what is stored is not what was written: 1 holes (treated-1)")


def test_of_many_trials_a_fifth_may_not_count():
    assert word_for(Trials((*[good] * 9, unfelt, unfelt, down)))[0] is Word.EFFECTIVE
    assert word_for(Trials((*[good] * 7, unfelt, unfelt, down)))[0] is Word.INCONCLUSIVE
