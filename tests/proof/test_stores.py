"""Drills of a cache and of a document store on real servers: what they lose when they die is seen, and nothing else is."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from harness import clock
from harness.checking.durability import CHECK, violations
from harness.checking.durability import loss as loss_of
from harness.checking.judge import judge
from harness.checking.moments import moments
from harness.faults import Kill
from harness.load import reaching
from harness.model.design import CONTROL, TREATED, Arm, Trial
from harness.model.history import Event, History, Name, Phase
from harness.model.load import LedgerSpec, TcpProbe
from harness.model.objectives import HumanTimes, Objective, Recovery
from harness.model.topology import Mongo, Redis, Store, Topology
from harness.model.units import milliseconds, minutes, seconds
from harness.model.verdict import Loss, Outcome, Status, Verdict
from harness.planning import compile_plan
from harness.ports import Capability, Substrate
from harness.runbooks import parse
from harness.running.trial import Bench, run_trial
from harness.scenario import Scenario
from harness.substrates.containers import Containers
from harness.substrates.local import Local, mongo, redis
from tests.checking.histories import header, terms
from tests.proof.conftest import in_full
from tests.proof.writing import acknowledged, ledger_process, written

pytestmark = [pytest.mark.real, pytest.mark.slow]

TEXT = """# Cache

## The cache is down

**Resolution**

