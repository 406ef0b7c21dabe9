"""Everything was stopped, as for maintenance; the procedure starts it again."""

from harness.faults.kubernetes import ScaleToZero
from harness.model.objectives import Recovery
from harness.model.units import minutes, seconds
from harness.scenario import Deviation, Scenario

from .system import BROWSE, OBJECTIVES, SYSTEM, TRAFFIC

STOPPED = Scenario(
    title="The gateway was stopped",
    runbook="runbook.md",
    procedure="start/stop",
    bindings={"<profile>": "2"},
    deviations=(
        Deviation(
            match="kubectl -n data scale statefulset redis-postgresql kafka minio --replicas=0",
            why="only if it has to be: it does not",
        ),
        Deviation(match="curl https://<fqdn>/healthz", why="no certificate here; the probes ask the service itself"),
    ),
    topology=SYSTEM,
    fault=ScaleToZero(workload="deployment/gateway"),
    probes=(BROWSE,),
    objectives=OBJECTIVES,
    load=TRAFFIC,
    recovery=Recovery(rto=minutes(15), horizon=seconds(40)),
)
