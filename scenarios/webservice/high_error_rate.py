"""Errors: from a bad release, which the rollback script takes back, or because two pods are too few."""

from harness.faults import LoadSpike
from harness.faults.kubernetes import BadRelease
from harness.model.objectives import Recovery
from harness.model.units import milliseconds, minutes, seconds
from harness.scenario import Deviation, Scenario

from .system import ANEW, BROWSE, OBJECTIVES, OPERATOR, ORDERS, PROBES, TRAFFIC, YOUNG, market, objectives

RELEASED = Scenario(
    title="A release that answers with errors",
    runbook="runbook.md",
    procedure="high error rate",
    follow=("diagnosis", "mitigation > if deployment-related"),
    deviations=(Deviation(match="top pods", why="metrics-server is not everywhere; nothing depends on what it says"),),
    operator=OPERATOR,
    topology=market(),
    fault=BadRelease(workload="deployment/aislemarts-backend", image="shop:2.0-errors"),
    probes=PROBES,
    objectives=OBJECTIVES,
    load=TRAFFIC,
    recovery=Recovery(rto=minutes(30), horizon=seconds(40)),
)

# An order holds its connection for a quarter of a second, so that two pods with two connections each have room for 16 orders a
# second, and ten for 80. Thirty customers who order once a second want 30; whoever has waited 0.8 s for a connection is refused.
EXHAUSTED = Scenario(
    title="More orders than two pods have connections for",
    runbook="runbook.md",
    procedure="high error rate",
    follow=("mitigation > if resource exhaustion",),
    topology=market(KEEPALIVE="off", PAYMENT_LATENCY_S="0.25", POOL_SIZE="2"),
    fault=LoadSpike(factor=10),
    probes=(BROWSE,),
    objectives=objectives(BROWSE),
    load=ORDERS,
    recovery=Recovery(rto=minutes(30), horizon=seconds(40)),
    caveats=(ANEW, YOUNG),
    period=milliseconds(100),
)

EMERGENCY = Scenario(
    title="A slow release is rolled back in an emergency",
    runbook="runbook.md",
    procedure="emergency rollback",
    deviations=(Deviation(match="rollback.sh prod 5", why="to the release before, or to a certain one: not both"),),
    operator=OPERATOR,
    topology=market(),
    fault=BadRelease(workload="deployment/aislemarts-backend", image="shop:2.0-slow"),
    probes=PROBES,
    objectives=OBJECTIVES,
    load=TRAFFIC,
    recovery=Recovery(rto=minutes(30), horizon=seconds(40)),
)
