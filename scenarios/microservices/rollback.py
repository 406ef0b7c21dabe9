"""A release of checkout answers with errors; the runbook returns to the revision before."""

from harness.faults.kubernetes import BadRelease
from harness.model.objectives import Recovery
from harness.model.units import minutes, seconds
from harness.scenario import Scenario

from .cluster import BROWSE, ORDER, TRAFFIC, clustered, objectives

BAD_CHECKOUT = Scenario(
    title="A release of checkout that answers with errors",
    runbook="runbook.md",
    procedure="deployment rollback",
    bindings={"<service-name>": "checkout"},
    topology=clustered(),
    fault=BadRelease(workload="deployment/checkout", image="shop:2.0-errors"),
    probes=(BROWSE, ORDER),
    objectives=objectives(BROWSE, ORDER),
    load=TRAFFIC,
    recovery=Recovery(rto=minutes(15), horizon=seconds(40)),
)
