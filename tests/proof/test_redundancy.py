"""Redundancy on real servers: service is back before its standby is, and both instants are measured."""

from pathlib import Path

import pytest

from harness.checking import redundancy
from harness.checking.judge import judge
from harness.faults import Kill
from harness.model.design import CONTROL, TREATED, Arm, Trial
from harness.model.history import History, Name, Phase
from harness.model.load import LedgerSpec, SqlProbe
from harness.model.objectives import HumanTimes, Objective, Recovery
from harness.model.topology import Postgres, Role, Topology
from harness.model.units import milliseconds, minutes, seconds
from harness.model.verdict import Outcome, Verdict
from harness.planning import compile_plan
from harness.runbooks import parse
from harness.running.trial import Bench, run_trial
from harness.scenario import Scenario
from harness.substrates.local import Local
from tests.proof.conftest import in_full

pytestmark = [pytest.mark.real, pytest.mark.slow]

TEXT = """# Database

## The primary dies

**Resolution**

```bash
service postgresql start
```
"""

DATABASE = Postgres(
    name="main",
    database="store",
    owner=Role("app", "secret"),
    standbys=1,
    volume_mb=256,
    settings=(("wal_retrieve_retry_interval", "3s"),),  # so long a standby waits before it asks for its primary again
)


def scenario(limit: float | None) -> Scenario:
    return Scenario(
        title="The primary is killed",
        runbook="runbook.md",
        procedure="primary dies",
        follow=("resolution",),
        topology=Topology("store", databases=(DATABASE,)),
        fault=Kill(target="main"),
        probes=(SqlProbe(indicator="read", database="main", role="app"),),
        objectives=(Objective("read", ratio=0.9),),
        recovery=Recovery(
            rto=minutes(5),
            rpo=0,
            window=seconds(2),
            hold=seconds(0),
            horizon=seconds(30),
            redundancy=None if limit is None else seconds(limit),
        ),
        human=HumanTimes(acknowledge=0, manual=0, command=0),
        ledger=LedgerSpec("main", "app"),
        period=milliseconds(200),
    )


async def drilled(limit: float | None, folder: Path, arm: Arm = TREATED) -> tuple[History, Verdict]:
    ground = Local()
    plan = compile_plan(scenario(limit), parse(TEXT, "runbook.md"), ground, name="store/primary")
    for number in range(1, 4):  # a trial that starved is replaced, as a gate would
        place = folder / str(number)
        place.mkdir()
        history = await run_trial(plan, Trial(arm, number, number), Bench(ground, "proof"), place)
        verdict = judge(history)
        if verdict.outcome is not Outcome.INVALID:
            return history, verdict
    raise AssertionError([f.why for f in verdict.findings])


def told(verdict: Verdict) -> tuple[Outcome, str]:
    [finding] = [f for f in verdict.findings if f.check == redundancy.CHECK]
    return finding.outcome, finding.why


async def test_a_standby_is_back_after_the_service_is_and_is_waited_for_where_that_is_an_objective(
    tmp_path: Path, figure
) -> None:
    history, verdict = await drilled(25, tmp_path)
    timings = verdict.timings
    assert timings.call is not None
    assert timings.recovered is not None
    assert timings.redundant is not None
    assert timings.recovered.hi is not None
    service, whole = (timings.recovered.hi - timings.call) / 1e9, (timings.redundant - timings.call) / 1e9
    figure(f"primary killed and started: service back after {service:.2f} s, its standby in sync after {whole:.2f} s")
    lost = history.first(Name.REDUNDANCY, Phase.FAIL)
    assert lost is not None
    assert timings.call <= lost.at < timings.redundant
    assert told(verdict)[0] is Outcome.PASSED
    assert verdict.outcome is Outcome.PASSED
    assert [r.place for r in history.readings] == ["primary", "main-standby-1", "primary"]
    ended = history.first(Name.TRIAL, Phase.OK)
    assert ended is not None
    assert isinstance(ended.data["drift_ns"], int)


async def test_an_objective_that_is_missed_fails_the_trial_though_service_was_back_in_time(tmp_path: Path) -> None:
    _, verdict = await drilled(0.3, tmp_path)
    outcome, why = told(verdict)
    assert outcome is Outcome.FAILED
    assert "(objective 300 ms)" in why
    assert verdict.outcome is Outcome.FAILED


@in_full
async def test_nobody_starts_the_primary_and_redundancy_stays_lost(tmp_path: Path) -> None:
    history, verdict = await drilled(None, tmp_path, CONTROL)
    outcome, why = told(verdict)
    assert outcome is Outcome.INCONCLUSIVE
    assert "main: expected one primary; no server is" in why
    assert verdict.timings.redundant is None
    assert history.first(Name.REDUNDANCY, Phase.INVOKE) is not None
