"""A bad release of the gateway; the procedure's one command is refused by kubectl."""

from harness.faults.kubernetes import BadRelease
from harness.model.objectives import Recovery
from harness.model.units import minutes, seconds
from harness.model.verdict import Word
from harness.scenario import Known, Scenario

from .system import BROWSE, OBJECTIVES, SYSTEM, TRAFFIC

BAD_GATEWAY = Scenario(
    title="A release of the gateway that answers with errors",
    runbook="runbook.md",
    procedure="manual rollback",
    topology=SYSTEM,
    fault=BadRelease(workload="deployment/gateway", image="shop:2.0-errors"),
    probes=(BROWSE,),
    objectives=OBJECTIVES,
    load=TRAFFIC,
    recovery=Recovery(rto=minutes(15), horizon=seconds(40)),
    expect=Known(
        word=Word.BROKEN,
        because="`rollout undo deploy/gateway control console` mixes two ways of naming things, which kubectl refuses",
    ),
)
