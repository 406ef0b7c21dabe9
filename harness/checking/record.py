"""One trial as a line of a trial log: what was measured of it, its verdict, and where it was run; small enough to be kept for
ever. Not the log itself (running.triallog), not what many records say together (evidence)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

from harness.checking import windows
from harness.model.design import Arm
from harness.model.history import Event, History, Mode, Name, Phase, Sample, Scalar
from harness.model.objectives import Objective
from harness.model.units import SECOND, Ns
from harness.model.verdict import Interval, Timings, Verdict

_BUDGET: Final[Ns] = 28 * 24 * 3600 * SECOND
"""Error budgets are told for 28 days."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One indicator in one connection mode over the time from the fault call to the end: `n` samples, `bad` ones, exact
    percentiles of latency in ns (None without a sample), how many bad ones a recovery window of `window` ns allows."""

    indicator: str
    mode: Mode
    ratio: float
    n: int
    bad: int
    p50: Ns | None
    p95: Ns | None
    p99: Ns | None
    window: Ns
    allowed: int


@dataclass(frozen=True, slots=True)
class Worker:
    """What one instrument says of itself: how many probes or writes were due, how many it could not send, how many
    because too many were unanswered; its lag in ns."""

    worker: str
    asked: int
    dropped: int
    lag_p99: Ns
    lag_max: Ns
    lag_p50: Ns = 0
    saturated: int = 0


@dataclass(frozen=True, slots=True)
class Ran:
    """One step as it was executed: from `start` to `end`, ns since the fault call; `end` None where it was cut off."""

    step: int
    start: Ns
    end: Ns | None
    phase: Phase | None
    status: int | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a trial was run: `environment` is its own, `host` and `host_class` the machine's, `batch` what ran beside it."""

    environment: str
    host: str
    host_class: str
    batch: int


@dataclass(frozen=True, slots=True)
class Record:
    """One trial of one cell. `block` is the randomised block it was drawn in; `wall` ns since the epoch at its beginning;
    `took` ns of its whole; `budget` the percentage of 28 days' error budget that its bad time is; times in `verdict.timings`,
    `steps`: ns since the fault call (or the trial's beginning where there is none)."""

    cell: str
    arm: Arm
    trial: str
    block: int
    seed: int
    plan: str
    place: Place
    wall: Ns
    took: Ns
    verdict: Verdict
    watched: tuple[Watched, ...] = ()
    workers: tuple[Worker, ...] = ()
    steps: tuple[Ran, ...] = ()
    budget: float = 0.0


def record_of(history: History, verdict: Verdict, *, cell: str, block: int, place: Place) -> Record:
    """The record of one judged trial; `place.environment` is taken from the history where it says so."""
    header = history.header
    zero = verdict.timings.call if verdict.timings.call is not None else header.monotonic
    brought = history.first(Name.ENVIRONMENT, Phase.OK)
    environment = str(brought.data.get("id", "")) if brought else place.environment
    strictest = max((o.ratio for o in header.terms.objectives), default=0.0)
    budget = 100 * verdict.timings.bad_seconds * SECOND / ((1 - strictest) * _BUDGET) if strictest < 1 else 0.0
    return Record(
        cell=cell,
        arm=header.arm,
        trial=header.trial,
        block=block,
        seed=header.seed,
        plan=header.plan,
        place=replace(place, environment=environment),
        wall=header.wall,
        took=max(0, history.events[-1].at - header.monotonic) if history.events else 0,
        verdict=replace(verdict, timings=since(verdict.timings, zero)),
        watched=tuple(watched(history, o, m, zero) for o in header.terms.objectives for m in header.terms.modes),
        workers=tuple(_worker(e.data) for e in history.named(Name.INSTRUMENT, Phase.INFO)),
        steps=_steps(history, zero),
        budget=budget,
    )


def watched(history: History, objective: Objective, mode: Mode, zero: Ns) -> Watched:
    """What the samples due from `zero` on say of one objective in one mode."""
    terms = history.header.terms
    samples = [s for s in history.of(objective.indicator, mode) if s.scheduled >= zero]
    due = windows.probes(terms.recovery.window, terms.period)
    latencies = sorted(s.latency for s in samples)
    return Watched(
        indicator=objective.indicator,
        mode=mode,
        ratio=objective.ratio,
        n=len(samples),
        bad=sum(not _kept(s, objective) for s in samples),
        p50=percentile(latencies, 0.50),
        p95=percentile(latencies, 0.95),
        p99=percentile(latencies, 0.99),
        window=terms.recovery.window,
        allowed=windows.allowed(due, objective.ratio),
    )


def percentile(ordered: Sequence[Ns], q: float) -> Ns | None:
    """The smallest of the `ordered` values that at least a share `q` of them does not exceed; None of nothing."""
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)] if ordered else None


def since(timings: Timings, zero: Ns) -> Timings:
    """The same timeline with `zero` for its origin."""
    moved: dict[str, Ns | Interval | None] = {}
    for each in fields(timings):
        value = getattr(timings, each.name)
        if each.name in ("bad_seconds", "episodes") or value is None:
            continue
        moved[each.name] = _interval(value, zero) if isinstance(value, Interval) else value - zero
    return replace(timings, **moved)  # type: ignore[arg-type]


def _interval(value: Interval, zero: Ns) -> Interval:
    return Interval(value.lo - zero, None if value.hi is None else value.hi - zero)


def _kept(sample: Sample, objective: Objective) -> bool:
    return sample.good and sample.latency <= objective.within


def _worker(data: dict[str, Scalar]) -> Worker:
    return Worker(
        worker=str(data.get("worker", "")),
        asked=_number(data, "asked"),
        dropped=_number(data, "dropped"),
        lag_p99=_number(data, "lag_p99_ns"),
        lag_max=_number(data, "lag_max_ns"),
        lag_p50=_number(data, "lag_p50_ns"),
        saturated=_number(data, "saturated"),
    )


def _number(data: dict[str, Scalar], key: str) -> int:
    value = data.get(key)
    return value if isinstance(value, int) else 0


def _steps(history: History, zero: Ns) -> tuple[Ran, ...]:
    """The steps in the order they were begun; a step has at most one end, the first that comes after its beginning."""
    ended = list(history.named(Name.STEP, Phase.OK, Phase.FAIL, Phase.INFO))
    return tuple(_ran(begun, ended, zero) for begun in history.named(Name.STEP, Phase.INVOKE))


def _ran(begun: Event, ended: Sequence[Event], zero: Ns) -> Ran:
    number = begun.data.get("step")
    end = next((e for e in ended if e.index > begun.index and e.data.get("step") == number), None)
    status = end.data.get("status") if end else None
    return Ran(
        step=number if isinstance(number, int) else -1,
        start=begun.at - zero,
        end=end.at - zero if end else None,
        phase=end.phase if end else None,
        status=status if isinstance(status, int) else None,
    )
