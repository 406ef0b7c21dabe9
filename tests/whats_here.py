"""The table of docs/whats-here.md, made of each module's own first sentence: `python -m tests.whats_here` writes it anew."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/whats-here.md"
HEAD = """# What is where

Every module, by its own first sentence. How they hang together: [architecture](architecture.md).
`python -m tests.whats_here` writes this page; a test holds it against the tree.
"""


def modules() -> list[Path]:
    """Every module of the harness that is not empty, by path."""
    return sorted(p for p in (ROOT / "harness").rglob("*.py") if p.read_text(encoding="utf-8").strip())


def sentence(module: Path) -> str:
    """The first sentence of the module's docstring, on one line."""
    said = " ".join((ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or "").split())
    first = re.split(r"(?<=[^.]\.)(?= [A-Z`])", said, maxsplit=1)[0]
    return first.replace("|", "\\|")


def page() -> str:
    """The whole page, one table a folder."""
    parts = [HEAD]
    folders = sorted({module.parent for module in modules()})
    for folder in folders:
        rows = [f"| `{m.relative_to(ROOT)}` | {sentence(m)} |" for m in modules() if m.parent == folder]
        parts.append("\n".join([f"## {folder.relative_to(ROOT)}", "", "| module | what for |", "|---|---|", *rows, ""]))
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
