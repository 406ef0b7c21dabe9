"""CPU is used up in the pods, and requests wait for what is left of it; the runbook adds pods, or gives each more CPU."""

import os
from dataclasses import replace

from harness.faults.kubernetes import CpuHog
from harness.model.load import HttpProbe, LoadProfile, Task
from harness.model.objectives import Objective, Recovery
from harness.model.units import milliseconds, minutes, seconds
from harness.model.verdict import Word
from harness.scenario import Known, Scenario

from .cluster import clustered

# So many of them that a pod is left a tenth of a CPU at most, whatever the machine has: two pods burn, each for half of its CPUs.
_BURNERS = min(4 * (os.cpu_count() or 1), 32)

# A page of a hundred products takes a pod some milliseconds of CPU, and a hundred of them a second take more than it has left.
CATALOGUE = HttpProbe(indicator="catalogue", service="backend", path="/products?limit=100", contains='"products"')
BROWSING = LoadProfile(
    service="backend",
    tasks=(Task("/products?limit=100"),),
    users=100,
    pace=seconds(1),
    timeout=seconds(5),
    # Before the service is a balancer that spreads requests: pods that are added get their share of them at once.
    anew=True,
)

EVERY_POD = Scenario(
    title="Whatever pod there is burns CPU, and more are added",
    runbook="runbook.md",
    procedure="slow response times",
    follow=("resolution > for high cpu > horizontally",),
    topology=clustered(),
    fault=CpuHog(workload="deployment/backend", processes=_BURNERS),
    probes=(CATALOGUE,),
    objectives=(Objective("catalogue", ratio=0.95, within=milliseconds(1000)),),
    load=BROWSING,
    recovery=Recovery(rto=minutes(15), horizon=seconds(40)),
    expect=Known(
        word=Word.INEFFECTIVE,
        because="pods that are added burn CPU as those before them do, and bring none along: there is as little "
        "left for requests as before",
    ),
    caveats=("the nodes share one machine: where a cluster adds nodes with its pods, five pods may be enough",),
    # The instruments need CPU, too.
    period=milliseconds(200),
)

RUNAWAY = replace(
    EVERY_POD,
    title="The pods that run now burn CPU, and get more of it",
    follow=("resolution > for high cpu > or vertically",),
    fault=CpuHog(workload="deployment/backend", processes=_BURNERS, fresh=False),
    recovery=Recovery(rto=minutes(15), horizon=seconds(60)),
    expect=None,
    caveats=(
        "a new limit is a new template, so that all pods are replaced: that is what ends a runaway, whatever the limit is",
        "a local cluster does not keep CPU limits",
    ),
)
