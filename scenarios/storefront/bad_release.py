"""A release that answers every request with an error is rolled out; the runbook returns to the one before."""

from harness.faults.kubernetes import BadRelease
from harness.model.objectives import Recovery
from harness.model.units import minutes, seconds
from harness.scenario import Scenario

from .cluster import clustered
from .system import OBJECTIVES, PROBES, SHOPPING

RELEASED = Scenario(
    title="A release that answers with errors",
    runbook="runbook.md",
    procedure="high error rate",
    follow=("resolution > if recent deployment",),
    topology=clustered(),
    fault=BadRelease(workload="deployment/backend", image="shop:2.0-errors"),
    probes=PROBES,
    objectives=OBJECTIVES,
    load=SHOPPING,
    recovery=Recovery(rto=minutes(15), horizon=seconds(40)),
)
