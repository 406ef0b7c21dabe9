"""A runbook as JSON with a schema version, for `rundrill show --json`. The schema is described in docs/reading.md."""

from typing import Literal

import msgspec

from harness.model.runbook import Runbook

VERSION = 1
"""Raised when a field changes its meaning or goes; added fields do not change it."""


class Document(msgspec.Struct, frozen=True):
    """The outermost object."""

    schema: Literal["rundrill/runbook"]
    version: int
    runbook: Runbook


def encode(runbook: Runbook) -> bytes:
    """The reading as JSON, indented, in UTF-8."""
    document = Document("rundrill/runbook", VERSION, runbook)
    return msgspec.json.format(msgspec.json.encode(document), indent=2)
