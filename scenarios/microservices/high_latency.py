"""Answers take longer than a second: because there is more to do than two pods have connections for, or because the payment
provider takes its time."""

from harness.faults import LoadSpike
from harness.faults.kubernetes import BreakProvider
from harness.model.load import LoadProfile, Task
from harness.model.objectives import Recovery
from harness.model.units import milliseconds, minutes, seconds
from harness.model.verdict import Word
from harness.scenario import Known, Scenario

from .cluster import BROWSE, ORDER, TRAFFIC, clustered, objectives

# An order holds its connection for 0.15 s, so that two pods with one connection each have room for 13 orders a second, and five
# for 33. Twenty customers who order once a second want 20, and wait for one another; nobody is refused.
CROWDED = Scenario(
    title="More orders than two pods have connections for",
    runbook="runbook.md",
    procedure="high latency",
    bindings={"<service-name>": "checkout"},
    topology=clustered(KEEPALIVE="off", PAYMENT_LATENCY_S="0.15", POOL_SIZE="1", POOL_TIMEOUT_S="5"),
    fault=LoadSpike(factor=5),
    probes=(BROWSE,),
    objectives=objectives(BROWSE),
    load=LoadProfile(
        service="checkout",
        tasks=(Task("/orders", body='{"customer": 3, "product": {n}, "quantity": 1}'),),
        users=4,
        pace=seconds(1),
        timeout=seconds(10),
    ),
    recovery=Recovery(rto=minutes(15), horizon=seconds(40)),
    caveats=(
        "each request comes over a connection of its own, as from a proxy: who keeps one to a crowded pod gains nothing",
        "connections are what is short: where processors or the database are, more pods do not help, or harm",
    ),
    period=milliseconds(100),
)

PROVIDER_SLOW = Scenario(
    title="The payment provider takes two seconds to answer",
    runbook="runbook.md",
    procedure="high latency",
    bindings={"<service-name>": "checkout"},
    topology=clustered(
        PAYMENT_TIMEOUT_S="5", PROVIDERS="stripe=http://stripe:8080 paypal=http://paypal:8080", PROVIDER_PODS="1"
    ),
    fault=BreakProvider(workload="deployment/stripe", answer="slow", delay=seconds(2)),
    probes=(ORDER,),
    objectives=objectives(ORDER),
    load=TRAFFIC,
    recovery=Recovery(rto=minutes(15), horizon=seconds(30)),
    expect=Known(
        word=Word.INEFFECTIVE,
        because="each order waits for the provider, however many pods there are: the text scales what is not slow",
    ),
    period=milliseconds(200),
)
