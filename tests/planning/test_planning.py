"""A plan, or every problem at once, each at its line."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace

import pytest

from harness.errors import InputError, Problem, UnableError
from harness.model.backup import BackupSchedule
from harness.model.load import HttpProbe, LedgerSpec, LoadProfile, Task
from harness.model.objectives import Objective, Recovery
from harness.model.topology import Cluster, Exposed, Mongo, Postgres, Redis, Role, Topology, Workload
from harness.model.units import milliseconds, minutes, seconds
from harness.planning import LOOK, compile_plan
from harness.ports import Capability, Injection, Stage
from harness.runbooks import parse
from harness.scenario import Deviation, Operator, Scenario

TEXT = """# Book

## Pool exhausted

**Diagnosis**

```bash
# How many?
SELECT count(*) FROM pg_stat_activity;

# Follow the log
tail -f /var/log/api/api.log
```

**Resolution**

**If it leaks**:

```bash
# Restart
kubectl rollout restart deployment/backend -n <namespace>
echo $API_TOKEN
```
"""


@dataclass(frozen=True)
class Broken:
    needs: frozenset[Capability] = frozenset()
    links: frozenset[str] = frozenset()

    def applied_to(self, _: Stage) -> AbstractAsyncContextManager[Injection]:
        return nullcontext(Injection(felt=True, at=0))


@dataclass(frozen=True)
class Bare:
    """Ground that has only what it is told."""

    provides: frozenset[Capability] = frozenset(Capability) - {Capability.KUBERNETES, Capability.DOCKER}
    programs: frozenset[str] = frozenset({"tail", "echo", "psql"})
    name: str = "bare"

    def lacks(self, needs: frozenset[Capability]) -> Sequence[Problem]:
        return [Problem(f"no {need} here", None, "get it") for need in sorted(needs - self.provides)]

    def tool(self, program: str) -> bool:
        return program in self.programs


SYSTEM = Topology(
    "t",
    databases=(Postgres("main", "shop", Role("app")),),
    workloads=(Workload("backend", "shop", 8000),),
)
RESTART = Deviation(match="kubectl rollout restart", instead="service backend restart", why="no cluster here")
TOKEN = Deviation(match="echo $API_TOKEN", why="says nothing")
IN_CLUSTER = replace(SYSTEM, cluster=Cluster("shop", "prod"))

SCENARIO = Scenario(
    title="leak",
    runbook="book.md",
    procedure="pool exhausted",
    follow=("diagnosis", "resolution > if it leaks"),
    deviations=(RESTART, TOKEN),
    operator=Operator(database="main"),
    topology=SYSTEM,
    fault=Broken(),
    probes=(HttpProbe(indicator="browse", service="backend", path="/"),),
    objectives=(Objective("browse"),),
    recovery=Recovery(rto=minutes(15)),
)


def planned(scenario: Scenario = SCENARIO, *, ground: Bare | None = None, text: str = TEXT, own_text: bool = True):
    return compile_plan(scenario, parse(text, "book.md"), ground or Bare(), name="t/leak", own_text=own_text)


def problems(scenario: Scenario, **rest) -> list[str]:
    with pytest.raises(InputError) as caught:
        planned(scenario, **rest)
    return [str(problem) for problem in caught.value.problems]


def test_the_steps_of_the_path_are_planned_in_order_with_their_lines_and_executors() -> None:
    steps = planned().steps
    assert [(s.executor, s.terms.source.line) for s in steps] == [
        ("sql", 9),
        ("shell", 12),
        ("shell", 21),
        ("skipped", 22),
    ]
    assert [s.terms.index for s in steps] == [0, 1, 2, 3]


def test_a_deviation_is_run_instead_and_says_why() -> None:
    step = planned().steps[2]
    assert step.terms.text == "service backend restart"
    assert step.terms.written.startswith("kubectl rollout restart")
    assert step.terms.deviation == "no cluster here"


def test_a_command_that_never_ends_is_only_looked_at() -> None:
    step = planned().steps[1]
    assert step.blocking
    assert step.timeout == LOOK


def test_a_binding_replaces_its_placeholder_and_nothing_else() -> None:
    ground = Bare(provides=frozenset(Capability), programs=frozenset({"tail", "echo", "kubectl"}))
    scenario = replace(SCENARIO, topology=IN_CLUSTER, deviations=(TOKEN,), bindings={"<namespace>": "prod"})
    assert planned(scenario, ground=ground).steps[2].terms.text == "kubectl rollout restart deployment/backend -n prod"


def test_an_unbound_placeholder_is_a_problem_at_its_line_and_never_reaches_a_shell() -> None:
    found = problems(replace(SCENARIO, deviations=()))
    assert any(line.startswith("book.md:21:") and "<namespace>" in line for line in found)
    assert any(line.startswith("book.md:22:") and "$API_TOKEN" in line for line in found)


def test_a_command_for_a_cluster_needs_one() -> None:
    scenario = replace(SCENARIO, deviations=(TOKEN,), bindings={"<namespace>": "prod"})
    found = problems(scenario, ground=Bare(provides=frozenset(Capability)))
    assert any(line.startswith("book.md:21:") and "cluster, which the stack does not have" in line for line in found)
    found = problems(replace(scenario, topology=IN_CLUSTER))
    assert any(line.startswith("book.md:21:") and "`bare` substrate does not have" in line for line in found)


def test_what_is_asked_of_a_cluster_is_exposed_by_it() -> None:
    probe = HttpProbe(indicator="browse", service="web", path="/")
    topology = replace(SYSTEM, cluster=Cluster("shop", "prod", exposed=(Exposed("web", 80),)))
    scenario = replace(SCENARIO, topology=topology, bindings={"<namespace>": "prod"}, probes=(probe,), load=None)
    everything = Bare(provides=frozenset(Capability), programs=frozenset({"tail", "echo", "kubectl"}))
    assert Capability.KUBERNETES in planned(scenario, ground=everything).needs
    found = problems(replace(scenario, topology=IN_CLUSTER), ground=everything)
    assert any("names `web`, which the stack does not have" in line for line in found)


def test_a_program_that_the_operator_does_not_have_is_a_problem_at_its_line() -> None:
    found = problems(SCENARIO, ground=Bare(programs=frozenset({"echo"})))
    assert any(line.startswith("book.md:12:") and "`tail`" in line for line in found)


def test_a_program_among_the_operators_files_is_one_that_the_operator_has() -> None:
    scenario = replace(SCENARIO, operator=replace(SCENARIO.operator, files={"bin/tail": "#!/bin/sh\n"}))
    assert planned(scenario, ground=Bare(programs=frozenset({"echo"})))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bindings": {"<nobody>": "x"}}, "a binding for `<nobody>`"),
        ({"deviations": (RESTART, TOKEN, Deviation(match="no such command", why="x"))}, "no such command"),
        ({"procedure": "volcano erupts"}, "volcano"),
        ({"follow": ("resolution > if it rains",)}, "if it rains"),
        ({"objectives": ()}, "no objective"),
        ({"objectives": (Objective("browse"), Objective("buy"))}, "`buy` has no probe"),
        ({"objectives": (Objective("browse", ratio=0.9999),)}, "the shortest window that can"),
        ({"objectives": (Objective("browse", ratio=1.5),)}, "1.5"),
        ({"recovery": Recovery(rto=0)}, "RTO"),
        ({"recovery": Recovery(rto=minutes(1), rpo=seconds(1))}, "RPO without a ledger"),
        ({"recovery": Recovery(rto=minutes(1), horizon=seconds(2))}, "horizon"),
        ({"recovery": Recovery(rto=seconds(4))}, "set period=milliseconds(40) or less"),
        ({"recovery": Recovery(rto=100)}, "nothing can be measured so finely"),
        (
            {"period": milliseconds(1001), "recovery": Recovery(rto=minutes(60), window=minutes(2))},
            "too coarse for an RTO of",
        ),
        ({"backup": BackupSchedule(seconds(9))}, "a backup schedule, and no backup"),
        ({"backup": BackupSchedule(seconds(9))}, "a backup schedule without a ledger"),
        ({"backup": BackupSchedule(seconds(1))}, "leave no room for a steady window"),
        ({"backup": BackupSchedule(seconds(9), interval=0)}, "a backup interval of 0 s"),
        ({"alerts": ("replication lag > 60s",)}, "the alert rule `replication lag > 60s` says nothing about"),
        ({"ledger": LedgerSpec("main")}, "is written by no role"),
        ({"ledger": LedgerSpec("main", "app", concern="majority")}, "`main` expects on, off, local"),
        ({"operator": Operator()}, "bare SQL"),
        ({"operator": Operator(database="other")}, "`other`"),
        ({"operator": Operator(database="main", files={"../x": ""})}, "`../x` does not lie in the home directory"),
        ({"load": LoadProfile("nobody", (Task("/"),))}, "`nobody`"),
        ({"ledger": LedgerSpec("nothing", "app")}, "`nothing`"),
        ({"probes": (HttpProbe(indicator="browse", service="front", path="/"),)}, "`front`"),
        ({"fault": Broken(needs=frozenset({Capability.KUBERNETES}))}, "no a Kubernetes cluster here"),
    ],
)
def test_bad_input_is_refused(change, words) -> None:
    assert any(words in line for line in problems(replace(SCENARIO, **change)))


@pytest.mark.parametrize(
    ("store", "ledger", "words"),
    [
        (Redis("cache"), LedgerSpec("cache", "app"), "is written without one"),
        (Redis("cache"), LedgerSpec("cache", concern="majority"), "`cache` expects a number of replicas"),
        (Mongo("docs", "shop"), LedgerSpec("docs", concern="on"), "`docs` expects a number or `majority`"),
        (Redis("cache"), LedgerSpec("cash"), "names `cash`, which the stack does not have"),
    ],
)
def test_a_ledger_is_written_as_its_store_knows_it(store: Redis | Mongo, ledger: LedgerSpec, words: str) -> None:
    topology = replace(SCENARIO.topology, stores=(store,))
    assert any(words in line for line in problems(replace(SCENARIO, topology=topology, ledger=ledger)))


def test_a_store_is_asked_of_the_substrate_and_its_ledger_needs_no_table() -> None:
    stores = (Redis("cache"), Mongo("docs", "shop"))
    topology = replace(SCENARIO.topology, stores=stores)
    for ledger in (LedgerSpec("cache", concern="1"), LedgerSpec("docs", concern="majority+j")):
        plan = planned(replace(SCENARIO, topology=topology, ledger=ledger))
        assert {Capability.REDIS, Capability.MONGO} <= plan.needs
        assert plan.topology == topology


def test_the_alert_rules_of_text_and_scenario_are_looked_at_once_each() -> None:
    rule = "error rate > 1% for 2m"
    text = f"{TEXT}\n## Alerts\n\n| Metric | Warning |\n|---|---|\n| Error rate | > 1% for 2m |\n| CPU | > 80% |\n"
    plan = planned(replace(SCENARIO, alerts=(rule, "p99 > 500ms")), text=text)
    assert [condition.name for condition in plan.terms.alerts] == ["Error rate", "p99 > 500ms"]
    assert "1 of the text's 2 alert rules are about what the users' probes do not see" in plan.remarks


def test_all_problems_are_told_at_once_those_with_lines_first_and_each_once() -> None:
    found = problems(replace(SCENARIO, deviations=(), bindings={"<nobody>": "x"}, objectives=()))
    assert len(found) == len(set(found)) >= 4
    placed = [line.startswith("book.md:") for line in found]
    assert placed == sorted(placed, reverse=True)


def test_another_text_may_have_no_use_for_a_deviation_and_the_report_says_so() -> None:
    text = TEXT.replace("echo $API_TOKEN\n", "")
    plan = planned(text=text, own_text=False)
    assert plan.remarks == ("this text has no use for a deviation for `echo $API_TOKEN`",)


def test_the_digest_changes_with_the_text_and_with_the_scenario() -> None:
    digests = {
        planned().digest,
        planned(text=TEXT + "\n").digest,
        planned(replace(SCENARIO, seed=2)).digest,
    }
    assert len(digests) == 3
    assert planned().digest == planned().digest


def test_a_ledger_brings_its_table_and_a_fault_that_ages_brings_a_movable_clock() -> None:
    scenario = replace(SCENARIO, ledger=LedgerSpec("main", "app"), fault=Broken(needs=frozenset({Capability.CLOCK})))
    database = planned(scenario).topology.database("main")
    assert 'CREATE TABLE "rundrill_ledger"' in database.schema
    assert database.movable_clock


HOSTS = """# Book

