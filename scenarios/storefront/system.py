"""The storefront as the runbook knows it: one PostgreSQL database and the service `backend` in front of it."""

from pathlib import Path

from harness.model.load import HttpProbe, LoadProfile, Task
from harness.model.objectives import Objective
from harness.model.topology import Postgres, Role, Topology, Workload
from harness.model.units import milliseconds, seconds

SCHEMA = (Path(__file__).resolve().parents[2] / "clusters/workloads/shop/schema.sql").read_text(encoding="utf-8")

DATABASE = Postgres(
    name="main",
    database="storefront",
    owner=Role("store_app", "store-secret"),
    hosts=("storefront-db.internal",),
    settings=(("max_connections", "40"), ("superuser_reserved_connections", "3")),
    schema=SCHEMA,
)

# Pooled connections live for a second, so that the pool must connect anew all the time, as behind a recycling proxy.
BACKEND = Workload(
    name="backend",
    image="shop",
    port=8000,
    hosts=("api.storefront.internal",),
    processes=2,
    env=(
        ("DATABASE_POOL_MAX_LIFETIME_S", "1"),
        ("DATABASE_POOL_SIZE", "5"),
        ("DATABASE_POOL_TIMEOUT_S", "0.8"),
        ("DATABASE_URL", "postgresql://store_app:store-secret@storefront-db.internal:5432/storefront"),
    ),
)

SYSTEM = Topology("storefront", databases=(DATABASE,), workloads=(BACKEND,))

BROWSE = HttpProbe(
    indicator="browse",
    service="backend",
    path="/products?category=7&limit=5",
    contains='"products"',
    timeout=milliseconds(1000),
)
ORDER = HttpProbe(
    indicator="order",
    service="backend",
    path="/orders",
    body='{"customer": 7, "product": 11, "quantity": 1}',
    status=201,
    contains='"id"',
    timeout=milliseconds(1000),
)
PROBES = (BROWSE, ORDER)
OBJECTIVES = (
    Objective("browse", ratio=0.95, within=milliseconds(1000)),
    Objective("order", ratio=0.95, within=milliseconds(1000)),
)

SHOPPING = LoadProfile(
    service="backend",
    tasks=(
        Task("/products?category={n}&limit=10", weight=6),
        Task("/orders?customer={n}", weight=2),
        Task("/orders", body='{"customer": 3, "product": 5, "quantity": 1}', weight=1),
    ),
    users=6,
    pace=milliseconds(250),
    timeout=seconds(5),
)
