"""Which shell variables a document sets itself: those are no placeholders. By the shape of its lines alone."""

import re
from collections.abc import Iterator, Sequence

from harness.runbooks import language
from harness.runbooks.blocks import Block, Code, Listing
from harness.runbooks.language import Hint

_SETS = re.compile(
    r"(?m)^\s*(?:[$#] )?(?:(?:export|local|readonly|declare"
    r"|typeset)\s+(?:-\w+\s+)*)?([A-Za-z_]\w*)=|\bfor\s+([A-Za-z_]\w*)\s+in\b"
    r"|\bread\s+(?:-\w+\s+(?:\"[^\"]*\"\s+|'[^']*'\s+)?)*([A-Za-z_]\w*)"
    r"|[;&]\s*(?:export\s+)?([A-Za-z_]\w*)=|\bexport\s+([A-Za-z_]\w*)="
)


def settled(blocks: Sequence[Block]) -> frozenset[str]:
    """The shell variables the document sets anywhere in its code."""
    names: set[str] = set()
    for block in _flat(blocks):
        if isinstance(block, Code) and language.hint(block.info) is not Hint.CODE:
            for found in _SETS.finditer("\n".join(block.lines)):
                names.update(filter(None, found.groups()))
    return frozenset(names)


def _flat(blocks: Sequence[Block]) -> Iterator[Block]:
    for block in blocks:
        if isinstance(block, Listing):
            for item in block.items:
                yield from _flat(item.blocks)
        else:
            yield block
