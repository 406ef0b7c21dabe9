"""Twelve times as many users as two pods have connections for: orders wait for one until they time out."""

from dataclasses import replace

from harness.faults import LoadSpike
from harness.model.load import HttpProbe, LoadProfile, Task
from harness.model.objectives import Objective, Recovery
from harness.model.units import milliseconds, minutes, seconds
from harness.model.verdict import Word
from harness.scenario import Deviation, Known, Scenario

from .system import clustered

ORDER = HttpProbe(
    indicator="order",
    service="gateway",
    path="/orders",
    body='{"customer": 7, "product": {n}, "quantity": 1}',
    status=201,
    contains='"id"',
)

# A provider is asked inside the order's transaction, so that an order holds its connection for a while: two pods with a pool of
# two have room for some twenty orders a second, and ten have for five times as many.
_ORDERS = LoadProfile(
    service="gateway",
    tasks=(Task("/orders", body='{"customer": 3, "product": {n}, "quantity": 1}'),),
    users=4,
    pace=seconds(1),
    timeout=seconds(5),
)

AS_WRITTEN = Scenario(
    title="More orders than two pods have connections for, by the text as it is written",
    runbook="runbook.md",
    procedure="severe performance degradation",
    follow=("immediate actions", "mitigation"),
    topology=clustered(PAYMENT_LATENCY_S="0.15", POOL_SIZE="2"),
    fault=LoadSpike(factor=12),
    probes=(ORDER,),
    objectives=(Objective("order", ratio=0.95, within=milliseconds(1000)),),
    load=_ORDERS,
    recovery=Recovery(rto=minutes(15), horizon=seconds(40)),
    expect=Known(
        word=Word.BROKEN,
        because="`kubectl top pods/nodes` is no command of kubectl's: the text means two. For all else it has no command",
    ),
    period=milliseconds(200),
    step_timeout=seconds(30),
)

_CAVEATS = (
    "what is short is the pods' connections to the database, not CPU: local clusters do not keep CPU limits",
    "nothing is rate-limited: the system has no limit to raise",
)
_TOP = Deviation(
    match="kubectl top pods/nodes",
    instead="kubectl -n aion top pods\nkubectl top nodes",
    why="kubectl knows no such command: the text means two",
)
_MORE_PODS = Deviation(
    match=("Scale gateway/control pods", "more pods of gateway and control"),
    instead="kubectl -n aion scale deploy gateway --replicas=10\nkubectl -n aion rollout status deploy/gateway",
    why="the text says what to scale, not how, or to how many; what is short here are the gateway's pods",
)

SCALED_OUT = replace(
    AS_WRITTEN,
    title="More orders than two pods have connections for, and more pods",
    deviations=(_TOP, _MORE_PODS),
    expect=Known(
        word=Word.INEFFECTIVE,
        because="users keep their connections to the gateway open, and those stay with the two pods that they were made to: the "
        "pods that are added get new ones only, and the text has nobody connect anew",
    ),
    caveats=_CAVEATS,
)

SPREAD_OUT = replace(
    SCALED_OUT,
    title="More orders than two pods have connections for, more pods, and a balancer that spreads requests",
    load=replace(_ORDERS, anew=True),
    expect=None,
)
