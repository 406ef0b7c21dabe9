"""Somebody empties the orders' table; the backup that a job of the CronJob made by hand shortly before is brought back."""

from dataclasses import replace

from harness.faults import LoseData
from harness.model.backup import BackupSchedule
from harness.model.load import HttpProbe, LedgerSpec
from harness.model.objectives import Recovery
from harness.model.units import hours, minutes, seconds
from harness.model.verdict import Word
from harness.scenario import Deviation, Known, Scenario

from .system import ORDER, TRAFFIC, market, objectives

LEDGER = LedgerSpec(database="main", role="market_app")
# Customer 8 has a hundred orders from the start, and nothing of the drill adds to them.
KEPT = HttpProbe(indicator="kept", service="market", path="/orders?customer=8", contains='"times": 100')
_JOB = "kubectl -n prod create job --from=cronjob/mongo-backup manual-backup-$(date +%s)"
_NEWEST = "cat $(ls /var/backups/backup-*.tar.gz | tail -1)"
_PLAYED_BACK = r"""for file in backup-*/*.csv; do
  table=$(basename "$file" .csv)
  psql -h market-db.internal -U market_app -v ON_ERROR_STOP=1 -c "CREATE TEMP TABLE old (LIKE $table)" \
    -c "\copy old FROM '$file' CSV" -c "INSERT INTO $table SELECT * FROM old ON CONFLICT DO NOTHING" market
done"""

EMPTIED = Scenario(
    title="The orders are emptied after a backup that was made by hand",
    runbook="runbook.md",
    procedure="backup & recovery",
    prepare=("manual backup",),
    follow=("disaster recovery",),
    deviations=(
        Deviation(
            match="create job --from=cronjob/mongo-backup",
            instead=f"{_JOB}\nkubectl -n prod wait --for=condition=complete job -l app=mongo-backup --timeout=60s",
            why="the text makes the job and does not look whether it ends: the drill has to know when there is a backup",
        ),
        Deviation(
            match="gsutil cp",
            instead=f"kubectl -n prod exec deploy/backups -- sh -c '{_NEWEST}' > backup.tar.gz",
            why="a volume stands in for the bucket, and the newest backup for that of a day in 2024",
        ),
        Deviation(match="tar -xzf", instead="tar -xzf backup.tar.gz", why="the archive's name is not that of 2024"),
        Deviation(
            match="mongorestore",
            instead=_PLAYED_BACK,
            why="PostgreSQL stands in for MongoDB; as with mongorestore, what is there stays, and what is missing is inserted",
        ),
    ),
    topology=market(BUCKETS="1"),
    fault=LoseData(database="main", tables=("orders", LEDGER.table), how="truncate"),
    probes=(KEPT, ORDER),
    objectives=objectives(KEPT, ORDER),
    load=TRAFFIC,
    ledger=LEDGER,
    recovery=Recovery(rto=minutes(30), rpo=hours(12), horizon=seconds(30)),
    backup=BackupSchedule(drilled=seconds(15)),
    caveats=(
        "what the text restores to is staging; the drill restores to the system itself, as somebody would after a try there",
        "the backup was made because somebody thought of it: see the other drill for what the schedule keeps",
    ),
    step_timeout=seconds(70),
)

SCHEDULED = replace(
    EMPTIED,
    title="The orders are emptied just before the next backup of the schedule would have been there",
    backup=BackupSchedule(drilled=seconds(15), interval=hours(12)),
    expect=Known(
        word=Word.INEFFECTIVE,
        because="a backup every 12 hours loses, at worst, 12 hours and the time that it takes, and the text allows 12 hours; its "
        "alert fires after 36",
    ),
    caveats=(
        "what the text restores to is staging; the drill restores to the system itself, as somebody would after a try there",
        "in the drill the next backup would have begun 15 s after the last: that 12 hours behave alike is arithmetic",
    ),
)
