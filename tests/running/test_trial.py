"""Whole trials on modelled systems under virtual time: what each arm does, and that trouble of ours is never the runbook's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import pytest

from harness import codec
from harness.checking.judge import judge
from harness.clock import now
from harness.errors import FaultError
from harness.model.design import BASELINE, CONTROL, SHAM, TREATED, Trial
from harness.model.history import Name, Phase
from harness.model.objectives import Recovery
from harness.model.units import SECOND, milliseconds, minutes, seconds
from harness.model.verdict import Outcome, Status
from harness.ports import Capability, Injection, Stage
from harness.running.trial import Bench, run_trial
from harness.scenario import Deviation, Operator
from harness.substrates.simulated import Model, Reaction
from tests.running.stage import (
    CURE,
    CURES,
    DOWN,
    LEDGER,
    Staffed,
    Talking,
    Vanishing,
    Watched,
    names,
    planned,
    texts,
    tried,
    why,
    with_recovery,
)

pytestmark = pytest.mark.looptime

COMMANDS = ["uptime", "mend-it --now", "uptime"]


def at(history, name: Name, *phases: Phase) -> float:
    """When that first happened, in seconds since the trial began."""
    event = history.first(name, *phases)
    assert event is not None, f"no {name} event"
    return (event.at - history.events[0].at) / SECOND


async def test_the_treated_arm_breaks_detects_follows_and_ends_as_soon_as_recovery_has_held(tmp_path: Path) -> None:
    history, environment = await tried(CURES, TREATED, tmp_path)
    assert texts(history) == COMMANDS
    assert [c.text for c in environment.operated if "mend-it" in c.text]
    assert why(history, Name.OBSERVED) == "recovered"
    order = [at(history, name) for name in (Name.STEADY, Name.FAULT, Name.DETECT, Name.PROCEDURE)]
    assert order == sorted(order)
    recovery = DOWN.recovery
    cured = at(history, Name.PROCEDURE, Phase.OK) + 1
    least = cured + (recovery.window + recovery.hold) / SECOND
    assert least <= at(history, Name.OBSERVED) <= least + 1.5
    assert at(history, Name.OBSERVED) < at(history, Name.FAULT) + recovery.horizon / SECOND - 3
    verdict = judge(history)
    assert (verdict.status, verdict.outcome) == (Status.OK, Outcome.PASSED)


async def test_recovery_is_bracketed_around_the_moment_the_model_was_cured(tmp_path: Path) -> None:
    history, _ = await tried(CURES, TREATED, tmp_path)
    mended = [e.at for e in history.named(Name.STEP, Phase.OK)][1] + seconds(1)
    call = history.first(Name.FAULT, Phase.INVOKE).at
    rta = judge(history).rta.fault
    assert rta.lo <= mended - call <= rta.hi
    assert rta.hi - rta.lo <= DOWN.period


async def test_what_a_substrate_is_busy_with_is_recorded_until_the_environment_is_up(tmp_path: Path) -> None:
    substrate = Talking(CURES, provides=frozenset(Capability))
    history = await run_trial(planned(substrate=substrate), Trial(TREATED, 1, 7), Bench(substrate, "test"), tmp_path)
    told = [str(e.data["doing"]) for e in history.named(Name.ENVIRONMENT, Phase.INFO) if "doing" in e.data]
    assert told == ["making a cluster", "loading images"]
    assert judge(history).status is Status.OK


@pytest.mark.parametrize("heals_after", [None, seconds(3)], ids=["stays broken", "heals by itself"])
async def test_the_control_arm_is_watched_for_the_whole_horizon_whatever_happens(tmp_path: Path, heals_after) -> None:
    history, environment = await tried(Model(heals_after=heals_after), CONTROL, tmp_path)
    assert why(history, Name.OBSERVED) == "horizon"
    assert at(history, Name.OBSERVED) - at(history, Name.FAULT) == pytest.approx(20, abs=0.2)
    assert not environment.operated
    assert history.first(Name.PROCEDURE) is None
    assert judge(history).status is (Status.CENSORED if heals_after is None else Status.OK)


async def test_the_baseline_arm_does_nothing_and_is_watched_for_one_window_and_hold(tmp_path: Path) -> None:
    history, environment = await tried(CURES, BASELINE, tmp_path)
    assert names(history) == [
        *("trial invoke", "environment invoke", "environment ok", "environment info"),
        *("steady ok", "observed ok", "trial ok"),
    ]
    assert why(history, Name.OBSERVED) == "quiet"
    assert at(history, Name.OBSERVED) - at(history, Name.STEADY) == pytest.approx(8, abs=0.2)
    assert not environment.operated
    assert judge(history).outcome is Outcome.PASSED


async def test_the_sham_arm_follows_the_procedure_without_a_fault_and_watches_from_its_end(tmp_path: Path) -> None:
    slow = Model(reactions=(Reaction(pattern="uptime", took=seconds(3)),))
    history, environment = await tried(slow, SHAM, tmp_path)
    assert texts(history) == COMMANDS
    assert not environment.in_force
    assert history.first(Name.FAULT) is None
    quiet = at(history, Name.OBSERVED) - at(history, Name.PROCEDURE, Phase.OK)
    assert quiet == pytest.approx(8, abs=0.2)
    assert judge(history).outcome is Outcome.PASSED


async def test_a_procedure_that_harms_a_healthy_system_is_seen_in_the_sham_arm(tmp_path: Path) -> None:
    model = Model(reactions=(Reaction(pattern="mend-it", harms_after=seconds(1)),))
    history, _ = await tried(model, SHAM, tmp_path)
    verdict = judge(history)
    assert verdict.outcome is Outcome.FAILED


async def test_a_system_that_is_never_steady_is_not_broken_and_the_trial_is_invalid(tmp_path: Path) -> None:
    history, environment = await tried(Model(errors=0.3), TREATED, tmp_path)
    assert "not steady within 20.0 s" in why(history, Name.STEADY, Phase.FAIL).replace("20 s", "20.0 s")
    assert "bad in the last" in why(history, Name.STEADY, Phase.FAIL)
    assert history.first(Name.FAULT) is None
    assert history.first(Name.PROCEDURE) is None
    assert not environment.operated
    assert at(history, Name.STEADY) == pytest.approx(DOWN.warm_up / SECOND, abs=0.3)
    assert judge(history).status is Status.INVALID


async def test_a_system_that_becomes_steady_late_is_waited_for(tmp_path: Path) -> None:
    history, _ = await tried(replace(CURES, outages=((0, seconds(6)),)), TREATED, tmp_path)
    assert at(history, Name.STEADY, Phase.OK) >= 11
    assert judge(history).outcome is Outcome.PASSED


async def test_a_fault_that_is_not_felt_ends_the_trial_before_the_procedure_and_is_undone(tmp_path: Path) -> None:
    history, environment = await tried(replace(CURES, felt=False), TREATED, tmp_path)
    assert why(history, Name.FAULT, Phase.FAIL) == "the model does not feel it"
    assert history.first(Name.PROCEDURE) is None
    assert history.first(Name.HEAL, Phase.OK) is not None
    assert environment.left_behind == ()
    assert judge(history).status is Status.INVALID


async def test_a_fault_that_users_never_notice_is_answered_all_the_same_and_counts_as_no_breach(tmp_path: Path) -> None:
    history, _ = await tried(replace(CURES, bites_after=minutes(5)), TREATED, tmp_path)
    assert history.first(Name.DETECT) is None
    waited = at(history, Name.PROCEDURE) - at(history, Name.FAULT, Phase.OK)
    assert waited == pytest.approx(DOWN.detect_within / SECOND, abs=0.2)
    assert why(history, Name.OBSERVED) == "horizon"
    assert judge(history).status is Status.NO_BREACH


async def test_at_the_horizon_the_operators_hands_come_off_the_keyboard(tmp_path: Path) -> None:
    stuck = Model(reactions=(Reaction(pattern="mend-it", took=minutes(5)),))
    scenario = replace(DOWN, step_timeout=minutes(10))
    history, environment = await tried(stuck, TREATED, tmp_path, scenario=scenario)
    assert texts(history) == COMMANDS[:2]
    assert history.first(Name.PROCEDURE, Phase.OK) is None
    assert why(history, Name.OBSERVED) == "horizon"
    assert at(history, Name.OBSERVED) - at(history, Name.FAULT) == pytest.approx(20, abs=0.2)
    assert environment.left_behind == ()
    assert judge(history).status is Status.CENSORED


async def test_after_the_horizon_no_command_ends_or_begins_while_last_answers_are_waited_for(tmp_path: Path) -> None:
    model = Model(reactions=(Reaction(pattern="uptime", took=seconds(18.7)), CURE))
    scenario = replace(DOWN, step_timeout=minutes(10))
    history, _ = await tried(model, TREATED, tmp_path, scenario=scenario)
    observed = history.first(Name.OBSERVED)
    assert texts(history) == COMMANDS[:1]
    assert not [e for e in history.named(Name.STEP, Phase.OK, Phase.FAIL, Phase.INFO) if e.actor == "operator"]
    assert not [e for e in history.named(Name.STEP) if e.index > observed.index]


async def test_what_was_asked_up_to_the_horizon_is_answered_before_the_fault_is_undone(tmp_path: Path) -> None:
    history, _ = await tried(Model(), CONTROL, tmp_path)
    timeout = DOWN.probes[0].timeout / SECOND
    assert at(history, Name.HEAL) >= at(history, Name.OBSERVED) + timeout
    last = [s for s in history.samples if s.scheduled < history.first(Name.OBSERVED).at]
    assert not last[-1].good


async def test_preparation_comes_before_the_fault_in_every_arm_and_is_not_the_operators(tmp_path: Path) -> None:
    for arm in (BASELINE, CONTROL, TREATED, SHAM):
        folder = tmp_path / arm.name
        folder.mkdir()
        history, _ = await tried(CURES, arm, folder, scenario=replace(DOWN, prepare=("backup",)))
        assert texts(history, actor="preparation") == ["pg_dump shop > backup.sql"]
        assert at(history, Name.STEP, Phase.OK) < at(history, Name.STEADY, Phase.OK)
        assert texts(history) == (COMMANDS if arm.procedure else [])


async def test_steps_are_numbered_through_preparation_and_procedure_and_carry_their_lines(tmp_path: Path) -> None:
    history, _ = await tried(CURES, TREATED, tmp_path, scenario=replace(DOWN, prepare=("backup",)))
    begun = list(history.named(Name.STEP, Phase.INVOKE))
    assert [e.data["step"] for e in begun] == [0, 1, 2, 3]
    assert [str(e.source) for e in begun] == ["runbook.md:8", "runbook.md:15", "runbook.md:17", "runbook.md:19"]


async def test_a_step_that_fails_does_not_stop_the_next(tmp_path: Path) -> None:
    model = replace(CURES, reactions=(Reaction(pattern="uptime", status=127, stderr="no such thing"), CURE))
    history, _ = await tried(model, TREATED, tmp_path)
    ends = [e for e in history.named(Name.STEP) if e.phase is not Phase.INVOKE]
    assert [e.phase for e in ends] == [Phase.FAIL, Phase.OK, Phase.FAIL]
    assert ends[0].data["status"] == 127
    assert ends[0].data["stderr"] == "no such thing"
    assert history.first(Name.PROCEDURE, Phase.OK) is not None
    assert history.first(Name.HARNESS) is None


async def test_a_step_that_does_not_end_is_ended_at_its_limit_and_the_next_is_taken(tmp_path: Path) -> None:
    model = replace(CURES, reactions=(Reaction(pattern="uptime", took=minutes(9)), CURE))
    scenario = replace(DOWN, step_timeout=seconds(2))
    history, _ = await tried(model, TREATED, tmp_path, scenario=scenario)
    ends = [e for e in history.named(Name.STEP) if e.phase is not Phase.INVOKE]
    assert [(e.phase, e.data.get("why")) for e in ends] == [
        (Phase.INFO, "timed out"),
        (Phase.OK, None),
        (Phase.INFO, "timed out"),
    ]
    assert ends[0].data["took_ns"] == seconds(2)


async def test_what_a_deviation_leaves_out_is_recorded_and_not_run(tmp_path: Path) -> None:
    scenario = replace(DOWN, deviations=(Deviation(match="mend-it", why="there is nothing to mend"),))
    history, environment = await tried(CURES, TREATED, tmp_path, scenario=scenario)
    skipped = next(e for e in history.named(Name.STEP, Phase.INFO))
    assert "there is nothing to mend" in str(skipped.data["why"])
    assert not [c for c in environment.operated if "mend-it" in c.text]
    assert judge(history).status is Status.CENSORED


async def test_a_deviation_with_a_text_is_run_in_place_of_what_is_written(tmp_path: Path) -> None:
    scenario = replace(DOWN, deviations=(Deviation(match="mend-it", instead="mend-it --gently", why="be gentle"),))
    history, environment = await tried(CURES, TREATED, tmp_path, scenario=scenario)
    assert "mend-it --gently" in texts(history)
    assert [c for c in environment.operated if "mend-it --gently" in c.text]
    assert judge(history).status is Status.OK


async def test_the_operators_files_are_laid_out_before_anything_is_run(tmp_path: Path) -> None:
    scenario = replace(DOWN, operator=Operator(files={"ops/mend.sh": "#!/bin/sh\nmend-it\n"}))
    _, environment = await tried(replace(CURES, reactions=()), TREATED, tmp_path, scenario=scenario)
    assert "ops/mend.sh #!/bin/sh\nmend-it" in environment.operated[0].text


async def test_a_trial_ends_where_an_operators_file_cannot_be_laid_out(tmp_path: Path) -> None:
    scenario = replace(DOWN, operator=Operator(files={"mend.sh": "x"}))
    full = replace(CURES, reactions=(Reaction(pattern="mend.sh", status=1, stderr="mend.sh: No space left"), CURE))
    history, _ = await tried(full, TREATED, tmp_path, scenario=scenario)
    assert "mend.sh into the home directory: mend.sh: No space left" in str(history.first(Name.HARNESS).data["why"])
    assert history.first(Name.PROCEDURE) is None


async def test_a_manual_step_is_not_run_and_a_declared_time_is_added_for_it(tmp_path: Path) -> None:
    text = "# Book\n\n## Service down\n\n**Resolution**\n\n1. Call the provider and ask them to wait\n\n```bash\nmend-it\n```\n"
    history, environment = await tried(CURES, TREATED, tmp_path, text=text)
    manual = [e for e in history.named(Name.STEP, Phase.INFO) if "for a person" in str(e.data["why"])]
    assert len(manual) == 1
    assert len(environment.operated) == 1
    human = DOWN.human
    assert judge(history).rta.human == human.acknowledge + human.manual + human.command


async def test_long_output_is_kept_at_both_ends(tmp_path: Path) -> None:
    model = replace(CURES, reactions=(Reaction(pattern="uptime", stdout="a" * 50_000 + "z" * 50_000), CURE))
    history, _ = await tried(model, TREATED, tmp_path)
    kept = str(history.first(Name.STEP, Phase.OK).data["stdout"])
    assert len(kept) < 20_000
    assert kept.startswith("aaa")
    assert kept.endswith("zzz")
    assert "83616 characters left out" in kept


async def test_rpa_is_what_the_ledger_lost_under_the_fault(tmp_path: Path) -> None:
    scenario = replace(with_recovery(rpo=seconds(2)), ledger=LEDGER)
    lossy = replace(CURES, loses=100)
    history, _ = await tried(lossy, TREATED, tmp_path, scenario=scenario)
    loss = judge(history).loss
    assert loss.lost == 100
    assert loss.rpa.lo == pytest.approx(seconds(5), abs=seconds(0.5))
    assert judge(history).outcome is Outcome.FAILED


async def test_a_ledger_that_lost_nothing_is_evidence_that_nothing_was_lost(tmp_path: Path) -> None:
    scenario = replace(with_recovery(rpo=seconds(2)), ledger=LEDGER)
    history, _ = await tried(CURES, TREATED, tmp_path, scenario=scenario)
    verdict = judge(history)
    assert verdict.loss.acked > 100
    assert verdict.loss.lost == 0
    assert verdict.outcome is Outcome.PASSED


async def test_the_ledger_is_read_while_the_fault_is_still_in_force(tmp_path: Path) -> None:
    scenario = replace(DOWN, ledger=LEDGER)
    history, _ = await tried(CURES, TREATED, tmp_path, scenario=scenario)
    assert at(history, Name.OBSERVED) <= at(history, Name.LEDGER) <= at(history, Name.HEAL)


async def test_what_is_stored_is_what_was_returned(tmp_path: Path) -> None:
    scenario = replace(with_recovery(rpo=seconds(2)), ledger=LEDGER)
    history, _ = await tried(CURES, TREATED, tmp_path, scenario=scenario)
    stored = codec.read_history(tmp_path)
    assert stored.header == history.header
    assert stored.events == history.events
    assert set(stored.samples) == set(history.samples)
    assert stored.writes == history.writes
    assert stored.readings == history.readings
    assert judge(stored) == judge(history)


async def test_reporters_are_told_every_event_as_it_happens(tmp_path: Path) -> None:
    watched = Watched()
    history, _ = await tried(CURES, TREATED, tmp_path, reporters=(watched,))
    assert tuple(event for _, event in watched.told) == history.events
    assert {trial for trial, _ in watched.told} == {"shop/down treated-1"}
    assert all(earlier.at <= later.at for earlier, later in pairwise(history.events))


# Trouble of our own


@dataclass(frozen=True)
class Impossible:
    """A fault that cannot be injected."""

    needs: frozenset[Capability] = frozenset()
    links: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return "the impossible"

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:  # noqa: ARG002 - ports.Fault
        if now() >= 0:
            raise FaultError("the impossible: there is no target")
        yield Injection(felt=True, at=now())


async def test_an_environment_that_does_not_come_up_is_the_harnesss_trouble(tmp_path: Path) -> None:
    history, environment = await tried(Model(trouble="no room on this machine"), TREATED, tmp_path)
    assert environment is None
    assert why(history, Name.HARNESS, Phase.FAIL) == "no room on this machine"
    assert history.first(Name.HARNESS).data["kind"] == "SubstrateError"
    assert names(history)[-1] == "trial ok"
    assert judge(history).status is Status.INVALID


async def test_a_fault_that_cannot_be_injected_is_the_harnesss_trouble(tmp_path: Path) -> None:
    history, environment = await tried(CURES, TREATED, tmp_path, scenario=replace(DOWN, fault=Impossible()))
    assert why(history, Name.HARNESS, Phase.FAIL) == "the impossible: there is no target"
    assert history.first(Name.HEAL) is None
    assert not environment.operated
    assert environment.left
    assert judge(history).status is Status.INVALID


async def test_a_fault_that_cannot_be_undone_is_told_as_such_and_the_trial_does_not_count(tmp_path: Path) -> None:
    history, environment = await tried(replace(CURES, stuck="the valve is rusty"), TREATED, tmp_path)
    assert "the valve is rusty" in why(history, Name.HEAL, Phase.FAIL)
    assert history.first(Name.HEAL, Phase.OK) is None
    assert "the valve is rusty" in why(history, Name.HARNESS, Phase.FAIL)
    assert environment.left
    assert judge(history).outcome is Outcome.INVALID


async def test_trouble_while_a_command_runs_ends_the_trial_and_is_not_the_runbooks_failure(tmp_path: Path) -> None:
    plan = planned()
    history = await run_trial(plan, Trial(TREATED, 1, 7), Bench(Vanishing(CURES), "test"), tmp_path)
    assert texts(history) == COMMANDS[:1]
    assert why(history, Name.HARNESS, Phase.FAIL) == "the environment is gone"
    assert history.first(Name.HEAL, Phase.OK) is not None
    assert judge(history).status is Status.INVALID


async def test_a_worker_that_dies_ends_the_trial_at_once_with_its_last_words(tmp_path: Path) -> None:
    substrate = Staffed(CURES, dies_after=seconds(3), words="first\nTraceback\nOSError: no route\n")
    began = now()
    history = await run_trial(planned(), Trial(TREATED, 1, 7), Bench(substrate, "test"), tmp_path)
    assert why(history, Name.HARNESS, Phase.FAIL) == (
        "the prober ended with status 3 before its time: first | Traceback | OSError: no route"
    )
    assert now() - began <= seconds(3.5)
    assert substrate.environments[0].left
    assert substrate.environments[0].stopped == ["prober"]
    assert judge(history).status is Status.INVALID


async def test_a_worker_that_dies_under_the_fault_has_the_fault_undone(tmp_path: Path) -> None:
    substrate = Staffed(CURES, dies_after=seconds(9), words="")
    history = await run_trial(planned(), Trial(CONTROL, 1, 7), Bench(substrate, "test"), tmp_path)
    assert "the prober ended with status 3 before its time: it said nothing" in why(history, Name.HARNESS)
    assert history.first(Name.FAULT, Phase.OK) is not None
    assert history.first(Name.HEAL, Phase.OK) is not None
    assert substrate.environments[0].left_behind == ()


async def test_the_horizon_counts_from_the_fault_call(tmp_path: Path) -> None:
    slow = Model(injecting=seconds(4))
    scenario = replace(DOWN, recovery=Recovery(rto=minutes(1), horizon=seconds(12)))
    history, _ = await tried(slow, CONTROL, tmp_path, scenario=scenario)
    assert at(history, Name.OBSERVED) - at(history, Name.FAULT, Phase.INVOKE) == pytest.approx(12, abs=0.2)


async def test_a_fault_that_bites_late_is_detected_when_it_does(tmp_path: Path) -> None:
    history, _ = await tried(replace(CURES, bites_after=milliseconds(5000)), TREATED, tmp_path)
    assert 5 <= at(history, Name.DETECT) - at(history, Name.FAULT, Phase.OK) <= 8
    assert judge(history).status is Status.OK
