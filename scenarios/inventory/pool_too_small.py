"""More users than the pool has connections for; the runbook gives it more room and restarts the service."""

from harness.faults import LoadSpike
from harness.model.load import LoadProfile, Task
from harness.model.objectives import Recovery
from harness.model.units import milliseconds, minutes, seconds
from harness.scenario import Deviation, Operator, Scenario

from .system import API, ORDER, SYSTEM, objectives

# A provider is asked inside the order's transaction, so that an order holds its connection for a while, as they do.
SPIKE = Scenario(
    title="A small pool under a spike",
    runbook="runbook.md",
    procedure="database connection issues",
    deviations=(
        Deviation(
            match=("Give the pool more room, in .env", "Increase pool size in .env"),
            instead="sed -i 's/^DATABASE_POOL_SIZE=.*/DATABASE_POOL_SIZE=20/' .env",
            why="the text says what the file is to hold: a person edits it, and this stands in for the editor",
        ),
        Deviation(
            match="docker restart <container-id>",
            instead="service api restart",
            why="the service runs as processes here, not in a container: all of them are restarted",
        ),
    ),
    operator=Operator(database="main", role="user"),
    topology=SYSTEM.with_workload(API.with_env(DATABASE_POOL_SIZE="3", PAYMENT_LATENCY_S="0.1")),
    fault=LoadSpike(factor=12),
    probes=(ORDER,),
    objectives=objectives(ORDER),
    load=LoadProfile(
        service="api",
        tasks=(Task("/orders", body='{"customer": 3, "product": {n}, "quantity": 1}'),),
        users=3,
        pace=milliseconds(500),
        timeout=seconds(5),
    ),
    recovery=Recovery(rto=minutes(15), horizon=seconds(20)),
)
