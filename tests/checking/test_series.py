from dataclasses import replace

from harness.checking import series as series_of
from harness.model.history import Mode
from harness.model.objectives import Objective
from harness.model.units import milliseconds
from tests.checking.histories import PERIOD, UP, at, outage, sample, samples, terms


def made(down=UP, *, start=0.0, end=10.0):
    return series_of.of(Objective("read"), Mode.FRESH, PERIOD, samples(down, start=start, end=end, modes=[Mode.FRESH]))


def test_samples_are_put_in_the_order_they_were_due():
    one, two = sample(1), sample(2, bad=True)
    found = series_of.of(Objective("read"), Mode.FRESH, PERIOD, [two, one])
    assert found.at == (at(1), at(2))
    assert found.bad == (False, True)
    assert found.before == (0, 0, 1)


def test_a_right_answer_that_came_later_than_promised_is_bad():
    objective = Objective("read", within=milliseconds(100))
    late = sample(1)
    assert not series_of.broken(late, objective)
    assert series_of.broken(late, Objective("read", within=milliseconds(4)))
    assert not series_of.broken(late, Objective("read", within=milliseconds(5)))


def test_there_is_a_series_for_each_objective_and_mode_and_it_has_only_its_own_samples():
    judged = terms(Objective("read"), Objective("write"))
    mixed = [*samples(start=0, end=1), *samples(start=0, end=2, indicator="write", modes=[Mode.POOLED])]
    found = series_of.every(judged, mixed)
    sizes = [(s.objective.indicator, s.mode, len(s.at)) for s in found]
    assert sizes == [
        ("read", Mode.FRESH, 20),
        ("read", Mode.POOLED, 20),
        ("write", Mode.FRESH, 0),
        ("write", Mode.POOLED, 40),
    ]
    assert found[1].name == "`read` (pooled)"


def test_only_samples_due_in_the_span_are_taken():
    found = series_of.every(terms(), samples(start=0, end=3), since=at(1), until=at(2))
    assert found[0].at[0] == at(1)
    assert found[0].at[-1] == at(1.95)


def test_samples_and_bad_ones_are_counted_from_start_up_to_but_without_end():
    found = made(outage((1, 2)))
    assert found.between(at(0), at(10)) == (200, 20)
    assert found.between(at(1), at(2)) == (20, 20)
    assert found.between(at(0.95), at(1.05)) == (2, 1)


def test_an_objective_holds_with_as_many_bad_samples_as_allowed_and_not_with_one_more():
    assert made(outage((1, 1.25))).holds(at(0), at(5))
    assert not made(outage((1, 1.3))).holds(at(0), at(5))


def test_an_objective_does_not_hold_over_a_span_with_less_than_half_of_its_samples():
    assert made(end=2.5).holds(at(0), at(5))
    assert not made(end=2.45).holds(at(0), at(5))
    assert not made(end=0).holds(at(0), at(5))


def test_nothing_is_settled_without_samples():
    assert made(end=0).settled() == 0


def test_all_is_settled_up_to_the_period_after_the_last_sample_where_none_is_missing():
    assert made().settled() == at(10)


def test_what_comes_after_a_missing_answer_is_not_settled():
    found = [s for s in samples(start=0, end=10, modes=[Mode.FRESH]) if s.scheduled != at(9)]
    assert series_of.of(Objective("read"), Mode.FRESH, PERIOD, found).settled() == at(9)


def test_an_answer_that_can_come_no_more_is_not_waited_for():
    found = [s for s in samples(start=0, end=10, modes=[Mode.FRESH]) if s.scheduled != at(7.9)]
    assert series_of.of(Objective("read"), Mode.FRESH, PERIOD, found).settled() == at(10)


def test_an_episode_is_the_outage_and_not_the_stray_error_far_behind_it():
    assert series_of.episode([True] * 10) == 10
    assert series_of.episode([True] * 10 + [False] * 30) == 10
    assert series_of.episode([True] + [False] * 5 + [True]) == 7
    assert series_of.episode([True] + [False] * 6 + [True]) == 1
    assert series_of.episode([True, False, True, False, False, True]) == 6


def test_probes_that_came_a_little_unevenly_leave_no_gap():
    seen = [sample(n * 0.05 + (0.02 if n % 7 == 0 else 0), mode=Mode.FRESH) for n in range(100)]
    assert series_of.of(Objective("read"), Mode.FRESH, PERIOD, seen).settled() == at(5.0)


def test_one_sample_is_enough_where_one_was_due():
    assert series_of.enough(1, PERIOD, PERIOD)
    assert not series_of.enough(0, 0, PERIOD)


def test_probes_half_a_period_late_leave_no_gap_and_those_later_do():
    def settled(late):
        seen = [sample(n * 0.05 + (late if n >= 50 else 0), mode=Mode.FRESH) for n in range(60)]
        return series_of.of(Objective("read"), Mode.FRESH, PERIOD, seen).settled()

    assert settled(0.025) == at(3.025)
    assert settled(0.026) == at(2.5)


def test_a_sample_due_when_the_clock_begins_is_taken():
    first = replace(sample(0), scheduled=0)
    assert [found.at for found in series_of.every(terms(), [first])] == [(0,), ()]
