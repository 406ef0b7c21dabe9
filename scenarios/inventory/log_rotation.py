"""A log that was not rotated has filled the database's volume; the runbook rotates it by hand."""

from harness.faults import FillDisk
from harness.model.units import seconds
from harness.scenario import Deviation, Operator, Scenario

from .disk_full import RECOVERY
from .system import LEDGER, ORDER, SYSTEM, TRAFFIC, objectives

LOG_FULL = Scenario(
    title="A log has filled the database's disk",
    runbook="containers.md",
    procedure="log rotation",
    deviations=(
        Deviation(
            match="logrotate -f /etc/logrotate.d/inventory",
            instead="docker-compose run --rm --no-deps -T --entrypoint truncate main -s 0 "
            "/var/lib/postgresql/data/log/inventory.log",
            why="the log lies in the container's volume, whose image has no logrotate: it is cut, as copytruncate does",
        ),
    ),
    operator=Operator(database="main", role="user"),
    topology=SYSTEM,
    fault=FillDisk(database="main", file="log/inventory.log"),
    probes=(ORDER,),
    objectives=objectives(ORDER),
    load=TRAFFIC,
    ledger=LEDGER,
    recovery=RECOVERY,
    step_timeout=seconds(40),
    detect_within=seconds(30),
)
