"""The gateway as its procedures know it: deployments of the namespace `aion`, data services in `data`, a database outside."""

from pathlib import Path

from harness.model.load import HttpProbe, LoadProfile, Task
from harness.model.objectives import Objective
from harness.model.topology import Cluster, Exposed, Postgres, Role, Topology
from harness.model.units import milliseconds, seconds

_SCHEMA = (Path(__file__).resolve().parents[2] / "clusters/workloads/shop/schema.sql").read_text(encoding="utf-8")


DATABASE = Postgres(
    name="main",
    database="gateway",
    owner=Role("gateway", "gateway-secret"),
    hosts=("gateway-db.internal",),
    schema=_SCHEMA,
)
CLUSTER = Cluster(
    stack="gateway",
    namespace="aion",
    variables=(
        ("DATABASE_URL", "postgresql://gateway:gateway-secret@gateway-db.internal:5432/gateway"),
        ("PAYMENT_LATENCY_S", "0"),
        ("POOL_SIZE", "5"),
    ),
    exposed=(Exposed("gateway", 8080),),
)


def clustered(**variables: str) -> Topology:
    """The gateway with these variables of its manifests changed."""
    return Topology("gateway", databases=(DATABASE,), cluster=CLUSTER.with_variables(**variables))


SYSTEM = clustered()

# The text's thresholds: a p95 latency of 3 s, at most 1% of errors.
BROWSE = HttpProbe(
    indicator="browse",
    service="gateway",
    path="/products?category=7&limit=5",
    contains='"products"',
    timeout=milliseconds(1000),
)
OBJECTIVES = (Objective("browse", ratio=0.95, within=milliseconds(1000)),)
TRAFFIC = LoadProfile(
    service="gateway",
    tasks=(Task("/products?category={n}&limit=10"),),
    users=4,
    pace=milliseconds(250),
    timeout=seconds(5),
)
