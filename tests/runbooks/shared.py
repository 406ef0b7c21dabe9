"""Where the runbooks of other people are, beside the repository; tests that need them are skipped where they are not."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
SEEDS = SHARED / "seeds"
FILES = SHARED / "corpus" / "files"
TRUTH = SHARED / "corpus" / "truth"

needs_shared = pytest.mark.skipif(
    not TRUTH.is_dir(), reason="the runbooks of other people are not beside the repository"
)
