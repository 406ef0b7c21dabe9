"""The market as its runbook knows it: the stack `webservice` in the namespace `prod`, its database outside the cluster."""

from pathlib import Path

from harness.model.load import HttpProbe, LoadProfile, Task
from harness.model.objectives import Objective
from harness.model.topology import Cluster, Exposed, Postgres, Role, Topology
from harness.model.units import milliseconds, seconds
from harness.scenario import Operator

_SCHEMA = (Path(__file__).resolve().parents[2] / "clusters/workloads/shop/schema.sql").read_text(encoding="utf-8")

DATABASE = Postgres(
    name="main",
    database="market",
    owner=Role("market_app", "market-secret"),
    hosts=("market-db.internal",),
    schema=_SCHEMA,
)

CLUSTER = Cluster(
    stack="webservice",
    namespace="prod",
    variables=(
        ("APP", "aislemarts"),
        ("BUCKETS", "0"),
        ("DATABASE_URL", "postgresql://market_app:market-secret@market-db.internal:5432/market"),
        ("HPA_CPU", "300"),
        ("KEEPALIVE", "on"),
        ("PARTNERS", "0"),
        ("PAYMENT_LATENCY_S", "0"),
        ("PIDFILE", ""),
        ("POOL_SIZE", "5"),
        ("POOL_TIMEOUT_S", "0.8"),
        ("REPLICAS", "2"),
        ("STABILIZATION_S", "300"),
        ("SUSPENDED", "true"),
    ),
    exposed=(Exposed("market", 8080, service="aislemarts"),),
)


def market(**variables: str) -> Topology:
    """The market with these variables of its manifests changed."""
    return Topology("webservice", databases=(DATABASE,), cluster=CLUSTER.with_variables(**variables))


BROWSE = HttpProbe(indicator="browse", service="market", path="/products?category=7&limit=5", contains='"products"')
ORDER = HttpProbe(
    indicator="order",
    service="market",
    path="/orders",
    body='{"customer": 7, "product": {n}, "quantity": 1}',
    status=201,
    contains='"id"',
)
PROBES = (BROWSE, ORDER)


def objectives(*probes: HttpProbe) -> tuple[Objective, ...]:
    """95% of each within a second: the text's 99.95% needs more questions than a drill has time for."""
    return tuple(Objective(probe.indicator, ratio=0.95, within=milliseconds(1000)) for probe in probes)


OBJECTIVES = objectives(*PROBES)
TRAFFIC = LoadProfile(
    service="market",
    tasks=(Task("/products?category={n}&limit=10", weight=3), Task("/orders?customer={n}")),
    users=4,
    pace=milliseconds(250),
    timeout=seconds(5),
)
ORDERS = LoadProfile(
    service="market",
    tasks=(Task("/orders", body='{"customer": 3, "product": {n}, "quantity": 1}'),),
    users=3,
    pace=seconds(1),
    timeout=seconds(10),
)

YOUNG = (
    "the autoscaler is as young as the drill, and stands by what it saw first for 5 minutes: see the drill of an old one, which "
    "takes back what is scaled by hand"
)
ANEW = "each request comes over a connection of its own, as from a proxy: who keeps one to a crowded pod gains nothing"

# The script that the runbook calls, as the repository of such a service has it.
ROLLBACK = """\
#!/bin/sh
set -e
namespace=${1:?namespace}
revision=${2:+--to-revision=$2}
kubectl -n "$namespace" rollout undo deploy/aislemarts-backend $revision
kubectl -n "$namespace" rollout status deploy/aislemarts-backend --timeout=120s
"""
OPERATOR = Operator(files={"ops/scripts/rollback.sh": ROLLBACK})
