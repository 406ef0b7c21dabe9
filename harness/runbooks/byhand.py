"""List items that hold no command: what they tell somebody to do by hand, or nothing."""

import re
from collections.abc import Iterator, Sequence

from harness.model.runbook import Branch, BranchKind, Manual, SectionKind, Step
from harness.model.source import Source
from harness.runbooks import kinds, labels
from harness.runbooks.blocks import Block, Item, Listing, Paragraph
from harness.runbooks.steps import Found

_BOX = re.compile(r"^\[[ xX]\]\s+")


def of_item(item: Item, title: str, text: str, source: Source, kind: SectionKind) -> Found | None:
    """The step `item` is, with all that stands below it; `kind` is its section's. None where it asks for nothing."""
    wanted = item.number or _BOX.match(text) or kind is not SectionKind.OTHER or kinds.imperative(text)
    if not wanted or not text:
        return None
    name = _BOX.sub("", title)
    whole = " ".join(filter(None, (_BOX.sub("", text), *_texts(item.blocks[1:]))))
    step = Step(name, (Manual(whole, source),), source, item.number)
    return Branch(title, BranchKind.CONDITION, (step,), source) if kinds.condition(title) else step


def _texts(blocks: Sequence[Block]) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, Paragraph):
            yield labels.clean(block.inline.text)
        elif isinstance(block, Listing):
            for item in block.items:
                yield from _texts(item.blocks)
