"""Figures that the proof prints: as many trials as `RUNDRILL_PROOF` asks for (nox -s proof), else a few."""

import asyncio
from collections.abc import Callable

import pytest

from tests.full import FULL

asyncio.set_event_loop(None)

in_full = pytest.mark.skipif(not FULL, reason="set RUNDRILL_PROOF=full (nox -s proof): others like it run always")
_FIGURES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_FIGURES] = []


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Tell a figure, to be printed at the end of the run."""
    return request.config.stash[_FIGURES].append


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    for line in config.stash.get(_FIGURES, []):
        terminalreporter.write_line(f"proof: {line}")
