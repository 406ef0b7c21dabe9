"""What tests on a real kind cluster need, or the reason why they are skipped."""

import functools
from pathlib import Path

import pytest

from harness.substrates.kind import machine, settings
from harness.substrates.kind.settings import Settings

KIT = Path(__file__).parents[4] / "shared/offline"
NAME = "rundrill-test"


@functools.cache
def lacking() -> str:
    """Why there can be no cluster here; "" if there can."""
    trouble = machine.problem(settings.read())
    return str(trouble).splitlines()[0] if trouble else ""


def wanted() -> Settings:
    """The settings of a machine that has kind; skips where it has not."""
    if reason := lacking():
        pytest.skip(reason)
    manifest = KIT / "manifests/metrics-server.yaml"
    return Settings(name=NAME, metrics_server=str(manifest) if manifest.exists() else "")


@pytest.fixture
def kind() -> Settings:
    """The same, for a test."""
    return wanted()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path
