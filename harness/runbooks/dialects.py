"""What Markdown's dialects add (front matter, admonitions, tabs, Liquid, MyST), turned to plain Markdown line for line."""

import re
from collections.abc import Sequence

_FRONT = re.compile(r"^(---|\+\+\+)\s*$")
_OPEN = re.compile(r"^(\s*)\{%-?\s*(?:highlight|code(?:block)?)\s+([\w+-]+).*%\}\s*$")
_CLOSE = re.compile(r"^(\s*)\{%-?\s*end(?:highlight|code(?:block)?)\s*-?%\}\s*$")
_DIRECTIVE_LINE = re.compile(r"^\s*(?:\{%.*%\}|\{\{[<%].*[%>]\}\}|:{3,}(?:\s*\{?[\w-]+\}?.*)?)\s*$")
_BLOCK = re.compile(r"""^(\s*)(?:(?:!!!|\?\?\?\+?)\s+[\w-]+(?:\s+"([^"]*)")?|===[!+]?\s+"([^"]+)")\s*$""")
_LABEL = re.compile(r"^\*\*[^*]+(?::\*\*|\*\*\s*(?:\([^)]*\)\s*)?(?::|$))")
_IN_LIST = re.compile(r"^(?:\s+\S|[-*+]\s|\d+[.)]\s)")
_FENCE = re.compile(r"^\s*(`{3,}(?!.*`)|~{3,})")


def plain(lines: Sequence[str]) -> list[str]:
    """The same number of lines; what only steers a site generator is blank, its blocks are dedented."""
    out = list(lines)
    _front_matter(out)
    index = 0
    fence = ""
    while index < len(out):
        line = out[index]
        mark = _FENCE.match(line)
        if mark and (not fence or line.strip().startswith(fence)):
            fence = "" if fence else mark.group(1)
        elif not fence:
            _rewrite(out, index)
        index += 1
    return out


def label_cuts(lines: Sequence[str]) -> list[int]:
    """Where a bold label at the margin follows a list without a gap: a new part to people, the last item's to CommonMark."""
    cuts = []
    fence = ""
    for index, line in enumerate(lines):
        mark = _FENCE.match(line)
        if mark and (not fence or line.strip().startswith(fence)):
            fence = "" if fence else mark.group(1)
        elif not fence and index and _LABEL.match(line) and _IN_LIST.match(lines[index - 1]):
            cuts.append(index)
    return cuts


def _front_matter(out: list[str]) -> None:
    found = _FRONT.match(out[0]) if out else None
    if not found:
        return
    for index in range(1, min(len(out), 200)):
        if out[index].rstrip() == found.group(1):
            out[: index + 1] = [""] * (index + 1)
            return


def _rewrite(out: list[str], index: int) -> None:
    line = out[index]
    if opened := _OPEN.match(line):
        out[index] = f"{opened.group(1)}```{opened.group(2)}"
    elif closed := _CLOSE.match(line):
        out[index] = f"{closed.group(1)}```"
    elif block := _BLOCK.match(line):
        title = block.group(2) or block.group(3) or ""
        out[index] = f"{block.group(1)}**{title}**" if title else ""
        _dedent(out, index + 1, len(block.group(1)) + 4)
    elif _DIRECTIVE_LINE.match(line):
        out[index] = ""


def _dedent(out: list[str], index: int, width: int) -> None:
    prefix = " " * width
    while index < len(out) and (not out[index].strip() or out[index].startswith(prefix)):
        out[index] = " " * (width - 4) + out[index][width:] if out[index].strip() else ""
        index += 1
