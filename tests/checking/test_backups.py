"""The worst case of a backup schedule: by arithmetic, against a simulated schedule, and as a finding of a trial."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.checking import backups
from harness.checking.backups import Backup, fault_at, longest_interval, loss_at, seen_by, taken, worst_case
from harness.checking.judge import judge
from harness.checking.moments import Moments
from harness.model.backup import BackupPhase, BackupSchedule
from harness.model.design import CONTROL, TREATED, Arm
from harness.model.history import Event, History, Name, Phase
from harness.model.units import Ns, hours, seconds
from harness.model.verdict import Finding, Interval, Loss, Outcome
from tests.checking.histories import at, header, reading, terms, with_ledger, write
from tests.checking.histories import history as whole

INTERVALS = st.integers(1, 1000)
DURATIONS = st.integers(0, 3000)


def newest_durable(instant: int, *, interval: int, duration: int) -> int:
    """When the newest backup began that is durable at `instant`, tried one by one."""
    begun = -interval * (duration // interval + 2)
    while begun + interval + duration <= instant:
        begun += interval
    return begun


@settings(deadline=None)
@given(st.integers(0, 5000), INTERVALS, DURATIONS)
def test_the_loss_at_a_phase_is_the_age_of_the_newest_backup_that_is_durable(
    phase: int, interval: int, duration: int
) -> None:
    begun = newest_durable(phase, interval=interval, duration=duration)
    assert loss_at(phase, interval=interval, duration=duration) == phase - begun


@settings(deadline=None)
@given(st.integers(0, 10**7), INTERVALS, DURATIONS)
def test_no_phase_loses_as_much_as_the_worst_case_and_the_adversarial_one_all_but_a_nanosecond(
    phase: int, interval: int, duration: int
) -> None:
    assert loss_at(phase, interval=interval, duration=duration) < worst_case(interval, duration)
    just_before = interval + duration - 1  # the next began at `interval`, and would be durable `duration` later
    assert loss_at(just_before, interval=interval, duration=duration) == worst_case(interval, duration) - 1


@settings(deadline=None)
@given(st.integers(0, 10**6), DURATIONS)
def test_the_longest_interval_keeps_the_rpo_and_one_more_nanosecond_does_not(rpo: int, duration: int) -> None:
    most = longest_interval(rpo, duration)
    if most is None:
        assert worst_case(1, duration) > rpo
    else:
        assert worst_case(most, duration) <= rpo < worst_case(most + 1, duration)


def test_random_phases_seldom_find_the_worst_case() -> None:
    schedule = {"interval": seconds(300), "duration": seconds(30)}
    chances = [round(seen_by(n, share=0.95, **schedule), 2) for n in (1, 10, 20)]
    assert chances == [0.06, 0.43, 0.68]
    assert seen_by(1, share=0.0, **schedule) == 1
    assert seen_by(7, share=1.01, **schedule) == 0


@settings(deadline=None)
@given(st.integers(1, 40), st.floats(0, 1), st.integers(1, 1000), st.integers(0, 1000))
def test_the_chance_to_see_it_agrees_with_the_phases_counted_out(
    n: int, share: float, interval: int, duration: int
) -> None:
    worst = worst_case(interval, duration)
    losing = sum(loss_at(phase, interval=interval, duration=duration) >= share * worst for phase in range(interval))
    expected = 1 - (1 - losing / interval) ** n
    assert abs(seen_by(n, share=share, interval=interval, duration=duration) - expected) <= n / interval + 1e-9


SCHEDULE = BackupSchedule(seconds(6))


@pytest.mark.parametrize("seed", range(5))
def test_the_fault_comes_when_it_hurts_most_or_at_random_once_the_backup_is_durable(seed: int) -> None:
    backup = Backup(at(0), at(0.5))
    assert fault_at(SCHEDULE, backup, seed=seed) == at(6.5) - backups.EDGE
    drawn = fault_at(replace(SCHEDULE, phase=BackupPhase.RANDOM), backup, seed=seed)
    assert at(0.5) <= drawn < at(6.5)
    assert drawn == fault_at(replace(SCHEDULE, phase=BackupPhase.RANDOM), backup, seed=seed)


def test_random_phases_are_spread_over_the_schedule() -> None:
    backup, by_chance = Backup(0, 0), replace(SCHEDULE, phase=BackupPhase.RANDOM)
    drawn = [fault_at(by_chance, backup, seed=random.Random(n).randrange(2**31)) for n in range(400)]
    assert 0.4 < sum(each < seconds(3) for each in drawn) / 400 < 0.6


def steps(*ends: tuple[float, Phase, float], actor: str = backups.PREPARATION) -> tuple[Event, ...]:
    """(begun, how it ended, when) of each step."""
    events: list[Event] = []
    for number, (begun, phase, ended) in enumerate(ends):
        for when, what in ((begun, Phase.INVOKE), (ended, phase)):
            events.append(Event(len(events), at(when), actor, what, Name.STEP, {"step": number}))
    return tuple(events)


def test_a_backup_lasts_from_its_first_command_to_the_end_of_its_last() -> None:
    assert taken(iter(steps((-6, Phase.OK, -5.8), (-5.7, Phase.OK, -5)))) == Backup(at(-6), at(-5))


def test_a_backup_that_failed_was_cut_off_or_was_the_operators_is_none() -> None:
    assert taken(iter(steps((-6, Phase.OK, -5.8), (-5.7, Phase.FAIL, -5)))) is None
    assert taken(iter(steps((-6, Phase.OK, -5))[:1])) is None
    assert taken(iter(steps((-6, Phase.OK, -5), actor="operator"))) is None
    assert taken(iter(())) is None


def lost(seconds_before: float) -> Loss:
    return Loss(acked=100, lost=10, rpa=Interval(seconds(seconds_before), seconds(seconds_before + 0.05)), resolution=1)


def found(
    schedule: BackupSchedule | None,
    loss: Loss | None,
    *,
    rpo: float | None = 60,
    arm: Arm = TREATED,
    events: tuple[Event, ...] = steps((-6.4, Phase.OK, -5.9)),
) -> list[Finding]:
    own = replace(terms(rpo=rpo, ledger=True), backup=schedule)
    history = History(header(arm, own), events=events)
    return list(backups.check(history, Moments(since=at(0), until=at(9), call=at(0)), loss))


@pytest.mark.parametrize(
    ("interval", "rpo", "outcome", "said"),
    [
        (None, 60, Outcome.PASSED, "the RPO of 1 min is kept at worst if one begins at least every 59.5 s"),
        (None, 0.5, Outcome.FAILED, "no schedule keeps the RPO of 500 ms"),
        (None, None, Outcome.PASSED, "neither an interval nor an RPO is stated"),
        (seconds(59), 60, Outcome.PASSED, "every 59 s, as in life, at worst 59.5 s are lost (RPO 1 min)"),
        (
            seconds(60),
            60,
            Outcome.FAILED,
            "every 1 min, as in life, at worst 60.5 s are lost, 500 ms more than the RPO of 1 min",
        ),
        (hours(24), None, Outcome.PASSED, "at worst"),
    ],
)
def test_a_schedule_is_judged_by_its_worst_case_not_by_what_this_trial_lost(
    interval: Ns | None, rpo: float | None, outcome: Outcome, said: str
) -> None:
    [finding] = found(replace(SCHEDULE, interval=interval), lost(6.3), rpo=rpo)
    assert finding.outcome is outcome
    assert said in finding.why
    assert (
        "6.4 s after the backup began, just before the next would have been durable: 6.3 s of writes are lost"
        in finding.why
    )
    assert "of at most 6.5 s (every 6 s in the drill, durable after 500 ms)" in finding.why


def test_a_fault_at_another_phase_is_not_called_the_worst() -> None:
    [finding] = found(SCHEDULE, lost(2), events=steps((-3, Phase.OK, -2.5)))
    assert "at some point of the schedule" in finding.why


def test_a_loss_from_before_the_backup_is_the_backups_failure() -> None:
    [finding] = found(SCHEDULE, lost(6.41))
    assert finding.outcome is Outcome.FAILED
    assert "it does not hold all that it should" in finding.why
    assert finding.evidence == (0, 1)
    [exactly] = found(SCHEDULE, lost(6.4))
    assert exactly.outcome is Outcome.PASSED


def test_the_loss_says_where_in_the_schedule_the_fault_came_and_what_that_loses_at_worst() -> None:
    own = replace(terms(rpo=60, ledger=True), backup=SCHEDULE)
    history = History(header(TREATED, own), events=steps((-6.4, Phase.OK, -5.9)))
    moments = Moments(since=at(0), until=at(9), call=at(0))
    placed = backups.placed(history, moments, lost(6.3))
    assert placed == replace(lost(6.3), worst_case=seconds(6.5), phase=seconds(6.4))
    assert backups.placed(history, moments, None) is None
    assert backups.placed(history, replace(moments, call=None), lost(1)) == lost(1)
    assert backups.placed(replace(history, events=()), moments, lost(1)) == lost(1)
    without = replace(history, header=header(TREATED, terms(ledger=True)))
    assert backups.placed(without, moments, lost(1)) == lost(1)


def test_without_a_backup_or_without_a_measured_loss_nothing_is_known() -> None:
    assert [f.outcome for f in found(SCHEDULE, lost(1), events=())] == [Outcome.INCONCLUSIVE]
    assert [f.outcome for f in found(SCHEDULE, None)] == [Outcome.INCONCLUSIVE]


def test_only_treated_trials_with_a_schedule_are_asked() -> None:
    assert found(None, lost(1)) == []
    assert found(SCHEDULE, lost(1), arm=CONTROL) == []


def test_what_is_found_of_a_backup_is_told_to_the_letter_with_the_events_of_its_commands() -> None:
    unknown = (Outcome.INCONCLUSIVE, "the preparation took no backup to its end")
    failed = steps((-6.4, Phase.FAIL, -5.9))
    assert found(SCHEDULE, lost(1), events=failed) == [Finding("backup", *unknown, (0, 1))]
    assert found(SCHEDULE, None, events=()) == [Finding("backup", *unknown, ())]
    why = "what was lost was not measured"
    assert found(SCHEDULE, None) == [Finding("backup", Outcome.INCONCLUSIVE, why, (0, 1))]
    why = (
        "writes acknowledged 7 s before the fault call are lost, and the backup began only 6.4 s before it: it does not hold"
        " all that it should"
    )
    assert found(SCHEDULE, lost(7)) == [Finding("backup", Outcome.FAILED, why, (0, 1))]
    assert [(f.check, f.evidence) for f in found(SCHEDULE, lost(6.3))] == [("backup", (0, 1))]


@pytest.mark.parametrize(
    ("before", "where"),
    [(6.3, "just before the next would have been durable"), (6.29, "at some point of the schedule")],
)
def test_a_fault_within_two_edges_of_the_worst_phase_is_called_the_worst(before: float, where: str) -> None:
    [finding] = found(SCHEDULE, lost(2), events=steps((-before, Phase.OK, 0.5 - before)))
    assert f" after the backup began, {where}: 2 s of writes are lost" in finding.why


def test_a_worst_case_that_is_exactly_the_rpo_keeps_it() -> None:
    exactly = replace(SCHEDULE, interval=seconds(59.5))
    [finding] = found(exactly, lost(6.3))
    assert finding.outcome is Outcome.PASSED
    [unstated] = found(SCHEDULE, lost(6.3), rpo=None)
    assert unstated.why.endswith("; neither an interval nor an RPO is stated")


def test_a_whole_trial_is_judged_by_its_schedule() -> None:
    base = with_ledger(
        whole(judged=replace(terms(rpo=60), backup=SCHEDULE)), [write(0, -2), write(1, -7)], reading([1])
    )
    events = sorted([*base.events, *steps((-6.4, Phase.OK, -5.9))], key=lambda e: e.at)
    verdict = judge(replace(base, events=tuple(replace(e, index=n) for n, e in enumerate(events))))
    assert verdict.loss is not None
    assert (verdict.loss.lost, verdict.loss.worst_case, verdict.loss.phase) == (1, seconds(6.5), seconds(6.4))
    [finding] = [f for f in verdict.findings if f.check == backups.CHECK]
    assert finding.outcome is Outcome.PASSED
    assert "6.4 s after the backup began" in finding.why
    assert verdict.outcome is Outcome.PASSED
