"""Tables are dropped while writes go on; the runbook's backup, taken shortly before, is restored."""

from dataclasses import replace

from harness.faults import LoseData
from harness.model.backup import BackupSchedule
from harness.model.objectives import Recovery
from harness.model.units import minutes, seconds
from harness.model.verdict import Word
from harness.scenario import Known, Scenario

from .system import KEPT, LEDGER, ORDER, SYSTEM, TRAFFIC, objectives

DROPPED = Scenario(
    title="Somebody drops the orders",
    runbook="runbook.md",
    procedure="database maintenance",
    prepare=("backup",),
    follow=("restore",),
    topology=SYSTEM,
    fault=LoseData(database="main", tables=("orders", LEDGER.table), how="drop"),
    probes=(KEPT, ORDER),
    objectives=objectives(KEPT, ORDER),
    load=TRAFFIC,
    ledger=LEDGER,
    recovery=Recovery(rto=minutes(30), rpo=minutes(1), horizon=seconds(20)),
    backup=BackupSchedule(drilled=seconds(8)),
    caveats=(
        "the runbook states no backup interval; in the drill the next backup would have begun 8 s after the last",
    ),
)

DELETED = replace(
    DROPPED,
    title="Somebody deletes half of the orders",
    fault=LoseData(database="main", tables=("orders", LEDGER.table), how="delete"),
    expect=Known(
        word=Word.HARMFUL,
        because="the dump is played onto tables that still hold rows: what has a key is refused whole, what has none is doubled",
    ),
)
