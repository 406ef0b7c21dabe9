"""The index behind the order history is gone; under load everything waits for the database."""

from harness.faults import DropIndex
from harness.model.load import HttpProbe, LoadProfile, Task
from harness.model.objectives import Objective, Recovery
from harness.model.units import milliseconds, minutes, seconds
from harness.scenario import Operator, Scenario

from .system import SYSTEM

INDEX_MISSING = Scenario(
    title="The order history's index is missing",
    runbook="runbook.md",
    procedure="slow response times",
    follow=("resolution > for slow queries",),
    operator=Operator(database="main", role="store_app"),
    topology=SYSTEM,
    fault=DropIndex(database="main", index="idx_orders_user_created"),
    probes=(HttpProbe(indicator="history", service="backend", path="/orders?customer=7", contains='"orders"'),),
    objectives=(Objective("history", ratio=0.95, within=milliseconds(1000)),),
    # Without the index the probes alone are more than the database can answer; with it, this is a fraction of what it can.
    load=LoadProfile(
        service="backend", tasks=(Task("/orders?customer={n}"),), users=40, pace=seconds(1), timeout=seconds(5)
    ),
    recovery=Recovery(rto=minutes(15), horizon=seconds(20)),
)
