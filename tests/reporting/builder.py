"""Hand-written histories and what was judged of them, for the reports' tests. The figures are made up and consistent."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from harness.model.design import CONTROL, TREATED, Arm
from harness.model.history import (
    Event,
    Header,
    History,
    Mode,
    Name,
    Phase,
    Sample,
    Scalar,
    StepTerms,
    Terms,
)
from harness.model.objectives import HumanTimes, Objective, Recovery
from harness.model.source import Source
from harness.model.units import Ns, milliseconds, minutes, seconds
from harness.model.verdict import (
    ArmSummary,
    Assessment,
    Finding,
    Interval,
    Loss,
    Outcome,
    Recovered,
    Status,
    Timings,
    Verdict,
    Word,
)
from harness.reporting.drill import Drill

RUNBOOK = Source("scenarios/inventory/runbook.md", 31, 74)
START = seconds(4_000)
CALL = START + seconds(9)
HOSTILE = "<script>alert(1)</script> &amp; ]]> \x1b[31mred\x1b[0m \x00\x07\u202etxt.exe"


def at(line: int) -> Source:
    return Source(RUNBOOK.path, line)


def step(index: int, line: int, text: str, **more: str) -> StepTerms:
    values = {"what": "command", "title": "", "language": "sql", "written": text, "deviation": "", **more}
    return StepTerms(index=index, text=text, source=at(line), **values)  # type: ignore[arg-type]


STEPS = (
    step(
        0, 41, "SELECT query, mean_exec_time FROM pg_stat_statements ORDER BY 2 DESC LIMIT 5;", title="Find the query"
    ),
    step(
        1,
        46,
        "EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM orders WHERE customer_id = 4711;",
        written="EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM orders WHERE customer_id = <customer-id>;",
        title="Look at its plan",
    ),
    step(2, 52, "Ask the owner of the table", what="manual", language="", title="Ask"),
    step(
        3,
        55,
        "CREATE INDEX CONCURRENTLY idx_orders_customer ON orders (customer_id);",
        written="CREATE INDEX idx_orders_customer ON orders (customer_id);",
        deviation="the table takes writes while the drill runs; the text would lock it",
        title="Create the missing index",
    ),
    step(4, 56, "ANALYZE orders;", title="Refresh the statistics"),
    step(5, 61, "psql -c 'SELECT count(*) FROM orders'", language="shell", title="Verify"),
)

TERMS = Terms(
    objectives=(Objective("read", 0.95, milliseconds(300)), Objective("order", 0.95, milliseconds(1000))),
    recovery=Recovery(rto=minutes(15), rpo=minutes(1), horizon=seconds(30)),
    human=HumanTimes(),
    steps=STEPS,
    period=milliseconds(50),
    ledger=True,
)


@dataclass
class Story:
    """Events one after the other, `at` in seconds after START."""

    events: list[Event] = field(default_factory=list)

    def tell(self, seconds_in: float, name: Name, phase: Phase, line: int = 0, **data: Scalar) -> "Story":
        actor = "operator" if name is Name.STEP else "harness"
        source = at(line) if line else None
        instant = START + seconds(seconds_in)
        self.events.append(Event(len(self.events), instant, actor, phase, name, dict(data), source))
        return self


def story(arm: Arm, *, output: str = "", ended: float = 29.0) -> tuple[Event, ...]:
    told = Story().tell(0, Name.TRIAL, Phase.INVOKE).tell(0, Name.ENVIRONMENT, Phase.INVOKE)
    told.tell(1.2, Name.ENVIRONMENT, Phase.OK, took_ns=seconds(1.2), isolation="namespaces")
    told.tell(9, Name.STEADY, Phase.OK)
    if arm.fault:
        told.tell(9, Name.FAULT, Phase.INVOKE, fault="DropIndex(orders.customer_id)")
        told.tell(9.3, Name.FAULT, Phase.OK, indexes_left=1)
        told.tell(11.1, Name.DETECT, Phase.INFO)
    if arm.procedure:
        told.tell(11.2, Name.PROCEDURE, Phase.INVOKE)
        clock = 11.2
        for terms, took in zip(STEPS, (0.12, 0.9, 0.0, 2.4, 0.35, 0.15), strict=True):
            told.tell(clock, Name.STEP, Phase.INVOKE, terms.source.line, step=terms.index)
            clock += took
            if terms.what == "manual":
                told.tell(clock, Name.STEP, Phase.INFO, terms.source.line, step=terms.index, why="for a person")
            elif terms.index == 5:
                why = "psql: error: password authentication failed"
                told.tell(
                    clock, Name.STEP, Phase.FAIL, 61, step=5, status=2, stderr=why + output, stdout=output, why=why
                )
            else:
                rows = f"query | mean\n------+------\n {output or 'SELECT …'} | 812.4\n(1 row)"
                told.tell(
                    clock, Name.STEP, Phase.OK, terms.source.line, step=terms.index, status=0, stdout=rows, rows=1
                )
        told.tell(clock, Name.PROCEDURE, Phase.OK)
    told.tell(ended, Name.OBSERVED, Phase.OK, why="recovered" if arm.procedure else "horizon")
    told.tell(ended + 0.1, Name.HEAL, Phase.INVOKE).tell(ended + 0.2, Name.HEAL, Phase.OK)
    told.tell(ended + 0.3, Name.LEDGER, Phase.OK, rows=412)
    told.tell(
        ended + 0.4, Name.INSTRUMENT, Phase.INFO, worker="prober", lag_p99_ns=2_100_000, lag_max_ns=7_900_000, dropped=0
    )
    told.tell(ended + 0.5, Name.TRIAL, Phase.OK)
    return tuple(told.events)


def samples(broken: Callable[[float], bool], *, until: float, period: Ns = milliseconds(50)) -> Iterator[Sample]:
    """Both indicators in both modes; `broken` tells for a time in seconds after START whether reads are slow then."""
    for number in range(round(seconds(until - 2) / period)):
        due = START + seconds(2) + number * period
        bad = broken((due - START) / 1e9)
        for indicator, base in (("read", 4.0), ("order", 11.0)):
            for mode, factor in ((Mode.FRESH, 1.7), (Mode.POOLED, 1.0)):
                slow = bad and (indicator == "read" or number % 3 == 0)
                took = base * factor * (1 + (number * 7919 % 13) / 8) * (70 + number % 30 if slow else 1)
                done = due + milliseconds(min(took, 1000))
                failed = slow and took > (300 if indicator == "read" else 900)
                yield Sample(indicator, mode, due, due + 400_000, done, not failed, "slow" if failed else "")


def history(
    arm: Arm = TREATED, number: int = 1, *, output: str = "", ended: float = 29.0, recovered: float | None = 15.2
) -> History:
    header = Header(
        schema=1,
        version="0.1.0",
        scenario="inventory/slow_queries",
        trial=f"{arm.name}-{number}",
        arm=arm,
        seed=7 + number,
        plan="9f2c" * 16,
        runbook=RUNBOOK,
        runbook_digest="ab12" * 16,
        procedure="Database > Slow Queries",
        fault="DropIndex(orders.customer_id)",
        substrate="local",
        isolation="namespaces",
        wall=1_760_000_000_000_000_000,
        monotonic=START,
        terms=TERMS,
        remarks=("the clock of PostgreSQL runs 11 min ahead (libfaketime)",),
    )
    until = recovered if recovered is not None else ended + 99

    def broken(moment: float) -> bool:
        return arm.fault and 9.3 < moment < until

    return History(header, story(arm, output=output, ended=ended), tuple(samples(broken, until=ended)))


def verdict(of: History, *, recovered: bool = True) -> Verdict:
    ended = next(each.at for each in of.events if each.name is Name.OBSERVED)
    timings = Timings(
        call=CALL,
        felt=CALL + seconds(0.3),
        onset=Interval(CALL + seconds(0.3), CALL + seconds(0.35)),
        detected=CALL + seconds(2.1),
        started=CALL + seconds(2.2) if of.header.arm.procedure else None,
        first_good=CALL + seconds(6.2) if recovered else None,
        recovered=Interval(CALL + seconds(6.15), CALL + seconds(6.2)) if recovered else None,
        ended=ended,
        bad_seconds=5.85 if recovered else 19.7,
        episodes=1,
    )
    broken = Finding("procedure", Outcome.FAILED, "psql wants a password and the runbook gives none", (17,), at(61))
    kept = Finding("durability", Outcome.PASSED, "412 acknowledged writes, none lost", (3,))
    if not recovered:
        never = Finding("recovery", Outcome.INCONCLUSIVE, "not recovered within the horizon of 20 s", (8,))
        rta = Recovered(Interval(ended - CALL, None))
        return Verdict(
            of.header.trial, of.header.arm, Outcome.PASSED, Status.CENSORED, (never, kept), timings, rta, loss()
        )
    rta = Recovered(
        fault=Interval(seconds(6.15), seconds(6.2)),
        user=Interval(seconds(5.8), seconds(5.9)),
        procedure=Interval(seconds(3.95), seconds(4.0)),
        human=seconds(435),
    )
    return Verdict(of.header.trial, of.header.arm, Outcome.PASSED, Status.OK, (broken, kept), timings, rta, loss())


def loss(lost: int = 0) -> Loss:
    rpa = Interval(0, 0) if not lost else Interval(seconds(1.2), seconds(1.3))
    return Loss(acked=412, lost=lost, rpa=rpa, resolution=milliseconds(61), unknown=3, recovered_unacked=2)


def drill(*, output: str = "", word: Word = Word.EFFECTIVE, outcome: Outcome = Outcome.PASSED) -> Drill:
    """Two treated trials and one control trial of one scenario."""
    treated = (history(output=output), history(number=2, output=output))
    control = history(CONTROL, recovered=None)
    verdicts = (*(verdict(each) for each in treated), verdict(control, recovered=False))
    assessment = Assessment(
        scenario="inventory/slow_queries",
        word=word,
        outcome=outcome,
        why="both treated trials recovered within the RTO of 15 min; the control trial did not recover while watched",
        arms=(
            ArmSummary(TREATED, n=2, ok=2, bound=0.224),
            ArmSummary(CONTROL, n=1, censored=1),
        ),
        verdicts=verdicts,
        rta=Interval(seconds(6.15), seconds(6.2)),
        rpa=Interval(0, 0),
        human=seconds(435),
        findings=(Finding("necessary", Outcome.PASSED, "the system does not heal by itself within 20 s"),),
        limits=(
            "2 trials: P(recovers in time) is at least 22% with 95% confidence, no more can be said.",
            "People were not there: 7 min 15 s are added for them arithmetically.",
            "Losses of less than 61 ms of writes would not have been seen.",
        ),
        effective=True,
        necessary=True,
        harmless=None,
    )
    return Drill(assessment, (*treated, control))


def hostile() -> Drill:
    """A drill whose every text from outside tries to break out of the report."""
    plain = drill(output=HOSTILE)
    first = plain.histories[0]
    steps = tuple(replace(each, written=HOSTILE, text=HOSTILE, deviation=HOSTILE, title=HOSTILE) for each in STEPS)
    nasty = Source(f"{HOSTILE}.md", 3)
    header = replace(
        first.header,
        procedure=HOSTILE,
        fault=HOSTILE,
        remarks=(HOSTILE,),
        substrate=HOSTILE,
        runbook=nasty,
        terms=replace(first.header.terms, steps=steps, objectives=(Objective(HOSTILE),)),
    )
    found = Finding("procedure", Outcome.FAILED, HOSTILE, (1,), nasty)
    assessment = replace(
        plain.assessment, scenario=HOSTILE, why=HOSTILE, limits=(HOSTILE,), findings=(found,), outcome=Outcome.FAILED
    )
    named = tuple(replace(each, indicator=HOSTILE) for each in first.samples)
    return Drill(assessment, (replace(first, header=header, samples=named), *plain.histories[1:]))
