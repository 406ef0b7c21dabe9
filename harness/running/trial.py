"""One trial, from bringing the environment up to the last reading. Reads top to bottom like the game day it is."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from harness import __version__, clock, codec
from harness.checking import backups
from harness.checking.live import Watch
from harness.errors import HarnessError
from harness.model.design import Trial
from harness.model.history import Header, History, Name, Phase
from harness.model.units import SECOND, Ns, show
from harness.plan import Plan
from harness.ports import Environment, Injection, Reporter, Stage, Substrate
from harness.running import redundancy
from harness.running.following import follow, lay_out
from harness.running.recorder import Recorder, recording
from harness.running.redundancy import Redundancy
from harness.running.sampling import Sampling, measuring
from harness.telling import heard_by

POLL: Ns = SECOND // 10
HORIZON = "horizon"


@dataclass(frozen=True, slots=True)
class Bench:
    """What a trial is run on and watched by; the same for all trials of a run. `run` labels everything made; `keep`: the
    environment stays up after the observation until the run is interrupted; `ahead`: where one trial runs after the other, the
    next one's environment comes up meanwhile, on a machine with CPUs to spare; `replace`: of each arm one trial whose instrument
    starved, or whose system was not steady, is run once more."""

    substrate: Substrate
    run: str
    reporters: Sequence[Reporter] = ()
    keep: bool = False
    ahead: bool = False
    replace: bool = True


async def run_trial(plan: Plan, trial: Trial, bench: Bench, folder: Path) -> History:
    """Run one arm once. `folder` (new, empty) gets its files. The harness's own trouble ends the trial and stands in the
    history (name `harness`), never as the runbook's failure; cancellation heals, tears down and goes on up."""
    header = _header(plan, trial, bench.substrate)
    with recording(folder, header, bench.reporters) as recorder:
        recorder.record(Name.TRIAL, Phase.INVOKE, {"arm": str(trial.arm), "scenario": plan.name})
        sampling: Sampling | None = None
        try:
            async with (
                _environment(plan, bench, folder, recorder) as environment,
                measuring(plan, environment, folder, recorder, bench.reporters) as sampling,
            ):
                await _drill(plan, trial, environment, sampling, recorder, keep=bench.keep)
        except HarnessError as error:
            recorder.record(Name.HARNESS, Phase.FAIL, {"why": str(error), "kind": type(error).__name__})
        recorder.record(Name.TRIAL, Phase.OK, {"drift_ns": _drift(header)})
        samples = tuple(sampling.samples) if sampling else ()
        writes = sampling.writes() if sampling else ()
        return History(header, tuple(recorder.events), samples, writes, tuple(recorder.readings))


@asynccontextmanager
async def _environment(plan: Plan, bench: Bench, folder: Path, recorder: Recorder) -> AsyncIterator[Environment]:
    recorder.record(Name.ENVIRONMENT, Phase.INVOKE, {"substrate": bench.substrate.name})
    begun = clock.now()
    links = plan.scenario.fault.links
    async with AsyncExitStack() as stack:
        with heard_by(lambda doing: recorder.record(Name.ENVIRONMENT, Phase.INFO, {"doing": doing})):
            environment = await stack.enter_async_context(
                bench.substrate.environment(plan.topology, run=bench.run, folder=folder, links=links)
            )
        recorder.record(
            Name.ENVIRONMENT,
            Phase.OK,
            {"took_ns": clock.now() - begun, "isolation": environment.isolation, "id": environment.id},
        )
        for remark in (*environment.remarks, *plan.remarks):
            recorder.record(Name.ENVIRONMENT, Phase.INFO, {"text": remark})
        yield environment


