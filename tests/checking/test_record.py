"""A trial's line in the log: what was measured, from the fault call on, whatever is missing."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.checking.judge import judge
from harness.checking.record import Place, Ran, Watched, Worker, percentile, record_of, since, watched
from harness.model.design import BASELINE, TREATED
from harness.model.history import Event, History, Mode, Name, Phase
from harness.model.objectives import Objective
from harness.model.units import milliseconds, seconds
from harness.model.verdict import Interval, Timings
from tests.checking.histories import ZERO, at, events, header, terms
from tests.checking.rig import Truth, probed

PLACE = Place("", "host", "Linux, 2 CPUs", 3)


def down(start: float, end: float) -> Truth:
    return Truth("refuse", at(start), at(end), lambda due, _: None if at(start) <= due < at(end) else milliseconds(7))


def history(arm=TREATED, **changes) -> History:
    import random

    seen = probed(down(1, 4), random.Random(1))
    return replace(History(header(arm), events(arm, observed=20), samples=seen), **changes)


def made(of: History):
    return record_of(of, judge(of), cell="shop/pool", block=2, place=PLACE)


def test_it_says_which_trial_it_is_of_what_and_where() -> None:
    found = made(history())
    assert (found.cell, found.arm, found.trial, found.block) == ("shop/pool", TREATED, "treated-1", 2)
    assert (found.seed, found.plan, found.wall) == (1, "p", history().header.wall)
    assert (found.place.host, found.place.host_class, found.place.batch) == ("host", "Linux, 2 CPUs", 3)
    assert found.took == history().events[-1].at - history().header.monotonic


def test_its_times_begin_with_the_fault_call() -> None:
    found = made(history())
    timings = found.verdict.timings
    assert timings.call == 0
    assert timings.onset is not None
    assert abs(timings.onset.lo - seconds(1)) <= milliseconds(50)
    assert timings.recovered is not None
    assert timings.recovered.hi is not None
    assert abs(timings.recovered.hi - seconds(4)) <= milliseconds(50)
    assert timings.bad_seconds == judge(history()).timings.bad_seconds
    assert found.verdict.rta == judge(history()).rta


def test_without_a_fault_its_times_begin_with_the_trial() -> None:
    of = history(BASELINE)
    ended = judge(of).timings.ended
    assert ended is not None
    assert made(of).verdict.timings.ended == ended - of.header.monotonic


def test_what_did_not_happen_has_no_time() -> None:
    assert since(Timings(), 17) == Timings()
    assert since(Timings(recovered=Interval(20, None), bad_seconds=2.5, episodes=3), 17) == Timings(
        recovered=Interval(3, None), bad_seconds=2.5, episodes=3
    )


def test_each_indicator_and_mode_is_told_from_the_fault_on() -> None:
    found = made(history())
    assert [(w.indicator, w.mode) for w in found.watched] == [("read", Mode.FRESH), ("read", Mode.POOLED)]
    for each in found.watched:
        samples = [s for s in history().samples if s.mode is each.mode and s.scheduled >= ZERO]
        assert each.n == len(samples)
        assert each.bad == sum(not s.good for s in samples) == 60
        assert (each.ratio, each.window, each.allowed) == (0.95, seconds(5), 5)
        assert each.p50 == milliseconds(7)


def test_an_answer_that_is_good_but_later_than_the_objective_asks_is_bad() -> None:
    strict = Objective("read", within=milliseconds(5))
    assert watched(history(), strict, Mode.FRESH, ZERO).bad == watched(history(), strict, Mode.FRESH, ZERO).n


def test_an_indicator_without_a_sample_has_no_percentiles_and_the_trial_does_not_count() -> None:
    of = history(samples=())
    found = made(of)
    assert {(w.n, w.bad, w.p50, w.p95, w.p99) for w in found.watched} == {(0, 0, None, None, None)}
    assert found.verdict.outcome == "invalid"
    assert any("sample" in f.why for f in found.verdict.findings)


@pytest.mark.parametrize(("q", "value"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.0, 1)])
def test_percentiles_are_exact(q, value) -> None:
    assert percentile(range(1, 101), q) == value


@given(st.lists(st.integers(0, 10**9), min_size=1), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_the_smallest_value_that_enough_do_not_exceed(values, q) -> None:
    ordered = sorted(values)
    found = percentile(ordered, q)
    assert found is not None
    assert sum(v <= found for v in ordered) >= q * len(ordered)
    assert sum(v < found for v in ordered) < q * len(ordered)


def test_the_environment_and_the_instruments_are_those_the_history_tells_of() -> None:
    told = {"worker": "prober", "asked": 40, "dropped": 2, "lag_p99_ns": 7, "lag_max_ns": 9, "cpu_ns": 1}
    extra = (
        Event(90, at(-9), "harness", Phase.OK, Name.ENVIRONMENT, {"id": "env-7"}),
        Event(91, at(21), "harness", Phase.INFO, Name.INSTRUMENT, told),
        Event(92, at(21), "harness", Phase.FAIL, Name.INSTRUMENT, {"worker": "load", "why": "died"}),
    )
    plain = tuple(e for e in events(observed=20) if e.name not in (Name.ENVIRONMENT, Name.INSTRUMENT))
    found = made(history(events=(*plain, *extra)))
    assert found.place.environment == "env-7"
    (worker,) = found.workers
    assert (worker.worker, worker.asked, worker.dropped, worker.lag_p99, worker.lag_max) == ("prober", 40, 2, 7, 9)
    assert made(history(events=plain)).place.environment == ""


def test_steps_are_told_as_they_were_executed_the_last_also_where_it_was_cut_off() -> None:
    def step(index, second, phase, number, **data):
        return Event(index, at(second), "operator", phase, Name.STEP, {"step": number, **data})

    steps = (
        step(70, 2, Phase.INVOKE, 0),
        step(71, 3, Phase.OK, 0, status=0),
        step(72, 4, Phase.INVOKE, 1),
        step(73, 5, Phase.INFO, 1, status=None),
        step(74, 6, Phase.INVOKE, 0),
    )
    others = tuple(e for e in events(observed=20) if e.name is not Name.STEP)
    first, second, third = made(history(events=(*others, *steps))).steps
    assert (first.step, first.start, first.end, first.phase, first.status) == (0, seconds(2), seconds(3), Phase.OK, 0)
    assert (second.step, second.phase, second.status) == (1, Phase.INFO, None)
    assert (third.step, third.start, third.end, third.phase, third.status) == (0, seconds(6), None, None, None)


def test_the_budget_spent_is_that_of_28_days_at_the_strictest_objective() -> None:
    objectives = (Objective("read", ratio=0.95), Objective("read", ratio=0.5))
    of = history(header=header(TREATED, terms(*objectives)))
    verdict = judge(of)
    assert verdict.timings.bad_seconds > 0
    spent = 100 * verdict.timings.bad_seconds / (0.05 * 28 * 24 * 3600)
    assert made(of).budget == pytest.approx(spent)
    whole = history(header=header(TREATED, terms(Objective("read", ratio=1.0))))
    assert made(whole).budget == 0


def test_percentiles_stand_under_their_names() -> None:
    slow = tuple(replace(s, done=s.scheduled + milliseconds(n)) for n, s in enumerate(history().samples))
    found = watched(history(samples=slow), Objective("read"), Mode.FRESH, ZERO)
    ordered = sorted(s.latency for s in slow if s.mode is Mode.FRESH and s.scheduled >= ZERO)
    assert (found.p50, found.p95, found.p99) == tuple(percentile(ordered, q) for q in (0.5, 0.95, 0.99))
    assert found.p50 < found.p95 < found.p99


def test_the_instant_of_the_call_and_the_latency_that_is_asked_for_count() -> None:
    first = next(s for s in history().samples if s.mode is Mode.FRESH and s.scheduled >= ZERO)
    one = replace(first, scheduled=ZERO, sent=ZERO, done=ZERO + seconds(1), good=True)
    found = watched(history(samples=(one,)), Objective("read", within=seconds(1)), Mode.FRESH, ZERO)
    assert (found.n, found.bad) == (1, 0)


def test_what_an_instrument_does_not_say_is_nothing_and_what_is_no_number_neither() -> None:
    whole = {
        "worker": "prober",
        "asked": 1,
        "dropped": 2,
        "lag_p99_ns": 3,
        "lag_max_ns": 4,
        "lag_p50_ns": 5,
        "saturated": 6,
    }
    told = (whole, {}, {"worker": "load", "asked": "many"})
    extra = tuple(Event(90 + n, at(21), "harness", Phase.INFO, Name.INSTRUMENT, data) for n, data in enumerate(told))
    plain = tuple(e for e in events(observed=20) if e.name is not Name.INSTRUMENT)
    assert made(history(events=(*plain, *extra))).workers == (
        Worker("prober", 1, 2, 3, 4, 5, 6),
        Worker("", 0, 0, 0, 0, 0, 0),
        Worker("load", 0, 0, 0, 0, 0, 0),
    )


def test_an_environment_without_a_name_has_none_and_of_one_that_is_not_told_the_caller_knows() -> None:
    plain = tuple(e for e in events(observed=20) if e.name is not Name.ENVIRONMENT)
    beside = replace(PLACE, environment="env-of-the-caller")

    def place(*told: Event) -> Place:
        of = history(events=(*plain, *told))
        return record_of(of, judge(of), cell="shop/pool", block=2, place=beside).place

    assert place() == beside
    assert place(Event(90, at(-9), "harness", Phase.OK, Name.ENVIRONMENT, {})) == PLACE
    failed = Event(90, at(-9), "harness", Phase.FAIL, Name.ENVIRONMENT, {"id": "env-8"})
    assert place(failed) == beside


def test_a_step_that_is_not_numbered_is_told_as_none_of_the_plan() -> None:
    steps = (
        Event(70, at(2), "operator", Phase.INVOKE, Name.STEP, {"step": "two"}),
        Event(71, at(3), "operator", Phase.FAIL, Name.STEP, {"step": "two", "status": "killed"}),
    )
    others = tuple(e for e in events(observed=20) if e.name is not Name.STEP)
    assert made(history(events=(*others, *steps))).steps == (Ran(-1, seconds(2), seconds(3), Phase.FAIL, None),)


def test_a_history_in_which_nothing_happened_took_no_time() -> None:
    verdict = judge(history())
    begun = Event(0, header().monotonic, "harness", Phase.INVOKE, Name.TRIAL)
    earlier = replace(begun, at=begun.at - 1)
    for log in ((), (begun,), (earlier,)):
        assert record_of(history(events=log), verdict, cell="c", block=1, place=PLACE).took == 0


def test_without_an_objective_the_whole_28_days_are_the_budget() -> None:
    verdict = replace(judge(history()), timings=Timings(bad_seconds=28 * 24 * 36))
    bare = history(header=header(TREATED, replace(terms(), objectives=())))
    assert record_of(bare, verdict, cell="c", block=1, place=PLACE).budget == pytest.approx(1)


def test_every_instant_of_the_timeline_is_moved_and_nothing_else() -> None:
    told = Timings(
        call=20,
        felt=21,
        onset=Interval(22, 23),
        detected=24,
        started=25,
        first_good=26,
        recovered=Interval(27, 28),
        redundant=29,
        ended=30,
        bad_seconds=31,
        episodes=32,
    )
    assert since(told, 20) == Timings(
        call=0,
        felt=1,
        onset=Interval(2, 3),
        detected=4,
        started=5,
        first_good=6,
        recovered=Interval(7, 8),
        redundant=9,
        ended=10,
        bad_seconds=31,
        episodes=32,
    )


def test_what_is_told_of_an_indicator_is_told_to_the_letter() -> None:
    objective = Objective("read", ratio=0.9, within=seconds(1))
    seen = tuple(replace(s, indicator="read") for s in history().samples if at(-1) <= s.scheduled < at(2))
    of = history(header=header(TREATED, terms(objective)), samples=seen)
    kept = [s for s in seen if s.mode is Mode.POOLED and s.scheduled >= at(1)]
    found = watched(of, objective, Mode.POOLED, at(1))
    assert found == Watched("read", Mode.POOLED, 0.9, len(kept), 20, *[milliseconds(3)] * 3, seconds(5), 10)
    assert len(kept) == 20


def test_of_one_value_every_percentile_is_that_value() -> None:
    assert [percentile([7], q) for q in (0.0, 0.5, 1.0)] == [7, 7, 7]
    assert [percentile([7, 8], q) for q in (0.0, 0.5, 0.51)] == [7, 7, 8]
