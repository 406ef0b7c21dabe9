"""Ten times as many customers, and an autoscaler that sees them: what a scale by hand is worth beside it."""

from harness.faults import LoadSpike
from harness.model.load import LoadProfile, Task
from harness.model.objectives import Recovery
from harness.model.units import milliseconds, minutes, seconds
from harness.model.verdict import Word
from harness.scenario import Known, Scenario

from .system import ANEW, ORDER, market, objectives

# An order holds its connection for 0.1 s: two pods with a pool of two have room for 40 orders a second. Four customers want 8,
# forty want 80, for which four pods are needed. The autoscaler wants each pod to use 60 % of the 0.1 CPU that it asks for.
AUTOSCALED = Scenario(
    title="Ten times as many customers, and an autoscaler",
    runbook="runbook.md",
    procedure="high error rate",
    follow=("mitigation > if resource exhaustion",),
    topology=market(HPA_CPU="60", KEEPALIVE="off", PAYMENT_LATENCY_S="0.1", POOL_SIZE="2"),
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
    # Usage is measured every 15 s, and looked at as often: the autoscaler needs about a minute.
    recovery=Recovery(rto=minutes(30), horizon=seconds(120)),
    expect=Known(
        word=Word.UNNECESSARY,
        because="the autoscaler adds pods by itself within the RTO; whoever scales by hand is served most of a minute sooner",
    ),
    caveats=(
        ANEW,
        "it needs metrics of pods: on kind a metrics server (setting metrics_server)",
    ),
    period=milliseconds(200),
)
