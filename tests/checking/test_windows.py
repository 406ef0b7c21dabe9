import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.checking import windows
from harness.model.objectives import Objective
from harness.model.units import milliseconds, seconds


@pytest.mark.parametrize(
    "row",
    [
        (0.95, 0.005, 0.15, 100, 5, 0.0000, 0.0016),
        (0.99, 0.001, 0.05, 100, 1, 0.0046, 0.0371),
        (0.99, 0.001, 0.05, 200, 2, 0.0011, 0.0023),
        (0.999, 0.0002, 0.01, 300, 0, 0.0582, 0.0490),
        (0.999, 0.0002, 0.01, 1200, 1, 0.0246, 0.0001),
        (0.999, 0.0002, 0.01, 3000, 3, 0.0034, 0.0000),
    ],
)
def test_the_published_table_is_reproduced(row):
    ratio, healthy, degraded, n, c, rejected, accepted = row
    assert windows.allowed(n, ratio) == c
    assert round(windows.healthy_rejected(n, ratio, rate=healthy), 4) == rejected
    assert round(windows.degraded_accepted(n, ratio, rate=degraded), 4) == accepted


@given(st.integers(1, 400), st.floats(0, 1), st.data())
def test_the_binomial_is_scipys(n, p, data):
    c = data.draw(st.integers(-1, n))
    assert windows.at_most(c, n, p) == pytest.approx(stats.binom.cdf(c, n, p), abs=1e-9)


@pytest.mark.parametrize(("n", "ratio", "c"), [(10, 0.9, 1), (100, 0.95, 5), (99, 0.95, 4), (30, 0.9, 3), (7, 0.3, 4)])
def test_what_is_allowed_is_exact_where_floats_are_not(n, ratio, c):
    assert windows.allowed(n, ratio) == c


@pytest.mark.parametrize(("window", "n"), [(seconds(5), 100), (seconds(5) + 1, 101), (1, 1), (0, 0)])
def test_probes_due_in_a_window_are_counted_from_one_at_its_start(window, n):
    assert windows.probes(window, milliseconds(50)) == n


def test_the_smallest_window_is_the_first_that_resolves():
    n = windows.smallest_window(0.99)
    assert n is not None
    assert windows.resolves(n, 0.99)
    assert not any(windows.resolves(fewer, 0.99) for fewer in range(1, n))


def test_a_certificate_needs_more_probes_than_a_quick_drill():
    quick, strict = windows.smallest_window(0.99), windows.smallest_window(0.99, limit=windows.STRICT)
    assert quick is not None
    assert strict is not None
    assert quick < strict


def test_degraded_is_five_times_the_budget_at_most_half_way_to_all_bad():
    assert windows.degraded_accepted(20, 0.95) == pytest.approx(windows.degraded_accepted(20, 0.95, rate=0.25))
    assert windows.degraded_accepted(20, 0.5) == pytest.approx(windows.degraded_accepted(20, 0.5, rate=0.75))


def test_healthy_is_a_tenth_of_the_budget():
    assert windows.healthy_rejected(100, 0.95) == pytest.approx(windows.healthy_rejected(100, 0.95, rate=0.005))


def test_the_default_window_shows_95_per_cent():
    assert windows.refusal(Objective("read"), window=seconds(5), period=milliseconds(50)) is None


def test_a_window_that_cannot_show_the_objective_is_refused_with_the_smallest_that_can():
    why = windows.refusal(Objective("read", ratio=0.999), window=seconds(5), period=milliseconds(50))
    n = windows.smallest_window(0.999)
    assert why is not None
    assert n is not None
    assert why.startswith("100 probes in 5 s cannot tell whether 0.999 of `read` is kept")
    assert f"({n} probes)" in why
    assert windows.refusal(Objective("read", ratio=0.999), window=n * milliseconds(50), period=milliseconds(50)) is None


@pytest.mark.parametrize("ratio", [0.0, 1.0, 1.5, -1.0])
def test_a_ratio_that_is_none_is_refused(ratio):
    why = windows.refusal(Objective("read", ratio=ratio), window=seconds(5), period=milliseconds(50))
    assert why == f"the objective on `read` asks for a ratio of {ratio:g}: expected more than 0 and less than 1"
    assert windows.smallest_window(ratio) is None


@pytest.mark.parametrize(("window", "period"), [(0, 1), (1, 0), (-1, 1), (1, -1)])
def test_a_window_without_probes_is_refused(window, period):
    why = windows.refusal(Objective("read"), window=window, period=period)
    assert why is not None
    assert "cannot be seen" in why


def test_the_limit_asked_for_is_the_one_that_is_held_and_told():
    n = windows.smallest_window(0.99)
    assert n is not None
    window = n * milliseconds(50)
    assert windows.refusal(Objective("read", ratio=0.99), window=window, period=milliseconds(50)) is None
    strict = windows.smallest_window(0.99, limit=windows.STRICT)
    assert strict is not None
    why = windows.refusal(Objective("read", ratio=0.99), window=window, period=milliseconds(50), limit=windows.STRICT)
    assert why is not None
    assert "(at most 0.01 is allowed)" in why
    assert why.endswith(f"; the shortest window that can is {strict * 0.05:.1f} s ({strict} probes)")


def test_an_objective_that_no_window_can_show_is_refused_as_that():
    assert windows.smallest_window(0.999999) is None
    why = windows.refusal(Objective("read", ratio=0.999999), window=seconds(5), period=milliseconds(50))
    assert why is not None
    assert why.endswith("; no window can")


def test_a_lenient_objective_needs_few_probes():
    assert windows.smallest_window(0.5) == next(n for n in range(1, 100) if windows.resolves(n, 0.5))
    assert not windows.resolves(0, 0.5)


def test_no_probe_shows_nothing_however_little_is_asked_and_one_may_show_enough():
    assert not windows.resolves(0, 0.5, limit=1)
    assert windows.smallest_window(0.5, limit=0.3) == 1


@pytest.mark.parametrize(("n", "ratio", "larger"), [(900, 0.999, "healthy_rejected"), (1, 0.5, "degraded_accepted")])
def test_as_many_wrong_answers_as_are_allowed_are_not_too_many(n, ratio, larger):
    limit = max(windows.healthy_rejected(n, ratio), windows.degraded_accepted(n, ratio))
    assert limit == getattr(windows, larger)(n, ratio)
    assert windows.resolves(n, ratio, limit=limit)
    assert not windows.resolves(n, ratio, limit=limit * 0.999)


def test_what_cannot_be_seen_is_told_with_window_and_period():
    why = windows.refusal(Objective("read"), window=0, period=seconds(1))
    assert why == "the objective on `read` cannot be seen in a window of 0 s with a probe every 1 s"
    why = windows.refusal(Objective("read"), window=1, period=1)
    assert why is not None
    assert why.startswith("1 probes in")


@pytest.mark.parametrize(
    ("c", "n", "p", "expected"), [(2, 2, 1.0, 1.0), (1, 2, 1.0, 0.0), (0, 2, 0.0, 1.0), (-1, 2, 0.0, 0.0)]
)
def test_certain_things_are_certain(c, n, p, expected):
    assert windows.at_most(c, n, p) == expected


@given(st.integers(1, 3000), st.floats(0, 1))
def test_a_probability_is_never_above_one(n, p):
    assert 0 <= windows.at_most(n - 1, n, p) <= 1
