"""No pod takes traffic any more: because none of them says it is ready, because they crash, or because they were killed."""

from dataclasses import replace

from harness.faults.kubernetes import CrashLoop, FailReadiness, KillPod
from harness.model.objectives import Recovery
from harness.model.units import minutes, seconds
from harness.model.verdict import Word
from harness.scenario import Known, Scenario

from .system import OBJECTIVES, PROBES, TRAFFIC, market

HUNG = Scenario(
    title="All pods fail their health check and live on",
    runbook="runbook.md",
    procedure="pods down",
    follow=("immediate actions",),
    topology=market(),
    fault=FailReadiness(workload="deployment/aislemarts-backend"),
    probes=PROBES,
    objectives=OBJECTIVES,
    load=TRAFFIC,
    recovery=Recovery(rto=minutes(30), horizon=seconds(40)),
)

CRASHING = replace(
    HUNG,
    title="All pods crash and cannot start again",
    topology=market(PIDFILE="/var/run/shop/shop.pid"),
    fault=CrashLoop(workload="deployment/aislemarts-backend"),
)

KILLED = replace(
    HUNG,
    title="All pods are killed, and nothing else is wrong",
    fault=KillPod(workload="deployment/aislemarts-backend", which="all"),
    expect=Known(
        word=Word.UNNECESSARY,
        because="the Deployment replaces pods by itself, sooner than a person has read the first line",
    ),
)
