"""Answers take longer than a second, because there is more to do than two pods have connections for."""

from dataclasses import replace

from harness.faults import LoadSpike
from harness.model.objectives import Recovery
from harness.model.units import milliseconds, minutes, seconds
from harness.model.verdict import Word
from harness.scenario import Known, Scenario

from .system import ANEW, BROWSE, ORDERS, YOUNG, market, objectives

_NARROW = {"KEEPALIVE": "off", "PAYMENT_LATENCY_S": "0.2", "POOL_SIZE": "1", "POOL_TIMEOUT_S": "5"}

# An order holds its connection for 0.2 s, so that two pods with one connection each have room for 10 orders a second, and ten for
# 50. Eighteen customers who order once a second want 18, and wait for one another; nobody is refused.
CROWDED = Scenario(
    title="More orders than two pods have connections for, and patience",
    runbook="runbook.md",
    procedure="high latency",
    topology=market(**_NARROW),
    fault=LoadSpike(factor=6),
    probes=(BROWSE,),
    objectives=objectives(BROWSE),
    load=ORDERS,
    recovery=Recovery(rto=minutes(30), horizon=seconds(30)),
    caveats=(ANEW, YOUNG),
    period=milliseconds(100),
)

# An autoscaler that has recommended two pods for longer than its window does not hesitate to go back to two: so does one without
# a window, from its first look on.
TAKEN_BACK = replace(
    CROWDED,
    title="More orders than two pods have connections for, where an autoscaler has watched for long",
    topology=market(STABILIZATION_S="0", **_NARROW),
    # As long as the autoscaler needs to look again, every 15 s, with figures of the new pods, of which a metrics server may know
    # half a minute after they have started.
    recovery=Recovery(rto=minutes(30), hold=seconds(60), horizon=seconds(100)),
    expect=Known(
        word=Word.INEFFECTIVE,
        because="the Deployment is the autoscaler's: it goes by processors, which are not what is short, and takes back what was "
        "scaled by hand at its next look; the text would have to raise its minimum",
    ),
    caveats=(
        ANEW,
        "the autoscaler has no stabilization window here, which stands for one whose window (5 minutes) has passed",
    ),
)
