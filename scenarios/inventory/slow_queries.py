"""The index behind the order history is gone; the runbook finds and builds it."""

from harness.faults import DropIndex
from harness.model.load import LoadProfile, Task
from harness.model.objectives import Recovery
from harness.model.units import milliseconds, minutes, seconds
from harness.scenario import Deviation, Operator, Scenario

from .system import HISTORY, SYSTEM, objectives

INDEX_MISSING = Scenario(
    title="The order history's index is missing",
    runbook="runbook.md",
    procedure="slow queries",
    deviations=(
        Deviation(
            match="EXPLAIN ANALYZE SELECT ...",
            instead="EXPLAIN ANALYZE SELECT * FROM orders WHERE user_id = 7 ORDER BY created_at DESC LIMIT 20;",
            why="the text leaves the query open: the slow log names this one",
        ),
        Deviation(
            match="CREATE INDEX idx_name ON table(column)",
            instead="CREATE INDEX idx_orders_user_created ON orders(user_id, created_at);",
            why="the text is a pattern: the plan shows a sequential scan of orders by user_id",
        ),
        Deviation(
            match="docker restart <db-container-id>", why="the index works without it; a restart would be an outage"
        ),
    ),
    operator=Operator(database="main", role="user"),
    topology=SYSTEM,
    fault=DropIndex(database="main", index="idx_orders_user_created"),
    probes=(HISTORY,),
    objectives=objectives(HISTORY),
    load=LoadProfile(
        service="api", tasks=(Task("/orders?customer={n}"),), users=40, pace=milliseconds(100), timeout=seconds(5)
    ),
    recovery=Recovery(rto=minutes(30), horizon=seconds(20)),
)
