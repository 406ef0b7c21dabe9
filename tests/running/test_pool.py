"""Trials in the workers of an executor: the same histories as here, whichever executor it is. On modelled systems, in real time,
with windows of a second."""

import asyncio
import os
import pickle
import signal
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from harness.checking.gate import QUICK
from harness.checking.judge import judge
from harness.errors import HarnessError, InputError
from harness.model.design import TREATED, Trial
from harness.model.units import milliseconds, seconds
from harness.model.verdict import Outcome, Status
from harness.running import gating, triallog
from harness.running.pool import processes, spread, work
from harness.substrates.modelled import Model, Reaction
from tests.running.stage import DOWN, ground, planned

SHORT = replace(
    DOWN,
    recovery=replace(DOWN.recovery, window=seconds(1), hold=milliseconds(200), horizon=seconds(4)),
    period=milliseconds(10),
)
MODEL = Model(
    period=milliseconds(10), timeout=milliseconds(200), reactions=(Reaction(pattern="mend-it", cures_after=0),)
)
GROUND = partial(ground, MODEL)
TRIAL = Trial(TREATED, 1, 7)


@contextmanager
def two_dask_processes() -> Iterator[Executor]:
    """Two workers of Dask, each a process with one thread, on loopback."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client.get_executor()


EXECUTORS = [
    pytest.param(partial(processes, 2), id="processes"),
    pytest.param(two_dask_processes, id="dask", marks=pytest.mark.filterwarnings("default")),
]


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("executor", EXECUTORS)
async def test_a_gate_runs_over_two_worker_processes(executor, tmp_path: Path) -> None:
    """The log is written here; the trials run there, two at a time."""
    substrate = GROUND()
    plan = planned(SHORT, substrate=substrate)
    with executor() as pool, triallog.opened(tmp_path / "log", gating.opening([plan], substrate, QUICK, 1)) as log:
        assert pool.submit(os.getpid).result(timeout=60) != os.getpid()
        runner = spread(pool, GROUND, run="test")
        (found,) = await gating.run_gate([plan], log, runner, tmp_path / "run", jobs=2)
    assert found.outcome is Outcome.PASSED
    assert (found.gate.ok, found.control.failed) == (1, 2)
    first, second, _ = found.records
    assert second.wall < first.wall + first.took, "they did not run side by side"
    assert len(list((tmp_path / "run").rglob("history.jsonl"))) == 3


@pytest.mark.real
@pytest.mark.slow
async def test_a_worker_that_dies_is_trouble_of_the_harness_and_its_trial_is_not_forgotten(tmp_path: Path) -> None:
    substrate = GROUND()
    plan = planned(SHORT, substrate=substrate)
    opening = gating.opening([plan], substrate, QUICK, 1)
    with processes(1) as pool:
        pid = pool.submit(os.getpid).result(timeout=60)

        async def killed() -> None:
            await asyncio.sleep(1)
            os.kill(pid, signal.SIGKILL)

        with triallog.opened(tmp_path / "log", opening) as log:
            killer = asyncio.create_task(killed())
            with pytest.raises(ExceptionGroup) as raised:
                await gating.run_gate([plan], log, spread(pool, GROUND, run="t"), tmp_path / "run")
            await killer
            assert raised.group_contains(HarnessError, match="the worker did not run it")
            assert len(log.interrupted()) == 1


def test_what_travels_to_a_worker_is_the_plan_and_nothing_of_this_process(tmp_path: Path) -> None:
    jobs = []

    class Kept(ProcessPoolExecutor):
        def submit(self, _fn, job):  # type: ignore[override]
            jobs.append(pickle.loads(pickle.dumps(job)))  # noqa: S301
            raise RuntimeError("enough")

    plan = planned(SHORT, substrate=GROUND())
    with Kept(1) as pool, pytest.raises(HarnessError, match="enough"):
        asyncio.run(spread(pool, GROUND, run="label")(plan, TRIAL, tmp_path / "trial"))
    (job,) = jobs
    assert pickle.loads(job.plan) == plan  # noqa: S301
    history = work(replace(job, folder=tmp_path / "trial"))
    verdict = judge(history)
    assert (verdict.outcome, verdict.status) == (Outcome.PASSED, Status.OK)
    assert (tmp_path / "trial/history.jsonl").is_file()


def test_a_scenario_file_that_a_worker_has_not_is_told(tmp_path: Path) -> None:
    from harness.running.pool import Job

    job = Job((str(tmp_path / "gone.py"),), b"", TRIAL, GROUND, "run", tmp_path / "trial")
    with pytest.raises(InputError, match="no such file"):
        work(job)
