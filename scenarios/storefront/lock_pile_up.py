"""A statement holds a lock that everybody needs, and has done so for over five minutes."""

from harness.faults import HoldLock
from harness.model.objectives import Recovery
from harness.model.units import minutes, seconds
from harness.scenario import Operator, Scenario

from .system import OBJECTIVES, PROBES, SHOPPING, SYSTEM

LOCKED = Scenario(
    title="A long statement locks the products table",
    runbook="runbook.md",
    procedure="high error rate",
    follow=("resolution > if database issues",),
    operator=Operator(database="main", role="postgres"),
    topology=SYSTEM,
    fault=HoldLock(database="main", table="products", role="store_app", age=minutes(6)),
    probes=PROBES,
    objectives=OBJECTIVES,
    load=SHOPPING,
    recovery=Recovery(rto=minutes(15), horizon=seconds(22)),
)
