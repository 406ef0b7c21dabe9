"""All pods are killed while many order at once: those that come instead have the whole load from their first moment."""

from dataclasses import replace

from harness.faults.kubernetes import KillPod
from harness.model.units import milliseconds, seconds

from . import pods_down
from .system import ORDER, ORDERS, market, objectives

# An order holds its connection for 0.1 s: two pods with a pool of two have room for 40 orders a second, one of them for 20.
# Twelve customers order 24 times a second, so that service is not whole before the second pod is back.
KILLED = replace(
    pods_down.KILLED,
    title="All pods are killed while customers order",
    topology=market(PAYMENT_LATENCY_S="0.1", POOL_SIZE="2"),
    fault=KillPod(workload="deployment/aislemarts-backend", which="all"),
    probes=(ORDER,),
    objectives=objectives(ORDER),
    load=replace(ORDERS, users=12, pace=milliseconds(500), timeout=seconds(5)),
    period=milliseconds(100),
)
