"""A service beside checkout leaks connections; the runbook finds whose they are and has its pods start afresh."""

from harness.faults.kubernetes import LeakConnections
from harness.model.objectives import Recovery
from harness.model.units import minutes, seconds
from harness.scenario import Operator, Scenario

from .cluster import BROWSE, TRAFFIC, clustered, objectives

PROMOTION_LEAKS = Scenario(
    title="The promotion service has leaked connections a moment ago",
    runbook="runbook.md",
    procedure="database connection saturation",
    bindings={"<culprit>": "promotion"},
    operator=Operator(database="main", role="postgres"),
    topology=clustered(PROMOTIONS="1"),
    fault=LeakConnections(workload="deployment/promotion", count=60),
    probes=(BROWSE,),
    objectives=objectives(BROWSE),
    load=TRAFFIC,
    recovery=Recovery(rto=minutes(15), horizon=seconds(40)),
)
