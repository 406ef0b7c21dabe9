"""A report job leaks connections until the server refuses everyone. The runbook is followed at once, as an incident would."""

from harness.faults import ExhaustConnections
from harness.model.objectives import Recovery
from harness.model.units import minutes, seconds
from harness.model.verdict import Word
from harness.scenario import Deviation, Known, Operator, Scenario

from .system import OBJECTIVES, PROBES, SHOPPING, SYSTEM

RESTART = Deviation(
    match="kubectl rollout restart deployment/backend",
    instead="service backend restart",
    why="the service runs as processes here, not in a cluster: all of them are restarted",
)

JUST_LEAKED = Scenario(
    title="Connections leaked a moment ago",
    runbook="runbook.md",
    procedure="database connection pool exhausted",
    follow=("diagnosis", "resolution > immediate"),
    deviations=(RESTART,),
    operator=Operator(database="main", role="postgres"),
    topology=SYSTEM,
    fault=ExhaustConnections(database="main", state="idle", application_name="report-job", role="store_app"),
    probes=PROBES,
    objectives=OBJECTIVES,
    load=SHOPPING,
    recovery=Recovery(rto=minutes(15), horizon=seconds(22)),
    expect=Known(
        word=Word.INEFFECTIVE,
        because="the text ends only sessions idle for over 10 minutes, so right after a leak it ends none",
    ),
)
