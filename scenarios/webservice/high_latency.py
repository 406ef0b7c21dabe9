"""Answers take longer than a second, because there is more to do than two pods have connections for."""

from harness.faults import LoadSpike
from harness.model.load import LoadProfile, Task
from harness.model.objectives import Recovery
from harness.model.units import milliseconds, minutes, seconds
from harness.scenario import Scenario

from .system import ANEW, BROWSE, market, objectives

# An order holds its connection for 0.2 s, so that two pods with one connection each have room for 10 orders a second, and ten for
# 50. Eighteen customers who order once a second want 18, and wait for one another; nobody is refused.
CROWDED = Scenario(
    title="More orders than two pods have connections for, and patience",
    runbook="runbook.md",
    procedure="high latency",
    topology=market(KEEPALIVE="off", PAYMENT_LATENCY_S="0.2", POOL_SIZE="1", POOL_TIMEOUT_S="5"),
    fault=LoadSpike(factor=6),
    probes=(BROWSE,),
    objectives=objectives(BROWSE),
    load=LoadProfile(
        service="market",
        tasks=(Task("/orders", body='{"customer": 3, "product": {n}, "quantity": 1}'),),
        users=3,
        pace=seconds(1),
        timeout=seconds(10),
    ),
    # As long as the autoscaler needs to look again: what is scaled by hand is not there to stay until it has.
    recovery=Recovery(rto=minutes(30), hold=seconds(20), horizon=seconds(60)),
    caveats=(ANEW,),
    period=milliseconds(100),
)
