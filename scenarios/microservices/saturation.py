"""Saturation as the second runbook answers it: sessions idle for over 5 minutes are ended, the culprit is restarted."""

from dataclasses import replace
from pathlib import Path

from harness.faults import ExhaustConnections
from harness.model.load import HttpProbe, LoadProfile, Task
from harness.model.objectives import Objective, Recovery
from harness.model.topology import Postgres, Role, Topology, Workload
from harness.model.units import milliseconds, minutes, seconds
from harness.model.verdict import Word
from harness.scenario import Deviation, Known, Operator, Scenario

_SCHEMA = (Path(__file__).resolve().parents[2] / "clusters/workloads/shop/schema.sql").read_text(encoding="utf-8")
_SYSTEM = Topology(
    "microservices",
    databases=(
        Postgres(
            name="main",
            database="checkout",
            owner=Role("checkout", "checkout-secret"),
            hosts=("postgresql.microservices.svc",),
            settings=(("max_connections", "40"), ("superuser_reserved_connections", "3")),
            schema=_SCHEMA,
        ),
    ),
    workloads=(
        Workload(
            name="checkout",
            image="shop",
            port=8080,
            hosts=("checkout.microservices.svc",),
            env=(
                ("DATABASE_POOL_MAX_LIFETIME_S", "1"),
                ("DATABASE_POOL_TIMEOUT_S", "0.8"),
                ("DATABASE_URL", "postgresql://checkout:checkout-secret@postgresql.microservices.svc:5432/checkout"),
            ),
        ),
    ),
)

SATURATED = Scenario(
    title="A client has leaked connections a moment ago",
    runbook="runbook.md",
    procedure="database connection saturation",
    deviations=(
        Deviation(
            match="kubectl delete pod -l app=<culprit>",
            why="the culprit is a job outside the stack: there is no pod of it to delete",
        ),
    ),
    operator=Operator(database="main", role="postgres"),
    topology=_SYSTEM,
    fault=ExhaustConnections(database="main", state="idle", application_name="promotion-job", role="checkout"),
    probes=(
        HttpProbe(indicator="browse", service="checkout", path="/products?category=7&limit=5", contains='"products"'),
    ),
    objectives=(Objective("browse", ratio=0.95, within=milliseconds(1000)),),
    load=LoadProfile(
        service="checkout",
        tasks=(Task("/products?category={n}&limit=10"),),
        users=6,
        pace=milliseconds(250),
        timeout=seconds(5),
    ),
    recovery=Recovery(rto=minutes(15), horizon=seconds(22)),
    expect=Known(
        word=Word.INEFFECTIVE,
        because="the text ends only sessions idle for over 5 minutes, so right after a leak it ends none",
    ),
)

SATURATED_FOR_LONG = replace(
    SATURATED,
    title="A client leaked connections six minutes ago",
    fault=ExhaustConnections(
        database="main", state="idle", application_name="promotion-job", role="checkout", age=minutes(6)
    ),
    expect=None,
)
