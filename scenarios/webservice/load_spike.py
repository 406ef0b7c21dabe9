"""Ten times as many customers, and an autoscaler that sees them: what a scale by hand is worth beside it."""

from dataclasses import replace

from harness.faults import LoadSpike
from harness.model.objectives import Recovery
from harness.model.units import milliseconds, minutes, seconds
from harness.model.verdict import Word
from harness.scenario import Known, Scenario

from .system import ANEW, ORDER, ORDERS, market, objectives

# An order holds its connection for 0.1 s: two pods with a pool of two have room for 40 orders a second. Four customers want 8,
# forty want 80, for which four pods are needed. Orders wait more than they reckon: a crowded pod uses less than 60 % of the 0.1
# CPU that it asks for, and an autoscaler with that target stands by. This one's is 20 %, and a calm pod uses less.
AUTOSCALED = Scenario(
    title="Ten times as many customers, and an autoscaler",
    runbook="runbook.md",
    procedure="high error rate",
    follow=("mitigation > if resource exhaustion",),
    topology=market(HPA_CPU="20", KEEPALIVE="off", PAYMENT_LATENCY_S="0.1", POOL_SIZE="2"),
    fault=LoadSpike(factor=10),
    probes=(ORDER,),
    objectives=objectives(ORDER),
    load=replace(ORDERS, users=4, pace=milliseconds(500), timeout=seconds(5)),
    # kind's metrics server measures usage every 15 s and the autoscaler looks as often: about a minute there.
    recovery=Recovery(rto=minutes(30), horizon=seconds(120)),
    expect=Known(
        word=Word.UNNECESSARY,
        because="the autoscaler adds pods by itself, about as soon as somebody who scales by hand",
    ),
    caveats=(
        ANEW,
        "it needs metrics of pods: on kind a metrics server (setting metrics_server)",
    ),
    period=milliseconds(200),
)