```bash
service {name} start
```
"""

CACHE = Redis(name="cache", hosts=("cache.internal",))
DOCS = Mongo(name="docs", database="shop", hosts=("mongo.internal",), journaled=True)
ALWAYS = (("appendonly", "yes"), ("appendfsync", "always"))
EVERYSEC = (("appendonly", "yes"), ("appendfsync", "everysec"))
DUMPED = (("save", "1 1"),)

needs_redis = pytest.mark.skipif(bool(redis.lacking()), reason=redis.lacking())
needs_mongo = pytest.mark.skipif(bool(mongo.lacking()), reason=mongo.lacking())


def scenario(topology: Topology, name: str) -> Scenario:
    return Scenario(
        title="The store dies",
        runbook="runbook.md",
        procedure="cache is down",
        follow=("resolution",),
        topology=topology,
        fault=Kill(target=name),
        probes=(TcpProbe(indicator="reachable", peer=name),),
        objectives=(Objective("reachable", ratio=0.9),),
        recovery=Recovery(rto=minutes(5), rpo=0, window=seconds(2), hold=seconds(1), horizon=seconds(15)),
        period=milliseconds(200),  # what is lost is asked, not how soon it is back: a busy machine may be late
        human=HumanTimes(acknowledge=0, manual=0, command=0),
        ledger=LedgerSpec(name, period=milliseconds(20)),
    )


async def drilled(
    topology: Topology, name: str, service: str, folder: Path, arm: Arm = TREATED, *, ground: Substrate | None = None
) -> Verdict:
    ground = ground or Local()
    runbook = parse(TEXT.replace("{name}", service), "runbook.md")
    plan = compile_plan(scenario(topology, name), runbook, ground, name="cache/down")
    for number in range(1, 4):  # a trial that starved is replaced, as a gate would
        place = folder / str(number)
        place.mkdir()
        verdict = judge(await run_trial(plan, Trial(arm, number, number), Bench(ground, "proof"), place))
        if verdict.outcome is not Outcome.INVALID:
            return verdict
    raise AssertionError([f.why for f in verdict.findings])


def durability(verdict: Verdict) -> Outcome:
    [finding] = [f for f in verdict.findings if f.check == CHECK]
    return finding.outcome


def told(loss: Loss) -> str:
    return (
        f"{loss.lost} of {loss.acked} acknowledged writes lost, RPA "
        f"[{loss.rpa.lo / 1e9:.3f}, {(loss.rpa.hi or 0) / 1e9:.3f}] s"
    )


@needs_redis
@pytest.mark.parametrize(
    ("settings", "lossy"),
    [
        pytest.param(ALWAYS, False, id="appendfsync always", marks=in_full),
        pytest.param(EVERYSEC, False, id="appendfsync everysec"),
        pytest.param(DUMPED, True, id="a dump a second", marks=in_full),
        pytest.param((), True, id="no persistence"),
    ],
)
async def test_a_killed_cache_is_back_with_the_text_s_command_and_has_lost_what_it_did_not_keep(
    tmp_path: Path, figure, settings: tuple[tuple[str, str], ...], lossy: bool
) -> None:
    topology = Topology("cache", stores=(replace(CACHE, settings=settings),))
    verdict = await drilled(topology, "cache", "redis", tmp_path)
    loss = verdict.loss
    assert loss is not None
    figure(f"Valkey killed, {dict(settings) or 'no persistence'}: {told(loss)}")
    assert verdict.status is Status.OK
    assert violations(loss) == {}
    assert (loss.lost > 0) is lossy
    assert (loss.rpa.lo > 0) is lossy
    assert durability(verdict) is (Outcome.FAILED if lossy else Outcome.PASSED)
    assert verdict.outcome is durability(verdict)


@pytest.mark.parametrize(
    ("store", "service", "loses"),
    [
        pytest.param(replace(CACHE, settings=ALWAYS), "redis", range(1), id="Redis, appendfsync always"),
        pytest.param(CACHE, "redis", range(20, 10**6), id="Redis, no persistence"),
        # It writes its journal every millisecond at most: what it was given in the last ones may be lost.
        pytest.param(DOCS, "mongod", range(20), id="MongoDB, journaled"),
    ],
)
@in_full
async def test_a_store_killed_in_a_container_is_back_with_the_text_s_command_and_has_lost_what_it_did_not_keep(
    tmp_path: Path, figure, store: Store, service: str, loses: range
) -> None:
    containers = Containers()
    if problems := containers.lacks(frozenset({Capability.REDIS, Capability.MONGO})):
        pytest.skip("; ".join(str(problem) for problem in problems))
    topology = Topology("store", stores=(store,))
    verdict = await drilled(topology, store.name, service, tmp_path, ground=containers)
    loss = verdict.loss
    assert loss is not None
    kept = dict(store.settings) if isinstance(store, Redis) else ""
    figure(f"{store.name} {kept} killed in a container: {told(loss)}")
    assert verdict.status is Status.OK
    assert violations(loss) == {}
    assert loss.lost in loses


@needs_redis
@in_full
async def test_a_killed_cache_that_nobody_starts_does_not_come_back(tmp_path: Path) -> None:
    verdict = await drilled(Topology("cache", stores=(CACHE,)), "cache", "redis", tmp_path, CONTROL)
    assert verdict.status is Status.CENSORED


@needs_mongo
@pytest.mark.parametrize(
    "journaled", [pytest.param(True, id="journaled"), pytest.param(False, id="not journaled", marks=in_full)]
)
async def test_a_killed_document_store_is_back_with_all_it_acknowledged_if_commits_wait_for_the_disk(
    tmp_path: Path, figure, journaled: bool
) -> None:
    """Where they do not, the last milliseconds may be lost or not; what is lost is then a suffix, and is judged."""
    docs = replace(DOCS, journaled=journaled)
    verdict = await drilled(Topology("docs", stores=(docs,)), "docs", "mongod", tmp_path)
    loss = verdict.loss
    assert loss is not None
    figure(f"document store killed, {'' if journaled else 'not '}journaled: {told(loss)}")
    assert loss.acked > 50
    assert violations(loss) == {}
    assert loss.lost == 0 or not journaled
    assert durability(verdict) is (Outcome.FAILED if loss.lost else Outcome.PASSED)


@needs_mongo
async def test_a_document_store_put_back_from_an_older_copy_has_lost_what_came_after_it(tmp_path: Path, figure) -> None:
    """The copy is taken cold, writes go on for a second, the server is killed, and the copy put in its place."""
    topology = Topology("docs", stores=(Mongo(name="docs", database="shop"),))
    ledger = LedgerSpec("docs", period=milliseconds(20))
    async with Local().environment(topology, run="proof", folder=tmp_path) as up:
        store = up.store("docs")
        async with ledger_process(up, topology, ledger, tmp_path / "before"):
            await acknowledged(tmp_path / "before", at_least=20)
        await store.stop()
        data, copy = store.volume / "data", store.volume / "copy"
        shutil.copytree(data, copy, copy_function=shutil.copy)
        await store.start()
        async with ledger_process(up, topology, ledger, tmp_path / "after", writer="w2"):
            await acknowledged(tmp_path / "after", at_least=50)
        called = clock.now()
        await store.stop()
        shutil.rmtree(data)
        copy.rename(data)
        await store.start()
        readings = tuple([each async for each in reaching.readings(topology, up, ledger)])
    writes = (*written(tmp_path / "before"), *written(tmp_path / "after"))
    fault = Event(0, called, "harness", Phase.INVOKE, Name.FAULT)
    history = History(header(CONTROL, terms(ledger=True, rpo=0)), (fault,), writes=writes, readings=readings)
    found = loss_of(history, moments(history))
    assert found is not None
    figure(f"document store put back from an older copy: {told(found)}")
    assert found.lost >= 50
    assert found.rpa.lo > seconds(0.9)
    assert violations(found) == {}
