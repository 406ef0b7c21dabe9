"""An export that nobody removed has filled the database's volume; the runbook removes it."""

from harness.faults import FillDisk
from harness.model.objectives import Recovery
from harness.model.units import minutes, seconds
from harness.scenario import Operator, Scenario

from .system import LEDGER, ORDER, SYSTEM, TRAFFIC, objectives

DISK_FULL = Scenario(
    title="The database's disk is full",
    runbook="containers.md",
    procedure="database disk full",
    operator=Operator(database="main", role="user"),
    topology=SYSTEM,
    fault=FillDisk(database="main", file="export.dump"),
    probes=(ORDER,),
    objectives=objectives(ORDER),
    load=TRAFFIC,
    ledger=LEDGER,
    recovery=Recovery(rto=minutes(30), rpo=minutes(1), horizon=seconds(60)),
    step_timeout=seconds(40),
    detect_within=seconds(30),
)
