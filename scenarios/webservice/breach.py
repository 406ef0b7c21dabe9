"""Containment after a breach: the service is taken down. What that does to users is what is measured."""

from harness.faults.kubernetes import DeletePod
from harness.model.design import Arm
from harness.model.objectives import Recovery
from harness.model.units import minutes, seconds
from harness.model.verdict import Word
from harness.scenario import Known, Scenario

from .system import OBJECTIVES, PROBES, TRAFFIC, market

CONTAINED = Scenario(
    title="A suspected breach is contained",
    runbook="runbook.md",
    procedure="suspected breach",
    topology=market(),
    fault=DeletePod(workload="deployment/aislemarts-backend", which="all"),
    probes=PROBES,
    objectives=OBJECTIVES,
    load=TRAFFIC,
    recovery=Recovery(rto=minutes(30), horizon=seconds(40)),
    arms=(Arm(fault=True, procedure=False), Arm(fault=True, procedure=True), Arm(fault=False, procedure=True)),
    expect=Known(
        word=Word.HARMFUL,
        because="the text takes the service down on purpose: whoever follows it chooses safety over availability, and nothing in "
        "it says how and when service comes back",
    ),
    caveats=(
        "no intrusion is staged: that containment stops one is not tested here, only what it costs",
        "the pods are deleted as an intruder's restart of them would look to users",
    ),
)
