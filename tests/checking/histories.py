"""Histories written by hand: the events of a trial that went as it should, samples of a system that is down when told to be.

Seconds everywhere, on a clock whose zero is the fault call; the trial begins 10 s before.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from harness.codec import SCHEMA
from harness.model.design import TREATED, Arm
from harness.model.history import (
    Event,
    Header,
    History,
    Mode,
    Name,
    Phase,
    Reading,
    Row,
    Sample,
    Scalar,
    StepTerms,
    Terms,
    Write,
    WriteOutcome,
)
from harness.model.objectives import HumanTimes, Objective, Recovery
from harness.model.source import Source
from harness.model.units import Ns, milliseconds, seconds

ZERO = seconds(1000)
PERIOD = milliseconds(50)
RUNBOOK = Source("runbook.md", 40)

PEOPLE = HumanTimes(acknowledge=0, manual=0, command=0)

Down = Callable[[float], bool]
"""Whether a probe due at that second is bad."""


def at(second: float) -> Ns:
    return ZERO + seconds(second)


def step(index: int = 0, text: str = "SELECT 1", *, what: str = "command", deviation: str = "") -> StepTerms:
    return StepTerms(index, what, "a step", "sql", text, text, Source("runbook.md", 41 + index), deviation=deviation)


def terms(
    *objectives: Objective,
    rto: float = 10,
    rpo: float | None = None,
    horizon: float = 20,
    steps: tuple[StepTerms, ...] = (step(),),
    ledger: bool = False,
    human: HumanTimes = PEOPLE,
) -> Terms:
    recovery = Recovery(
        rto=seconds(rto),
        rpo=None if rpo is None else seconds(rpo),
        window=seconds(5),
        hold=seconds(3),
        horizon=seconds(horizon),
    )
    return Terms(objectives or (Objective("read"),), recovery, human, steps, PERIOD, ledger=ledger)


def header(arm: Arm = TREATED, judged: Terms | None = None, *, fault: str = "Kill(db)", trial: str = "") -> Header:
    return Header(
        schema=SCHEMA,
        version="0",
        scenario="shop/pool",
        trial=trial or f"{arm}-1",
        arm=arm,
        seed=1,
        plan="p",
        runbook=RUNBOOK,
        runbook_digest="r",
        procedure="Restart",
        fault=fault,
        substrate="simulated",
        isolation="simulated",
        wall=1,
        monotonic=at(-10),
        terms=judged or terms(),
    )


def events(arm: Arm = TREATED, *, ran: Iterable[dict[str, Scalar]] = ({},), observed: float = 20) -> tuple[Event, ...]:
    """`ran`: for each step its data; key `phase` says how it ended (ok unless told), `actor` who ran it."""
    log: list[tuple[float, str, Phase, Name, dict[str, Scalar]]] = [
        (-10, "harness", Phase.INVOKE, Name.TRIAL, {}),
        (-0.1, "harness", Phase.OK, Name.STEADY, {}),
    ]
    if arm.fault:
        log.append((0, "harness", Phase.INVOKE, Name.FAULT, {"fault": "Kill(db)"}))
        log.append((0.1, "harness", Phase.OK, Name.FAULT, {"felt_at": at(0.05), "sessions": 20}))
    if arm.procedure:
        log.append((1, "operator", Phase.INVOKE, Name.PROCEDURE, {}))
        for index, data in enumerate(ran):
            told = {"step": index, **{k: v for k, v in data.items() if k not in ("phase", "actor")}}
            actor, phase = str(data.get("actor", "operator")), Phase(str(data.get("phase", "ok")))
            log.append((1.1 + index / 10, actor, Phase.INVOKE, Name.STEP, {"step": index}))
            log.append((1.15 + index / 10, actor, phase, Name.STEP, told))
        log.append((3, "operator", Phase.OK, Name.PROCEDURE, {}))
    log.append((observed, "harness", Phase.OK, Name.OBSERVED, {"why": "horizon"}))
    if arm.fault:
        log.append((observed + 0.1, "harness", Phase.OK, Name.HEAL, {}))
    log.append((observed + 0.2, "harness", Phase.OK, Name.TRIAL, {}))
    return tuple(Event(n, at(s), actor, phase, name, data) for n, (s, actor, phase, name, data) in enumerate(log))


def sample(second: float, *, bad: bool = False, indicator: str = "read", mode: Mode = Mode.FRESH) -> Sample:
    """Good: answered in 5 ms. Bad: timed out after 1 s."""
    took = milliseconds(1000 if bad else 5)
    return Sample(
        indicator, mode, at(second), at(second), at(second) + took, good=not bad, reason="timeout" if bad else ""
    )


def samples(
    down: Down = lambda _: False,
    *,
    start: float = -10,
    end: float = 20,
    indicator: str = "read",
    modes: Iterable[Mode] = tuple(Mode),
) -> tuple[Sample, ...]:
    """20 probes a second in each mode, the modes a quarter of a period apart."""
    count = round((end - start) * 20)
    return tuple(
        sample(due, bad=down(due), indicator=indicator, mode=mode)
        for n in range(count)
        for phase, mode in enumerate(modes)
        for due in [round(start + n * 0.05 + phase * 0.0125, 6)]
    )


def outage(*spans: tuple[float, float]) -> Down:
    """Down from the first to the second of each span."""
    return lambda second: any(start <= second < end for start, end in spans)


FOUR_SECONDS = outage((0.2, 4))
UP = outage()


def history(
    arm: Arm = TREATED,
    down: Down = FOUR_SECONDS,
    *,
    judged: Terms | None = None,
    ran: Iterable[dict[str, Scalar]] = ({},),
    fault: str = "Kill(db)",
    observed: float = 20,
) -> History:
    """A trial whose system was down as told."""
    return History(
        header(arm, judged, fault=fault), events(arm, ran=ran, observed=observed), samples(down, end=observed)
    )


def write(
    seq: int, second: float, outcome: WriteOutcome = WriteOutcome.OK, *, took: float = 0.005, writer: str = "w1"
) -> Write:
    return Write(writer, seq, f"sum-{seq}", at(second), at(second + took), outcome)


def reading(seqs: Iterable[int], second: float = 19, *, place: str = "primary", twice: Iterable[int] = ()) -> Reading:
    doubled = set(twice)
    rows = tuple(Row("w1", seq, f"sum-{seq}", 2 if seq in doubled else 1) for seq in seqs)
    return Reading(place, at(second), at(second + 0.1), rows)


def with_ledger(base: History, writes: Iterable[Write], *readings: Reading) -> History:
    judged = replace(base.header.terms, ledger=True)
    return replace(base, header=replace(base.header, terms=judged), writes=tuple(writes), readings=readings)


def without(base: History, name: Name, *phases: Phase) -> History:
    """The history with those events left out."""
    kept = tuple(e for e in base.events if e.name is not name or (phases and e.phase not in phases))
    return replace(base, events=kept)


def plus(base: History, second: float, name: Name, phase: Phase, **data: Scalar) -> History:
    """The history with one more event, in its place in time."""
    merged = sorted([*base.events, Event(0, at(second), "harness", phase, name, data)], key=lambda e: e.at)
    return replace(base, events=tuple(replace(e, index=n) for n, e in enumerate(merged)))
