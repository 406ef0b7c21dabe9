"""A harness in a process of its own, for a test to end as it likes."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]


@contextmanager
def launched(*words: str, cwd: Path | None = None, **variables: str) -> "Iterator[subprocess.Popen[str]]":
    """`python WORDS` with this tree's modules and these variables besides; what still runs at the end of the scope is killed."""
    harness = subprocess.Popen(
        (sys.executable, *words),
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield harness
    finally:
        harness.kill()
        harness.communicate()


async def said(harness: "subprocess.Popen[str]", line: str) -> None:
    """The next line it says is that one."""
    assert harness.stdout
    assert await asyncio.to_thread(harness.stdout.readline) == f"{line}\n"
