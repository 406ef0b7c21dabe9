"""The map and the tree agree, and files stay readable."""

import re
from pathlib import Path

import pytest

from tests.whats_here import PAGE, ROOT, modules, page

MODULES = [module for module in modules() if not module.name.endswith("_pb2.py")]  # those are generated


def test_every_module_has_its_line_in_whats_here() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.whats_here writes it anew"


@pytest.mark.parametrize("module", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_says_first_what_it_is_for(module: Path) -> None:
    assert module.read_text(encoding="utf-8").startswith('"""')


@pytest.mark.parametrize("module", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_stays_readable(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("scenario", sorted((ROOT / "scenarios").rglob("*.md")), ids=lambda p: str(p.relative_to(ROOT)))
def test_our_runbooks_copy_no_prose_of_the_originals(scenario: Path) -> None:
    seeds = ROOT.parent / "shared/seeds"
    if not seeds.is_dir():
        pytest.skip("../shared/seeds is not here")
    theirs = {s for path in seeds.glob("*.txt") for s in _sentences(path.read_text(encoding="utf-8", errors="replace"))}
    assert not theirs & set(_sentences(scenario.read_text(encoding="utf-8")))


def _sentences(text: str) -> list[str]:
    """Prose lines of five words and more: commands, tables and headings are facts."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    lines = (line.strip(" -*").lower() for line in prose.splitlines() if not line.startswith(("|", "#")))
    return [line for line in lines if len(line.split()) > 4 and "`" not in line]