async def _drill(  # noqa: PLR0913 - what a trial is made of
    plan: Plan, trial: Trial, environment: Environment, sampling: Sampling, recorder: Recorder, *, keep: bool
) -> None:
    operator = plan.scenario.operator
    await lay_out(environment, operator)
    await follow(plan.prepare, environment, operator, recorder, actor=backups.PREPARATION)
    if not await _steady(plan, sampling, recorder):
        return
    if trial.arm.fault:
        await _in_phase(plan, trial, recorder)
    async with redundancy.watched(plan.topology, environment, recorder) as standbys, AsyncExitStack() as fault:
        watch = Watch(plan.terms, since=clock.now(), fault=trial.arm.fault)
        sampling.tell(watch.feed)
        if trial.arm.fault:
            stage = Stage(environment, sampling.load, folder=sampling.folder, seed=trial.seed)
            injection = await fault.enter_async_context(_in_force(plan, stage, recorder))
            if not _felt(injection, recorder):
                return
        await _observe(plan, trial, environment, watch, recorder, standbys=standbys)
        await standbys.stop()
        await sampling.settle(environment)
        if keep:
            await _kept(environment, recorder)


async def _kept(environment: Environment, recorder: Recorder) -> None:
    """Until the run is interrupted. Nothing is undone before."""
    way = f"enter it with: {environment.entrance}" if environment.entrance else "there is no way into it"
    recorder.record(Name.ENVIRONMENT, Phase.INFO, {"text": f"kept as it is until Ctrl-C; {way}"})
    await asyncio.Event().wait()


@asynccontextmanager
async def _in_force(plan: Plan, stage: Stage, recorder: Recorder) -> AsyncIterator[Injection]:
    """The fault, and a record of whether it was undone: what leaves its scope must be what the scope was left by."""
    left_by: list[BaseException | None] = []

    async def leaving(_: object, error: BaseException | None, __: object) -> None:
        left_by.append(error)
        recorder.record(Name.HEAL, Phase.INVOKE)

    async def left(_: object, error: BaseException | None, __: object) -> None:
        if left_by and error is left_by[0] and not getattr(error, "__notes__", ()):
            recorder.record(Name.HEAL, Phase.OK)
        elif left_by:
            notes = "; ".join(getattr(error, "__notes__", ()))
            recorder.record(Name.HEAL, Phase.FAIL, {"why": notes or str(error)})

    recorder.record(Name.FAULT, Phase.INVOKE, {"fault": str(plan.scenario.fault)})
    async with AsyncExitStack() as stack:
        stack.push_async_exit(left)
        injection = await stack.enter_async_context(plan.scenario.fault.applied_to(stage))
        stack.push_async_exit(leaving)
        yield injection


async def _steady(plan: Plan, sampling: Sampling, recorder: Recorder) -> bool:
    """Wait until every objective has held over one whole window; say so, or why it never did."""
    watch = Watch(plan.terms, since=clock.now(), fault=False)
    sampling.tell(watch.feed)

    async def steady() -> Ns | None:
        return watch.steady_since()

    held = await clock.until(steady, deadline=clock.now() + plan.scenario.warm_up, every=POLL)
    if held is None:
        why = watch.unsteady() or "no samples"
        recorder.record(Name.STEADY, Phase.FAIL, {"why": f"not steady within {show(plan.scenario.warm_up)}: {why}"})
        return False
    recorder.record(Name.STEADY, Phase.OK, {"window_ns": plan.terms.recovery.window})
    return True


async def _in_phase(plan: Plan, trial: Trial, recorder: Recorder) -> None:
    """Wait for the point of the backup schedule at which the fault is to come. One that is over is not waited for: the record
    shows when the fault came."""
    schedule, backup = plan.scenario.backup, backups.taken(iter(recorder.events))
    if schedule is not None and backup is not None:
        await clock.sleep_until(backups.fault_at(schedule, backup, seed=trial.seed))


def _felt(injection: Injection, recorder: Recorder) -> bool:
    if injection.felt:
        recorder.record(Name.FAULT, Phase.OK, {**injection.evidence, "felt_at": injection.at})
        return True
    why = injection.why or "the target shows no sign of it"
    recorder.record(Name.FAULT, Phase.FAIL, {**injection.evidence, "why": why})
    return False


