"""Whole trials that must not pass: what loses, what does not work, and nothing at all done about it."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.checking.assess import assess
from harness.checking.durability import CHECK, violations
from harness.checking.judge import judge
from harness.faults import CrashDatabase, Kill
from harness.model.design import CONTROL, TREATED, Arm, Trial
from harness.model.history import History
from harness.model.load import LedgerSpec, SqlProbe
from harness.model.objectives import HumanTimes, Objective, Recovery
from harness.model.topology import Postgres, Role, Topology
from harness.model.units import milliseconds, minutes, seconds
from harness.model.verdict import Outcome, Status, Verdict, Word
from harness.planning import compile_plan
from harness.runbooks import parse
from harness.running.trial import Bench, run_trial
from harness.scenario import Scenario
from harness.substrates.local import Local
from harness.substrates.local.machine import isolation
from tests.proof.conftest import in_full

pytestmark = [pytest.mark.real, pytest.mark.slow]

TEXT = """# Database

## The primary dies

**Resolution**

```bash
{command}
```
"""
START = "service postgresql start"

DATABASE = Postgres(name="main", database="store", owner=Role("app", "secret"), volume_mb=256)
UNSAFE = DATABASE.with_settings(synchronous_commit="off", wal_writer_delay="10s")


def scenario(database: Postgres) -> Scenario:
    return Scenario(
        title="The primary dies",
        runbook="runbook.md",
        procedure="primary dies",
        follow=("resolution",),
        topology=Topology("store", databases=(database,)),
        fault=CrashDatabase(database="main"),
        probes=(SqlProbe(indicator="read", database="main", role="app"),),
        objectives=(Objective("read", ratio=0.9),),
        recovery=Recovery(rto=minutes(5), rpo=0, window=seconds(2), hold=seconds(0), horizon=seconds(12)),
        human=HumanTimes(acknowledge=0, manual=0, command=0),
        ledger=LedgerSpec("main", "app"),
        period=milliseconds(200),  # what is lost is asked, not how soon it is back: a busy machine may be late
    )


async def drilled(
    drill: Scenario, command: str, folder: Path, arm: Arm = TREATED, *, text: str = TEXT
) -> tuple[History, Verdict]:
    ground = Local()
    plan = compile_plan(drill, parse(text.replace("{command}", command), "runbook.md"), ground, name="store/primary")
    for number in range(1, 4):  # a trial that starved is replaced, as a gate would
        place = folder / str(number)
        place.mkdir(parents=True)
        history = await run_trial(plan, Trial(arm, number, number), Bench(ground, "proof"), place)
        verdict = judge(history)
        if verdict.outcome is not Outcome.INVALID:
            return history, verdict
    raise AssertionError([f.why for f in verdict.findings])


@pytest.mark.parametrize(
    "database", [pytest.param(DATABASE, id="durable", marks=in_full), pytest.param(UNSAFE, id="synchronous_commit=off")]
)
async def test_a_procedure_that_brings_a_lossy_database_back_in_time_is_ineffective_and_a_durable_one_effective(
    tmp_path: Path, figure, database: Postgres
) -> None:
    control, nothing_done = await drilled(scenario(database), START, tmp_path / "control", CONTROL)
    treated, verdict = await drilled(scenario(database), START, tmp_path / "treated")
    assert nothing_done.status is Status.CENSORED
    assert verdict.status is Status.OK
    assert verdict.loss is not None
    found = assess("store/primary", (nothing_done, verdict), (control, treated))
    figure(f"crash through a whole drill, {dict(database.settings)}: {found.word}, {verdict.loss.lost} lost")
    lossy = database is UNSAFE
    assert (verdict.loss.lost > 0) is lossy
    assert (verdict.loss.rpa.lo > 0) is lossy
    assert [f.outcome for f in verdict.findings if f.check == CHECK] == [Outcome.FAILED if lossy else Outcome.PASSED]
    assert found.word is (Word.INEFFECTIVE if lossy else Word.EFFECTIVE)
    assert found.outcome is (Outcome.FAILED if lossy else Outcome.PASSED)


@pytest.mark.parametrize(
    ("command", "word"),
    [
        pytest.param("true", Word.INEFFECTIVE, marks=in_full),
        ("service postgresql status", Word.INEFFECTIVE),
        pytest.param("ls --no-such-option", Word.BROKEN, marks=in_full),
    ],
)
async def test_a_procedure_that_does_not_mend_it_fails(tmp_path: Path, command: str, word: Word) -> None:
    drill = replace(scenario(DATABASE), ledger=None)
    drill = replace(drill, recovery=replace(drill.recovery, rpo=None))
    history, verdict = await drilled(drill, command, tmp_path)
    found = assess("store/primary", (verdict,), (history,))
    assert verdict.outcome is Outcome.FAILED
    assert (found.word, found.outcome) == (word, Outcome.FAILED)


@pytest.mark.skipif(isolation() != "namespaces", reason="the operator reaches a standby by its name")
@in_full
async def test_an_asynchronous_standby_that_is_promoted_by_the_text_shows_what_it_had_not_received(
    tmp_path: Path, figure
) -> None:
    """The standby is made to hear nothing in every arm's preparation, so it lags when the primary is killed."""
    deaf = "psql -h main-standby-1 -U postgres -c"
    lag = f"{deaf} \"ALTER SYSTEM SET primary_conninfo = ''\"\n{deaf} 'SELECT pg_reload_conf()'"
    text = f"{TEXT}\n**Lag**\n\n```bash\n{lag}\n```\n"
    drill = replace(scenario(replace(DATABASE, standbys=1)), fault=Kill(target="main"), prepare=("lag",))
    promote = "psql -h main-standby-1 -U postgres -d store -c 'SELECT pg_promote()'"
    history, verdict = await drilled(drill, promote, tmp_path, text=text)
    loss = verdict.loss
    assert loss is not None
    figure(
        f"a lagging standby promoted by the text: {loss.lost} of {loss.acked} lost, RPA "
        f"[{loss.rpa.lo / 1e9:.3f}, {(loss.rpa.hi or 0) / 1e9:.3f}] s"
    )
    assert loss.lost > 0
    assert loss.rpa.lo > seconds(1)
    assert violations(loss) == {}
    assert [f.outcome for f in verdict.findings if f.check == CHECK] == [Outcome.FAILED]
    assert [r.place for r in history.readings] == ["primary", "primary"]  # what was the primary does not answer