## Backup

```bash
pg_dump -h db.prod.internal -U app shop > backup.sql
psql -h db.prod.internal shop < backup.sql | tail -1
curl -s http://api.prod.internal:8000/health
```
"""


def named(**changes) -> Scenario:
    database = Postgres("main", "shop", Role("app"), hosts=("db.prod.internal",))
    backend = Workload("backend", "shop", 8000, hosts=("api.prod.internal",))
    system = Topology("t", databases=(database,), workloads=(backend,))
    return replace(SCENARIO, procedure="backup", follow=(), deviations=(), topology=system, **changes)


NAMELESS = Bare(provides=Bare().provides - {Capability.NAMES}, programs=frozenset({"pg_dump", "psql", "tail", "curl"}))


def test_a_host_name_needs_names_but_for_the_clients_of_the_one_server() -> None:
    with pytest.raises(UnableError) as caught:
        planned(named(), ground=NAMELESS, text=HOSTS)
    (problem,) = caught.value.problems
    assert str(problem).startswith("book.md:8:")
    assert "private host names" in str(problem)


def test_where_a_machine_lacks_something_and_nothing_else_is_wrong_the_drill_may_be_skipped() -> None:
    with pytest.raises(UnableError):
        planned(replace(SCENARIO, fault=Broken(needs=frozenset({Capability.DOCKER}))))
    with pytest.raises(InputError) as caught:
        planned(replace(SCENARIO, fault=Broken(needs=frozenset({Capability.DOCKER})), objectives=()))
    assert not isinstance(caught.value, UnableError)


def test_a_command_may_stand_in_for_a_persons_hands_and_says_so() -> None:
    text = "# Book\n\n## Pool exhausted\n\n1. Raise the limit in the console\n2. `echo done`\n"
    by_hand = replace(SCENARIO, follow=(), deviations=())
    assert [s.executor for s in planned(by_hand, text=text).steps] == ["manual", "shell"]
    stand_in = Deviation(match="Raise the limit", instead="touch raised", why="no console here")
    step = planned(replace(by_hand, deviations=(stand_in,)), text=text).steps[0]
    assert (step.executor, step.terms.what, step.terms.text) == ("shell", "command", "touch raised")
    assert step.terms.deviation == "no console here"
    left_out = planned(replace(by_hand, deviations=(replace(stand_in, instead=None),)), text=text).steps[0]
    assert (left_out.executor, left_out.terms.what) == ("skipped", "skipped")