async def _observe(  # noqa: PLR0913 - what is watched, and by what
    plan: Plan, trial: Trial, environment: Environment, watch: Watch, recorder: Recorder, *, standbys: Redundancy
) -> None:
    """Detect, follow the procedure where the arm has one, and watch until recovered and held, or until the horizon.

    What was asked up to the horizon is answered before the fault is healed: else the healing would answer it.
    """
    horizon = watch.since + plan.terms.recovery.horizon
    procedure: asyncio.Task[None] | None = None
    try:
        if trial.arm.fault:
            await _detect(plan, watch, horizon, recorder)
        if trial.arm.procedure:
            procedure = asyncio.create_task(_procedure(plan, environment, recorder))
        why = await _until_done(trial, watch, procedure, horizon, standbys)
        recorder.record(Name.OBSERVED, Phase.OK, {"why": why})
    finally:
        if procedure is not None:
            await _cut_off(procedure)
    if trial.arm.fault and why == HORIZON:
        await clock.sleep_until(clock.now() + max(probe.timeout for probe in plan.scenario.probes))


async def _detect(plan: Plan, watch: Watch, horizon: Ns, recorder: Recorder) -> None:
    async def detected() -> Ns | None:
        return watch.detected()

    deadline = min(horizon, clock.now() + plan.scenario.detect_within)
    at = await clock.until(detected, deadline=deadline, every=POLL)
    if at is not None:
        recorder.record(Name.DETECT, Phase.INFO, {"detected_at": at})


async def _procedure(plan: Plan, environment: Environment, recorder: Recorder) -> None:
    recorder.record(Name.PROCEDURE, Phase.INVOKE, actor="operator")
    await follow(plan.steps, environment, plan.scenario.operator, recorder)
    recorder.record(Name.PROCEDURE, Phase.OK, actor="operator")


async def _until_done(
    trial: Trial, watch: Watch, procedure: asyncio.Task[None] | None, horizon: Ns, standbys: Redundancy
) -> str:
    """Control is held for the whole horizon. Arms without a fault end when one window and hold after the last act are over.
    Where redundancy has an objective, it is waited for until that is missed."""
    limit = watch.terms.recovery.redundancy
    quiet = horizon if trial.arm.fault else watch.since + watch.terms.recovery.window + watch.terms.recovery.hold
    while clock.now() < horizon:
        await asyncio.sleep(POLL / SECOND)
        if limit is not None and not standbys.whole and clock.now() <= watch.since + limit:
            continue
        if procedure is not None and procedure.done():
            procedure.result()
            if trial.arm.fault and watch.held():
                return "recovered"
        if not trial.arm.fault:
            if procedure is not None and not procedure.done():
                quiet = clock.now() + watch.terms.recovery.window + watch.terms.recovery.hold
            if clock.now() >= quiet:
                return "quiet"
    return HORIZON


async def _cut_off(procedure: asyncio.Task[None]) -> None:
    """At the horizon the operator's hands come off the keyboard; an error of the harness in there is not swallowed."""
    if not procedure.done():
        procedure.cancel()
    await asyncio.wait((procedure,))
    if not procedure.cancelled():
        procedure.result()


def _drift(header: Header) -> Ns:
    """How much further the wall clock has gone than the monotonic one since the header was made."""
    return (clock.wall() - header.wall) - (clock.now() - header.monotonic)


def _header(plan: Plan, trial: Trial, substrate: Substrate) -> Header:
    return Header(
        schema=codec.SCHEMA,
        version=__version__,
        scenario=plan.name,
        trial=trial.id,
        arm=trial.arm,
        seed=trial.seed,
        plan=plan.digest,
        runbook=plan.runbook,
        runbook_digest=plan.runbook_digest,
        procedure=plan.procedure,
        fault=str(plan.scenario.fault),
        substrate=substrate.name,
        isolation=substrate.isolation,
        wall=clock.wall(),
        monotonic=clock.now(),
        terms=plan.terms,
        remarks=plan.remarks,
    )
