"""The whole instrument on real servers: it sees nothing where nothing is, sees loss where loss is certain, and says so of
itself when it starves."""

import asyncio
import multiprocessing
import os
import signal
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
import pytest

from harness import clock, codec
from harness.checking import hygiene
from harness.checking.durability import loss, violations
from harness.checking.judge import judge
from harness.checking.moments import moments
from harness.extensions import substrate
from harness.faults import CrashDatabase
from harness.faults.server import session
from harness.load.ledger import read_back
from harness.measuring.lines import read_ledger
from harness.model.design import BASELINE, CONTROL, TREATED, Trial
from harness.model.history import Event, History, Name, Phase
from harness.model.load import LedgerSpec, LedgerTarget, LedgerWork
from harness.model.topology import Postgres, Role, Topology
from harness.model.units import seconds
from harness.model.verdict import Loss, Outcome, Status
from harness.planning import compile_plan
from harness.ports import Environment, Stage
from harness.runbooks import read
from harness.running.loading import load
from harness.running.pool import Job, processes, spread, work
from harness.substrates.local import Local
from tests.checking.histories import header, terms
from tests.proof.conftest import FULL

pytestmark = [pytest.mark.real, pytest.mark.slow]

SCENARIO = "scenarios/inventory/slow_queries.py"
TRIALS = int(os.environ.get("RUNDRILL_PROOF_TRIALS", "30" if FULL else "2"))
GROUND = partial(substrate, "local")

LEDGER = LedgerSpec(database="main", role="app")
DATABASE = Postgres(
    name="main",
    database="store",
    owner=Role("app", "secret"),
    hosts=("db.internal",),
    schema=LEDGER.ddl(),
    volume_mb=256,
)


def planned():
    (one,) = load([str(Path(__file__).parents[2] / SCENARIO)])
    return compile_plan(one.scenario, read(one.runbook), GROUND(), name=one.name), str(one.path)


async def test_where_nothing_is_done_nothing_is_seen(tmp_path: Path, figure) -> None:
    """A/A: whole trials of the baseline arm, two at a time. Invalid ones are counted, and prove nothing."""
    plan, source = planned()
    places = asyncio.Semaphore(2)
    with processes(2) as pool:
        runner = spread(pool, GROUND, run="proof", sources=[source])

        async def one(number: int):
            async with places:
                trial = Trial(BASELINE, number, number)
                return judge(await runner(plan, trial, tmp_path / trial.id))

        verdicts = await asyncio.gather(*(one(number) for number in range(1, TRIALS + 1)))
    statuses = [v.status for v in verdicts]
    onsets = [v for v in verdicts if v.status not in (Status.NO_BREACH, Status.INVALID)]
    counted = len(statuses) - statuses.count(Status.INVALID)
    bound = f", so fewer than {3 / counted:.1%} with 95% confidence" if counted else ""
    why = {f.why for v in verdicts if v.status is Status.INVALID for f in v.findings if f.outcome is Outcome.INVALID}
    invalid = f"{len(statuses) - counted} invalid {'; '.join(sorted(why))}"
    figure(f"A/A on real servers: {len(onsets)} false onsets in {counted} trials{bound}; {invalid}")
    assert not onsets
    assert counted >= 0.8 * TRIALS


async def ledger_process(environment: Environment, folder: Path):
    peer = environment.peer("main")
    dsn = f"host={peer.host} port={peer.port} dbname=store user=app password=secret"
    spec = LedgerWork(ledger=LEDGER, dsn=dsn, bound=seconds(60))
    argv = (environment.python, "-m", "harness.load.ledger", msgspec.json.encode(spec).decode())
    return await environment.start(argv, stdout=folder / "ledger.jsonl", stderr=folder / "ledger.log")


async def acknowledged(folder: Path, *, at_least: int) -> None:
    async def enough():
        path = folder / "ledger.jsonl"
        lines = read_ledger(path)[0] if path.is_file() else ()
        return sum(line.outcome is not None and line.outcome.outcome == "ok" for line in lines) >= at_least or None

    assert await clock.until(enough, deadline=clock.now() + seconds(20)), (folder / "ledger.log").read_text()


async def lost(environment: Environment, folder: Path, *, read_from: str, called: int) -> Loss:
    """What the checker makes of the ledger's own file and a strong read of that server."""
    database = environment.database(read_from)
    reading = await read_back(LedgerTarget(dsn=database.conninfo(dbname="store"), table=LEDGER.table))
    writes = codec.writes_of(read_ledger(folder / "ledger.jsonl")[0], "ledger.jsonl")
    fault = Event(0, called, "harness", Phase.INVOKE, Name.FAULT)
    history = History(header(CONTROL, terms(ledger=True, rpo=0)), (fault,), writes=writes, readings=(reading,))
    found = loss(history, moments(history))
    assert found is not None
    return found


