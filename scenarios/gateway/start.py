"""Everything was stopped, as for maintenance; the procedure starts it again."""

from harness.faults.kubernetes import ScaleToZero
from harness.model.objectives import Recovery
from harness.model.units import minutes, seconds
from harness.scenario import Scenario

from .system import BROWSE, OBJECTIVES, SYSTEM, TRAFFIC

STOPPED = Scenario(
    title="The gateway was stopped",
    runbook="runbook.md",
    procedure="start and stop",
    bindings={"<profile>": "2"},
    topology=SYSTEM,
    fault=ScaleToZero(workload="deployment/gateway"),
    probes=(BROWSE,),
    objectives=OBJECTIVES,
    load=TRAFFIC,
    recovery=Recovery(rto=minutes(15), horizon=seconds(40)),
)
