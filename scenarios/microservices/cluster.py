"""Checkout and its neighbours in their cluster: the stack `microservices`, its database outside."""

from pathlib import Path

from harness.model.load import HttpProbe, LoadProfile, Task
from harness.model.objectives import Objective
from harness.model.topology import Cluster, Exposed, Postgres, Role, Topology
from harness.model.units import milliseconds, seconds

_SCHEMA = (Path(__file__).resolve().parents[2] / "clusters/workloads/shop/schema.sql").read_text(encoding="utf-8")

DATABASE = Postgres(
    name="main",
    database="checkout",
    owner=Role("checkout", "checkout-secret"),
    hosts=("postgresql.internal",),
    settings=(("max_connections", "40"), ("superuser_reserved_connections", "3")),
    schema=_SCHEMA,
)

CLUSTER = Cluster(
    stack="microservices",
    namespace="microservices",
    variables=(
        ("COUPONS", "WELCOME90=90:first"),
        ("DATABASE_URL", "postgresql://checkout:checkout-secret@postgresql.internal:5432/checkout"),
        ("KEEPALIVE", "on"),
        ("PAYMENT_LATENCY_S", "0"),
        ("PAYMENT_TIMEOUT_S", "0.5"),
        ("POOL_SIZE", "5"),
        ("POOL_TIMEOUT_S", "0.8"),
        ("PROMOTIONS", "0"),
        ("PROVIDERS", ""),
        ("PROVIDER_PODS", "0"),
    ),
    exposed=(Exposed("checkout", 8080),),
)


def clustered(**variables: str) -> Topology:
    """Checkout with these variables of its manifests changed."""
    return Topology("microservices", databases=(DATABASE,), cluster=CLUSTER.with_variables(**variables))


BROWSE = HttpProbe(indicator="browse", service="checkout", path="/products?category=7&limit=5", contains='"products"')
ORDER = HttpProbe(
    indicator="order",
    service="checkout",
    path="/orders",
    body='{"customer": 7, "product": {n}, "quantity": 1}',
    status=201,
    contains='"id"',
)


def objectives(*probes: HttpProbe) -> tuple[Objective, ...]:
    """95% of each within the P1 threshold's second."""
    return tuple(Objective(probe.indicator, ratio=0.95, within=milliseconds(1000)) for probe in probes)


TRAFFIC = LoadProfile(
    service="checkout",
    tasks=(Task("/products?category={n}&limit=10"),),
    users=4,
    pace=milliseconds(250),
    timeout=seconds(5),
)
