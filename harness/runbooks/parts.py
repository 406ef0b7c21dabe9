"""Sections and branches while they are filled, and whether what came of them is a procedure. Reads no text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.model.runbook import Branch, BranchKind, Manual, Procedure, Section, SectionKind, Step
from harness.model.source import Source
from harness.runbooks import kinds
from harness.runbooks.steps import Found

WORKING = frozenset({SectionKind.DIAGNOSIS, SectionKind.RESOLUTION, SectionKind.VERIFICATION, SectionKind.ROLLBACK})
"""Sections that say what to do about a failure."""

_TELLING = frozenset({SectionKind.SYMPTOMS, SectionKind.ESCALATION, SectionKind.PREVENTION})
_CLICKED = re.compile(r"\s(?:→|->|>|»)\s")
_TOLD = 0.4


@dataclass(slots=True)
class Part:
    """A section or branch while it is filled."""

    title: str
    line: int
    kind: SectionKind | BranchKind
    items: "list[Found | Part]" = field(default_factory=list)

    def section(self, path: str) -> Section:
        """It as a section of the document at `path`."""
        items = tuple(self.frozen(path))
        last = max((item.source.last for item in items), default=self.line)
        kind = self.kind if isinstance(self.kind, SectionKind) else SectionKind.OTHER
        return Section(kind, self.title, items, Source(path, self.line, last))

    def frozen(self, path: str) -> Iterator[Found]:
        """What is in it; the parts in it as branches, those that hold nothing left out."""
        for item in self.items:
            if not isinstance(item, Part):
                yield item
                continue
            inner = tuple(item.frozen(path))
            if inner:
                kind = item.kind if isinstance(item.kind, BranchKind) else BranchKind.LABEL
                yield Branch(item.title, kind, inner, Source(path, item.line, inner[-1].source.last))


def steps_of(item: Found) -> Iterator[Step]:
    """A step, or those of a branch."""
    if isinstance(item, Step):
        yield item
    else:
        yield from item.steps()


def is_procedure(procedure: Procedure) -> bool:
    """Whether something is to be done: a command, steps of a titled section, or a numbered list of them.

    A list that names things (kinds of backup, dashboards, severities) tells nobody to do anything.
    """
    if any(True for _ in procedure.commands()):
        return True
    if any(
        section.title and section.kind in WORKING and any(map(_told, section.steps())) for section in procedure.sections
    ):
        return True
    numbered = [
        step
        for section in procedure.sections
        if section.kind not in _TELLING
        for step in section.steps()
        if step.number
    ]
    return bool(numbered) and sum(map(_told, numbered)) >= _TOLD * len(numbered)


def is_advice(procedure: Procedure) -> bool:
    """Whether all that stands there, and is no procedure, tells somebody to do something."""
    steps = tuple(procedure.steps())
    return bool(steps) and all(map(_told, steps))


def _told(step: Step) -> bool:
    """Whether a step by hand tells somebody to do something, at once, on a condition or by a path through menus."""
    said = [step.title, *(action.text for action in step.actions if isinstance(action, Manual))]
    said += [text.partition(": ")[2] for text in said]
    return any(kinds.imperative(text) or kinds.condition(text) or _CLICKED.search(text) for text in said if text)
