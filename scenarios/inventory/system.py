"""The inventory API as the runbook knows it: PostgreSQL at db.prod.internal, role `user`, and the service `api`."""

from pathlib import Path

from harness.model.load import HttpProbe, LedgerSpec, LoadProfile, Task
from harness.model.objectives import Objective
from harness.model.topology import Postgres, Role, Topology, Workload
from harness.model.units import milliseconds, seconds

SCHEMA = (Path(__file__).resolve().parents[2] / "clusters/workloads/shop/schema.sql").read_text(encoding="utf-8")

DATABASE = Postgres(
    name="main",
    database="inventory",
    owner=Role("user", "inventory-secret"),
    hosts=("db.prod.internal",),
    settings=(("max_connections", "100"),),
    schema=SCHEMA,
)

API = Workload(
    name="api",
    image="shop",
    port=8000,
    hosts=("api.example.com",),
    processes=2,
    env=(
        ("DATABASE_POOL_SIZE", "5"),
        ("DATABASE_POOL_TIMEOUT_S", "0.8"),
        ("DATABASE_URL", "postgresql://user:inventory-secret@db.prod.internal:5432/inventory"),
    ),
    env_file="/home/operator/.env",
    aliases=("inventory-api",),
)

SYSTEM = Topology("inventory", databases=(DATABASE,), workloads=(API,))

READ = HttpProbe(indicator="read", service="api", path="/products?category=7&limit=5", contains='"products"')
HISTORY = HttpProbe(indicator="history", service="api", path="/orders?customer=7", contains='"orders"')
# Customer 8 has a hundred orders from the start, and nothing of the drill adds to them.
KEPT = HttpProbe(indicator="kept", service="api", path="/orders?customer=8", contains='"times": 100')
ORDER = HttpProbe(
    indicator="order",
    service="api",
    path="/orders",
    body='{"customer": 7, "product": {n}, "quantity": 1}',
    status=201,
    contains='"id"',
)


def objectives(*probes: HttpProbe) -> tuple[Objective, ...]:
    """95% of each within the table's second."""
    return tuple(Objective(probe.indicator, ratio=0.95, within=milliseconds(1000)) for probe in probes)


TRAFFIC = LoadProfile(
    service="api",
    tasks=(Task("/products?category={n}&limit=10", weight=5), Task("/orders?customer={n}", weight=2)),
    users=6,
    pace=milliseconds(250),
    timeout=seconds(5),
)

LEDGER = LedgerSpec(database="main", role="user")
