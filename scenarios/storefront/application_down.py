"""The service does not answer: its containers crash again and again, or are killed for want of memory."""

from harness.faults.kubernetes import CrashLoop, KillPod, MemoryHog
from harness.model.objectives import Recovery
from harness.model.units import minutes, seconds
from harness.model.verdict import Word
from harness.scenario import Known, Scenario

from .cluster import clustered
from .system import OBJECTIVES, PROBES, SHOPPING

# A crash leaves the pid file behind, on a volume that lasts as long as the pod: whoever starts after it believes that a server
# is running already. A fresh pod has a fresh volume.
CRASHED = Scenario(
    title="The containers crash and cannot start again",
    runbook="runbook.md",
    procedure="application down",
    follow=("resolution > if containers crashed > kubernetes",),
    topology=clustered(PIDFILE="/var/run/shop/shop.pid"),
    fault=CrashLoop(workload="deployment/backend"),
    probes=PROBES,
    objectives=OBJECTIVES,
    load=SHOPPING,
    recovery=Recovery(rto=minutes(15), horizon=seconds(40)),
)

KILLED = Scenario(
    title="All pods are killed, and nothing else is wrong",
    runbook="runbook.md",
    procedure="application down",
    follow=("resolution > if containers crashed > kubernetes",),
    topology=clustered(),
    fault=KillPod(workload="deployment/backend", which="all"),
    probes=PROBES,
    objectives=OBJECTIVES,
    load=SHOPPING,
    recovery=Recovery(rto=minutes(15), horizon=seconds(40)),
    expect=Known(
        word=Word.UNNECESSARY,
        because="the Deployment replaces pods by itself, sooner than a person has read the first line",
    ),
)

OUT_OF_MEMORY = Scenario(
    title="Every pod needs more memory than its limit",
    runbook="runbook.md",
    procedure="application down",
    follow=("resolution > if out of memory",),
    topology=clustered(),
    fault=MemoryHog(workload="deployment/backend", memory_mb=300),
    probes=PROBES,
    objectives=OBJECTIVES,
    load=SHOPPING,
    recovery=Recovery(rto=minutes(15), horizon=seconds(40)),
)
