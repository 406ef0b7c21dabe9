"""Where trials are run: in this process, or each in a worker's of any `concurrent.futures.Executor` (a process pool, Dask).

A worker that starves its instruments makes its trials invalid, which is seen and counted; nothing is judged here.
"""

import asyncio
import multiprocessing
import pickle
import platform
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.model.design import Trial
from harness.model.history import History
from harness.plan import Plan
from harness.ports import Substrate
from harness.running import loading
from harness.running.trial import Bench, run_trial
from harness.substrates.inside import kernel

Runner = Callable[[Plan, Trial, Path], Awaitable[History]]
"""Runs one trial; its files go into a new, empty folder."""

Ground = Callable[[], Substrate]
"""Makes the substrate, in whichever process it is called."""


@dataclass(frozen=True, slots=True)
class Job:
    """One trial, as it travels to a worker. `plan` is pickled; `sources` are the scenario files that define what is in it."""

    sources: tuple[str, ...]
    plan: bytes
    trial: Trial
    ground: Ground
    run: str
    folder: Path


def here(bench: Bench) -> Runner:
    """In this process, on its event loop."""

    async def run(plan: Plan, trial: Trial, folder: Path) -> History:
        await asyncio.to_thread(folder.mkdir, parents=True)
        return await run_trial(plan, trial, bench, folder)

    return run


def spread(executor: Executor, ground: Ground, *, run: str, sources: Sequence[str] = ()) -> Runner:
    """In the workers of `executor`, one trial at a time each. `ground` must be importable by them. HarnessError where a
    worker dies: what became of its trial is then not known."""

    async def submitted(plan: Plan, trial: Trial, folder: Path) -> History:
        job = Job(tuple(sources), pickle.dumps(plan), trial, ground, run, folder)
        try:
            return await asyncio.wrap_future(executor.submit(work, job))
        except (OSError, RuntimeError, pickle.PickleError) as error:
            raise HarnessError(f"{trial.id}: the worker did not run it: {type(error).__name__}: {error}") from error

    return submitted


def work(job: Job) -> History:
    """What a worker does: one whole trial, on an event loop of its own."""
    loading.load(job.sources)
    plan: Plan = pickle.loads(job.plan)  # noqa: S301 - made by `spread` of the same harness
    job.folder.mkdir(parents=True)
    return asyncio.run(run_trial(plan, job.trial, Bench(job.ground(), job.run), job.folder))


@contextmanager
def processes(jobs: int) -> Iterator[Executor]:
    """A pool of `jobs` worker processes, begun afresh (nothing is shared with this one), that end when this one does."""
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(jobs, mp_context=context, initializer=_mortal)
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


def host() -> tuple[str, str]:
    """This machine's name, and its class: what must be alike for evidence to be put together."""
    return platform.node(), f"{platform.system()} {platform.machine()}, {multiprocessing.cpu_count()} CPUs"


def _mortal() -> None:
    """Nothing outlives the harness: neither does a worker."""
    kernel.die_with_parent(signal.SIGKILL)
