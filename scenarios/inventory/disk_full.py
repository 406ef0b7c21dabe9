"""An export that nobody removed has filled the database's volume; the runbook removes it."""

from harness.faults import FillDisk
from harness.model.objectives import Recovery
from harness.model.units import minutes, seconds
from harness.scenario import Operator, Scenario

from .system import LEDGER, ORDER, SYSTEM, TRAFFIC, objectives

# A full disk comes and goes: autovacuum makes room inside the tables for some 20 s of orders. Who is back has to stay for longer.
RECOVERY = Recovery(rto=minutes(30), rpo=minutes(1), horizon=seconds(75), hold=seconds(30))

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
    recovery=RECOVERY,
    step_timeout=seconds(40),
    detect_within=seconds(30),
)
