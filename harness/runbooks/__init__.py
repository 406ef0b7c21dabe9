"""Runbook text to a `Runbook`, pure: no annotation needed, nothing executed. What it means for a drill is planning's."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import InputError, Problem
from harness.model.runbook import Runbook
from harness.model.source import Source
from harness.runbooks import alerts, markdown, outline, statements, targets, text
from harness.runbooks.schema import encode

__all__ = ["encode", "parse", "read"]


def read(path: Path) -> Runbook:
    """The runbook in the file at `path`. InputError where it is missing, unreadable, empty or no text."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(
            Problem("no such file; expected a Markdown runbook", Source(str(path), 1), "check the path")
        ) from error
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise InputError(
            Problem(f"cannot be read: {reason}; expected a Markdown runbook", Source(str(path), 1))
        ) from error
    return parse(data, str(path))


def parse(data: bytes | str, path: str) -> Runbook:
    """The runbook `data`, which came from `path`. InputError, with a line, for what is empty or no text."""
    loaded = text.load(data, path)
    with _no_collection():
        return _reading(loaded)


@contextmanager
def _no_collection() -> Iterator[None]:
    """A document becomes many small values at once and drops no cycles: to look for some takes a third of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _reading(loaded: text.Text) -> Runbook:
    path = loaded.path
    blocks = markdown.blocks(loaded.lines)
    found = outline.Outliner(path, blocks).outline()
    said = tuple(statements.flatten(blocks))
    return Runbook(
        title=found.title,
        procedures=found.procedures,
        source=Source(path, 1, len(loaded.lines)),
        digest=loaded.digest,
        targets=targets.find(said, path),
        alerts=alerts.rules(said, path),
        response_times=alerts.response_times(said, path),
        unclassified=found.unclassified,
        repaired=loaded.repaired,
        advice=found.advice,
    )
