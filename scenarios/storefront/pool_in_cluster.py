"""The pool is exhausted, and the runbook is followed whole: SQL ends old sessions, `rollout restart` has pods build new pools."""

from dataclasses import replace

from harness.faults import ExhaustConnections
from harness.model.objectives import Recovery
from harness.model.units import minutes, seconds
from harness.model.verdict import Word
from harness.scenario import Known, Operator, Scenario

from .cluster import clustered
from .system import OBJECTIVES, PROBES, SHOPPING

JUST_LEAKED = Scenario(
    title="Connections leaked a moment ago, in the cluster",
    runbook="runbook.md",
    procedure="database connection pool exhausted",
    follow=("diagnosis", "resolution > immediate"),
    operator=Operator(database="main", role="postgres"),
    topology=clustered(),
    fault=ExhaustConnections(database="main", state="idle", application_name="report-job", role="store_app"),
    probes=PROBES,
    objectives=OBJECTIVES,
    load=SHOPPING,
    recovery=Recovery(rto=minutes(15), horizon=seconds(40)),
    expect=Known(
        word=Word.INEFFECTIVE,
        because="the text ends only sessions idle for over 10 minutes; pods that restart find no connection free, either",
    ),
)

LEAKED_FOR_LONG = replace(
    JUST_LEAKED,
    title="Connections leaked 11 minutes ago, in the cluster",
    fault=ExhaustConnections(
        database="main", state="idle", application_name="report-job", role="store_app", age=minutes(11)
    ),
    expect=None,
)