@pytest.mark.parametrize("durable", [True, False], ids=["synchronous_commit=on", "synchronous_commit=off"])
async def test_a_crash_loses_acknowledged_writes_if_and_only_if_commits_do_not_wait(
    tmp_path: Path, figure, durable: bool
) -> None:
    database = DATABASE if durable else DATABASE.with_settings(synchronous_commit="off", wal_writer_delay="10s")
    async with Local().environment(Topology("store", databases=(database,)), run="proof", folder=tmp_path) as up:
        ledger = await ledger_process(up, tmp_path)
        await acknowledged(tmp_path, at_least=40)
        called = clock.now()
        async with CrashDatabase(database="main").applied_to(Stage(up, folder=tmp_path)) as injection:
            assert injection.felt
        await ledger.stop()
        found = await lost(up, tmp_path, read_from="main", called=called)
    setting = "on" if durable else "off"
    figure(
        f"crash with synchronous_commit={setting}: {found.lost} of {found.acked} acknowledged writes lost, RPA "
        f"[{found.rpa.lo / 1e9:.3f}, {(found.rpa.hi or 0) / 1e9:.3f}] s"
    )
    assert violations(found) == {}
    assert (found.lost == 0) == durable
    assert (found.rpa.lo > 0) != durable


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def walsender(postmaster: int) -> int:
    return next(p for p in children(postmaster) if b"walsender" in Path(f"/proc/{p}/cmdline").read_bytes())


async def test_an_asynchronous_standby_that_is_promoted_has_lost_what_it_had_not_received(
    tmp_path: Path, figure
) -> None:
    topology = Topology("store", databases=(replace(DATABASE, standbys=1),))
    async with Local().environment(topology, run="proof", folder=tmp_path) as up:
        primary, standby = up.database("main"), up.database("main-standby-1")
        ledger = await ledger_process(up, tmp_path)
        await acknowledged(tmp_path, at_least=20)
        sender = walsender(primary.pid)
        os.kill(sender, signal.SIGSTOP)
        before = len(read_ledger(tmp_path / "ledger.jsonl")[0])
        await acknowledged(tmp_path, at_least=before // 2 + 20)
        called = clock.now()
        os.kill(sender, signal.SIGKILL)
        await primary.stop(mode="immediate")
        await ledger.stop()
        async with session(standby) as server:
            await server.ask("SELECT pg_promote()")
        found = await lost(up, tmp_path, read_from="main-standby-1", called=called)
    figure(
        f"asynchronous standby promoted: {found.lost} of {found.acked} acknowledged writes lost, RPA "
        f"[{found.rpa.lo / 1e9:.3f}, {(found.rpa.hi or 0) / 1e9:.3f}] s, holes {found.holes}"
    )
    assert found.lost > 0
    assert found.rpa.lo > 0
    assert violations(found) == {}


HOGS = 64


def steady(history: Path) -> bool:
    return history.is_file() and b'"steady"' in history.read_bytes()


def busy(history: Path, until: float) -> None:
    """Want all of the CPU once the system is steady; in a session of its own, for the kernel shares out by sessions."""
    os.setsid()
    while not steady(history) and time.monotonic() < until:
        time.sleep(0.1)  # noqa: TID251 - a process of its own, without a loop
    while time.monotonic() < until:
        pass


def starved(job: Job) -> History:
    """A trial on one CPU, with many others who want it as soon as the system is steady."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    until = time.monotonic() + 75
    fork = multiprocessing.get_context("fork")
    hogs = [fork.Process(target=busy, args=(job.folder / "history.jsonl", until)) for _ in range(HOGS)]
    for hog in hogs:
        hog.start()
    try:
        return work(job)
    finally:
        for hog in hogs:
            hog.kill()
            hog.join()


@pytest.mark.skipif(not FULL, reason="it takes a whole CPU from everybody for half a minute: nox -s proof")
async def test_an_instrument_that_starves_makes_a_trial_invalid_not_failed(tmp_path: Path, figure) -> None:
    plan, source = planned()
    with processes(1) as pool:

        class Starving:
            def submit(self, _work, job):
                return pool.submit(starved, job)

        runner = spread(Starving(), GROUND, run="proof", sources=[source])
        verdict = judge(await runner(plan, Trial(TREATED, 1, 1), tmp_path / "treated-1"))
    why = [f.why for f in verdict.findings if f.outcome is Outcome.INVALID and f.check == hygiene.CHECK]
    figure(f"starved of CPU: {verdict.status} ({'; '.join(why) or 'no reason'})")
    assert why
    assert verdict.outcome is Outcome.INVALID
