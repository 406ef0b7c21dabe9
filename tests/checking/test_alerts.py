"""When an alert rule would have fired, by series made by hand: expectations are counted out, not computed."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.checking.alerts import alerted, sentences
from harness.checking.judge import judge
from harness.checking.moments import Moments
from harness.model.alerting import AlertCondition, Comparison, Signal
from harness.model.design import CONTROL, SHAM
from harness.model.history import History, Mode, Sample
from harness.model.objectives import Objective
from harness.model.source import Source
from harness.model.units import Ns, milliseconds, seconds
from harness.model.verdict import Alerted, Outcome
from tests.checking.histories import ZERO, at, header, terms
from tests.checking.histories import history as whole

READ = Objective("read")


def sampled(
    down: Callable[[float], bool],
    *,
    begin: float = -10,
    end: float = 60,
    answer: Ns = milliseconds(1),
    period: float = 0.05,
) -> tuple[Sample, ...]:
    """One series, a probe a period, each answered `answer` ns after it was due; a bad one after a second."""
    made = []
    for number in range(round(begin / period), round(end / period)):
        due = at(number * period)
        bad = down(number * period)
        done = due + (seconds(1) if bad else answer)
        made.append(Sample("read", Mode.FRESH, due, due, done, good=not bad, reason="timeout" if bad else ""))
    return tuple(made)


def told(samples: tuple[Sample, ...], *conditions: AlertCondition, until: float = 60) -> tuple[Alerted, ...]:
    own = replace(terms(READ), modes=(Mode.FRESH,), alerts=conditions)
    history = History(header(CONTROL, own), samples=samples)
    return alerted(history, Moments(since=ZERO, until=at(until), steady=at(-1), call=ZERO))


def rule(share: float, *, window: float = 60, lasting: float = 0, **more: object) -> AlertCondition:
    comparison = Comparison(Signal.ERRORS, share, seconds(window), **more)  # type: ignore[arg-type]
    return AlertCondition("ErrorRate", f"> {share}", (comparison,), seconds(lasting))


def test_a_total_outage_fires_with_the_first_answer_that_is_one_too_many() -> None:
    # For a second nothing is answered, so a minute has 1,181 answers, of which 1% are 11.8: the 12th bad one, which was due at
    # 0.55 s, is known at 1.55 s.
    [one] = told(sampled(lambda t: t >= 0), rule(0.01))
    assert one.delay == milliseconds(1550)
    assert (one.series, one.name, one.text) == ("read (fresh)", "ErrorRate", "> 0.01")


def test_it_has_to_hold_for_as_long_as_the_rule_says() -> None:
    [one] = told(sampled(lambda t: t >= 0, end=200), rule(0.01, lasting=120), until=200)
    assert one.delay == milliseconds(121_550)


def test_a_rule_that_had_no_time_to_fire_says_when_it_would_have() -> None:
    [one] = told(sampled(lambda t: t >= 0, end=20), rule(0.01, lasting=120), until=20)
    assert one.delay is None
    assert one.pending == milliseconds(121_550)


def test_an_outage_that_is_over_before_is_never_told() -> None:
    # 100 bad answers of 5 s stay in the window until 66 s: the condition holds from 1.55 s on, and no longer than 65 s.
    [one] = told(sampled(lambda t: 0 <= t < 5, end=120), rule(0.01, lasting=90), until=120)
    assert (one.delay, one.pending) == (None, None)


def test_it_is_cleared_when_so_many_bad_answers_have_left_the_window() -> None:
    # 100 bad answers came at 1.00 to 5.95 s. With 1,200 good ones, 12 more bad ones are no more than 1%: the last 12 are those
    # from 5.40 s on, so the one of 5.35 s has to leave, which it does at 65.35 s.
    [one] = told(sampled(lambda t: 0 <= t < 5, end=120), rule(0.01), until=120)
    assert one.delay == milliseconds(1550)
    assert one.cleared == milliseconds(65_350)


def test_what_was_before_the_first_sample_is_taken_to_have_been_good() -> None:
    # Of a five-minute window 290 s lie before the samples: 1% of 5,981 answers are 59.8, the 60th bad one is known
    # at 3.95 s.
    [one] = told(sampled(lambda t: t >= 0), rule(0.01, window=300))
    assert one.delay == milliseconds(3950)


def test_answers_count_when_they_come_and_not_when_they_were_due() -> None:
    quick = sampled(lambda t: t >= 0)
    slow = tuple(each if each.good else replace(each, done=each.done + seconds(2)) for each in quick)
    # three seconds without an answer: 1% of 1,141 are 11.4, and the 12th bad one came two seconds later
    assert told(quick, rule(0.01))[0].delay == milliseconds(1550)
    assert told(slow, rule(0.01))[0].delay == milliseconds(3550)


def test_more_than_is_not_at_least() -> None:
    # Every tenth answer is bad, and comes with the others: a tenth exactly, at every multiple of ten.
    samples = tuple(
        replace(each, good=number % 10 > 0, done=each.scheduled) for number, each in enumerate(sampled(lambda _: False))
    )
    for share, inclusive, fires in ((0.1, False, False), (0.1, True, True), (0.099, False, True)):
        [one] = told(samples, rule(share, window=10, inclusive=inclusive))
        assert (one.delay is not None) is fires, (share, inclusive)


def test_a_quantile_of_latency_exceeds_a_limit_when_more_than_the_rest_are_slower() -> None:
    slow = sampled(lambda _: False, answer=milliseconds(600))
    comparison = Comparison(Signal.LATENCY, 0.01, seconds(60), slower=milliseconds(500))
    condition = AlertCondition("p99", "p99 > 500ms", (comparison,))
    samples = tuple(each if each.scheduled >= ZERO else replace(each, done=each.scheduled + 1) for each in slow)
    # 0.6 s bring no answer: 1% of 1,189 are 11.9, and the 12th slow answer, which was due at 0.55 s, came 0.6 s later
    assert told(samples, condition)[0].delay == milliseconds(1150)
    at_the_limit = tuple(replace(each, done=each.scheduled + milliseconds(500)) for each in samples)
    assert told(at_the_limit, condition)[0].delay is None


def test_all_comparisons_of_a_rule_have_to_hold_at_once() -> None:
    fast = Comparison(Signal.ERRORS, 0.144, seconds(5))
    slow = Comparison(Signal.ERRORS, 0.144, seconds(60))
    # 14.4% of 1,181 are 170.1: the 171st bad answer was due at 8.5 s, and is known at 9.5 s
    both = AlertCondition("burn", "both", (fast, slow))
    assert told(sampled(lambda t: t >= 0), both)[0].delay == milliseconds(9500)
    # a short outage leaves the fast window before the slow one has enough
    assert told(sampled(lambda t: 0 <= t < 4), both)[0].delay is None


def test_the_series_that_fires_first_speaks_for_the_rule() -> None:
    own = replace(terms(READ, Objective("write")), modes=(Mode.FRESH,), alerts=(rule(0.01),))
    writes = tuple(replace(each, indicator="write") for each in sampled(lambda t: t >= 3))
    history = History(header(CONTROL, own), samples=(*sampled(lambda t: t >= 7), *writes))
    [one] = alerted(history, Moments(since=ZERO, until=at(60)))
    assert (one.series, one.delay) == ("write (fresh)", milliseconds(4550))


def test_without_samples_nothing_fires() -> None:
    written = Source("runbook.md", 12)
    [one] = told((), replace(rule(0.0), source=written))
    assert one == Alerted("ErrorRate", "> 0.0", written)


def test_the_verdict_carries_it_and_is_not_changed_by_it() -> None:
    own = replace(terms(READ), modes=(Mode.FRESH,))
    history = History(header(CONTROL, own), samples=sampled(lambda t: t >= 0))
    watched = replace(history, header=replace(history.header, terms=replace(own, alerts=(rule(0.01),))))
    without, with_rule = judge(history), judge(watched)
    assert replace(with_rule, alerts=()) == without
    assert len(with_rule.alerts) == 1


@pytest.mark.parametrize(
    ("alerts", "expected"),
    [
        ([(1600, None), (1700, None)], "would have fired 1.6 to 1.7 s after the fault call in 2 of 2 trials"),
        ([(1600, None)], "would have fired 1.6 s after the fault call"),
        ([(1600, None), (None, None)], "would have fired 1.6 s after the fault call in 1 of 2 trials"),
        (
            [(None, 121_600)],
            "would not have fired in what was watched; had the outage lasted, 121.6 s after the fault call",
        ),
        ([(None, None)], "would not have fired"),
    ],
)
def test_a_sentence_says_what_became_of_a_rule_in_all_trials(
    alerts: list[tuple[int | None, int | None]], expected: str
) -> None:
    history = History(header(CONTROL, terms(READ)), samples=sampled(lambda t: t >= 0))
    verdict = judge(history)
    made = []
    for delay, pending in alerts:
        one = Alerted(
            "Rate",
            "error rate > 1%",
            delay=None if delay is None else milliseconds(delay),
            pending=None if pending is None else milliseconds(pending),
        )
        made.append(replace(verdict, outcome=type(verdict.outcome).PASSED, alerts=(one,)))
    [sentence] = sentences(made)
    assert sentence == f"the alert `Rate: error rate > 1%` {expected}"


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, 199)), st.floats(0, 0.5), st.integers(1, 8), st.integers(0, 4), st.booleans())
def test_firing_agrees_with_a_rule_looked_at_naively(
    bad: set[int], share: float, window: int, lasting: int, inclusive: bool
) -> None:
    share = round(share, 3)
    samples = sampled(lambda t: round(t / 0.05) in bad, begin=0, end=10)
    condition = rule(share, window=window, lasting=lasting, inclusive=inclusive)
    [one] = told(samples, condition, until=12)
    held, expected = None, None
    for number in range(241):
        instant = at(number * 0.05)
        inside = [s for s in samples if instant - seconds(window) < s.done <= instant]
        n = len(inside) + max(0, ZERO - (instant - seconds(window))) // milliseconds(50)
        wrong = 1000 * sum(not s.good for s in inside)
        limit = round(share * 1000) * n
        if n and (wrong >= limit if inclusive else wrong > limit):
            held = instant if held is None else held
            if instant - held >= seconds(lasting):
                expected = instant - ZERO
                break
        else:
            held = None
    assert one.delay == expected


def both(fresh: Callable[[float], bool], pooled: Callable[[float], bool], condition: AlertCondition) -> Alerted:
    """What became of a rule that is lasting a minute and watched for 30 s, of two series."""
    second = tuple(replace(s, mode=Mode.POOLED) for s in sampled(pooled, end=30))
    history = History(
        header(CONTROL, replace(terms(READ), alerts=(condition,))), samples=sampled(fresh, end=30) + second
    )
    [one] = alerted(history, Moments(since=ZERO, until=at(30), steady=at(-1), call=ZERO))
    return one


def test_a_series_that_was_about_to_fire_speaks_before_one_that_kept_silent_and_the_earlier_before_the_later() -> None:
    lasting = rule(0.01, lasting=60)
    about = both(lambda _: False, lambda t: t >= 0, lasting)
    assert (about.series, about.pending) == ("read (pooled)", milliseconds(61_550))
    about = both(lambda t: t >= 0, lambda _: False, lasting)
    assert (about.series, about.pending) == ("read (fresh)", milliseconds(61_550))
    earlier = both(lambda t: t >= 9, lambda t: t >= 0, lasting)
    assert (earlier.series, earlier.pending) == ("read (pooled)", milliseconds(61_550))
    silent = both(lambda _: False, lambda _: False, lasting)
    assert (silent.series, silent.delay, silent.pending) == ("read (fresh)", None, None)


def test_what_became_of_a_rule_says_where_it_stands_and_what_was_assumed() -> None:
    condition = replace(rule(0.01), source=Source("alerts.md", 7), assumed=True)
    for samples in (sampled(lambda t: t >= 0), ()):
        [one] = told(samples, condition)
        assert (one.source, one.assumed) == (Source("alerts.md", 7), True)
    [plain] = told(sampled(lambda t: t >= 0), rule(0.01))
    assert (plain.source, plain.assumed) == (None, False)


def test_a_rule_is_looked_at_up_to_the_very_end_of_observation() -> None:
    [fired] = told(sampled(lambda t: t >= 0), rule(0.01), until=1.55)
    assert fired.delay == milliseconds(1550)
    [not_yet] = told(sampled(lambda t: t >= 0), rule(0.01), until=1.5499)
    assert not_yet.delay is None


FULL = Alerted("E", "> 1%", Source("a.md", 7), "read (fresh)", assumed=True)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            [replace(FULL, delay=seconds(2))],
            "the alert `E: > 1%` (a.md:7) would have fired 2.0 s after the fault call; its text names no window, 1 min was taken",
        ),
        (
            [Alerted("rate > 1%", "rate > 1%", delay=seconds(2)), Alerted("rate > 1%", "rate > 1%", delay=seconds(1))],
            "the alert `rate > 1%` would have fired 1.0 to 2.0 s after the fault call in 2 of 2 trials",
        ),
        (
            [Alerted("", "rate > 1%", delay=seconds(2)), Alerted("", "rate > 1%", pending=seconds(9))],
            "the alert `rate > 1%` would have fired 2.0 s after the fault call in 1 of 2 trials",
        ),
        (
            [Alerted("", "> 1%", pending=seconds(9))],
            "the alert `> 1%` would not have fired in what was watched; had the outage lasted, 9.0 s after the fault call",
        ),
        ([Alerted("", "rate > 1%"), Alerted("", "rate > 1%")], "the alert `rate > 1%` would not have fired"),
    ],
)
def test_what_became_of_a_rule_is_a_sentence_to_the_letter(found: list[Alerted], said: str) -> None:
    verdict = judge(whole())
    assert sentences([replace(verdict, alerts=(one,)) for one in found]) == (said,)


def test_only_trials_with_the_fault_that_count_say_what_became_of_a_rule() -> None:
    verdict = replace(judge(whole()), alerts=(FULL,))
    assert sentences([replace(verdict, arm=SHAM)]) == ()
    assert sentences([replace(verdict, outcome=Outcome.INVALID)]) == ()
    assert len(sentences([replace(verdict, arm=CONTROL)])) == 1


def test_one_answer_alone_can_be_too_many() -> None:
    [one] = told(sampled(lambda t: t >= 0, begin=0, end=0.05), rule(0.5, window=0.5))
    assert one.delay == seconds(1)
