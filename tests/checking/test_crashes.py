"""A check that crashes is no answer: which one it was is told, nothing else suffers, and the trial is never a pass."""

import pytest

from harness.checking import (
    alerts,
    backups,
    containment,
    durability,
    effect,
    hygiene,
    procedure,
    redundancy,
    steady_state,
    timeliness,
)
from harness.checking import judge as judging
from harness.checking.judge import judge
from harness.model.verdict import Outcome, Status, Timings
from tests.checking.histories import history, reading, terms, with_ledger, write

WRITES = [write(n, -1 + n / 10) for n in range(8)]
WHOLE = with_ledger(history(judged=terms(rpo=1)), WRITES, reading(range(8)))


def crashed(monkeypatch, module, function):
    def crash(*_, **__):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(module, function, crash)
    verdict = judge(WHOLE)
    told = [f for f in verdict.findings if "the check itself failed" in f.why]
    assert [(f.outcome, f.why) for f in told] == [
        (Outcome.INCONCLUSIVE, "the check itself failed: ZeroDivisionError: division by zero")
    ]
    assert verdict.findings[0] is told[0]
    assert verdict.outcome is not Outcome.PASSED
    return told[0].check, verdict


@pytest.mark.parametrize(
    ("module", "function", "name"),
    [
        (judging, "moments", "moments"),
        (judging, "_outage", "samples"),
        (judging, "_people", "people"),
        (durability, "loss", "durability"),
        (backups, "placed", "durability"),
        (hygiene, "check", "hygiene"),
        (steady_state, "check", "steady_state"),
        (effect, "check", "effect"),
        (timeliness, "check", "recovery"),
        (durability, "check", "durability"),
        (backups, "check", "backup"),
        (procedure, "check", "procedure"),
        (containment, "check", "containment"),
        (redundancy, "check", "redundancy"),
        (judging, "_timings", "timings"),
        (judging, "_rta", "timings"),
        (alerts, "alerted", "alerts"),
    ],
)
def test_what_crashed_is_told_once_and_by_its_name(monkeypatch, module, function, name):
    assert crashed(monkeypatch, module, function)[0] == name


def test_the_trial_passes_where_nothing_crashes():
    verdict = judge(WHOLE)
    assert (verdict.outcome, verdict.status) == (Outcome.PASSED, Status.OK)


@pytest.mark.parametrize(
    ("module", "function", "field", "empty"),
    [
        (judging, "_timings", "timings", Timings()),
        (judging, "_rta", "rta", None),
        (alerts, "alerted", "alerts", ()),
        (durability, "loss", "loss", None),
    ],
)
def test_a_figure_that_could_not_be_made_is_empty(monkeypatch, module, function, field, empty):
    before = judge(WHOLE)
    verdict = crashed(monkeypatch, module, function)[1]
    assert getattr(verdict, field) == empty
    assert verdict.status is Status.OK
    kept = {"timings", "rta", "loss"} - {field}
    assert [getattr(verdict, name) for name in kept] == [getattr(before, name) for name in kept]


def test_without_peoples_time_the_rest_is_judged_as_without_people(monkeypatch):
    before = judge(WHOLE)
    verdict = crashed(monkeypatch, judging, "_people")[1]
    assert (verdict.rta, verdict.status) == (before.rta, before.status)
    assert verdict.findings[1:] == before.findings


def test_what_the_checks_find_is_told_in_their_order_behind_what_crashed(monkeypatch):
    names = [f.check for f in judge(WHOLE).findings]
    verdict = crashed(monkeypatch, effect, "check")[1]
    assert [f.check for f in verdict.findings] == ["effect", *(name for name in names if name != "effect")]
