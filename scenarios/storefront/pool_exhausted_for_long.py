"""The same leak, when its sessions have been idle for over the runbook's 10 minutes."""

from dataclasses import replace

from harness.faults import ExhaustConnections
from harness.model.units import minutes

from .pool_exhausted import JUST_LEAKED as _JUST_LEAKED

LEAKED_FOR_LONG = replace(
    _JUST_LEAKED,
    title="Connections leaked 11 minutes ago",
    fault=ExhaustConnections(
        database="main", state="idle", application_name="report-job", role="store_app", age=minutes(11)
    ),
    expect=None,
)
