"""Errors: from a bad release, which the rollback script takes back, or because two pods are too few."""

from harness.faults import LoadSpike
from harness.faults.kubernetes import BadRelease
from harness.model.load import LoadProfile, Task
from harness.model.objectives import Recovery
from harness.model.units import milliseconds, minutes, seconds
from harness.scenario import Deviation, Scenario

from .system import OBJECTIVES, OPERATOR, ORDER, PROBES, TRAFFIC, market, objectives

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

# A provider is asked inside the order's transaction, so that an order holds its connection for a while: two pods with a pool of
# two have room for so many orders a second, and ten have for five times as many.
EXHAUSTED = Scenario(
    title="More orders than two pods have connections for",
    runbook="runbook.md",
    procedure="high error rate",
    follow=("mitigation > if resource exhaustion",),
    topology=market(PAYMENT_LATENCY_S="0.1", POOL_SIZE="2"),
    fault=LoadSpike(factor=10),
    probes=(ORDER,),
    objectives=objectives(ORDER),
    load=LoadProfile(
        service="market",
        tasks=(Task("/orders", body='{"customer": 3, "product": {n}, "quantity": 1}'),),
        users=4,
        pace=milliseconds(500),
        timeout=seconds(5),
    ),
    recovery=Recovery(rto=minutes(30), horizon=seconds(40)),
    period=milliseconds(200),
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
