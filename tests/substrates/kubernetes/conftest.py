"""Kubernetes' programs for tests: this machine's, or those of a folder beside the repository."""

import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.substrates.local.kubernetes import binaries
from harness.substrates.local.machine import namespaces_allowed

OFFLINE = Path(__file__).parents[4] / "shared/offline/control-plane"


@functools.cache
def _offline() -> Path | None:
    if not OFFLINE.exists():
        return None
    folder = Path(tempfile.gettempdir(), f"rundrill-tests-kubernetes-{os.getuid()}")
    done = subprocess.run((sys.executable, OFFLINE, folder), check=False, stdout=subprocess.DEVNULL)
    return folder if done.returncode == 0 else None


@pytest.fixture
def forgetful() -> Iterator[None]:
    """What was found before is looked for again, here and afterwards."""
    binaries.find.cache_clear()
    yield
    binaries.find.cache_clear()


def _found(patch: pytest.MonkeyPatch) -> binaries.Binaries:
    if not namespaces_allowed():
        pytest.skip("this machine does not allow namespaces")
    if lack := binaries.packages():
        pytest.skip(f"a cluster needs {lack}")
    binaries.find.cache_clear()
    found = binaries.find()
    if isinstance(found, str) and (folder := _offline()):
        patch.setenv(binaries.ASSETS, str(folder))
        binaries.find.cache_clear()
        found = binaries.find()
    if isinstance(found, str):
        pytest.skip(f"Kubernetes' programs: {found}")
    if binaries.kubectl() is None:
        pytest.skip("there is no kubectl")
    patch.setenv("RUNDRILL_ISOLATION", "namespaces")
    return found


@pytest.fixture
def programs(forgetful: None, monkeypatch: pytest.MonkeyPatch) -> binaries.Binaries:
    """A machine that can have clusters, with Kubernetes' programs; skipped with the reason where it cannot."""
    return _found(monkeypatch)


@pytest.fixture(scope="module")
def programs_of_the_module() -> Iterator[binaries.Binaries]:
    """The same for all tests of a module."""
    with pytest.MonkeyPatch.context() as patch:
        yield _found(patch)
    binaries.find.cache_clear()
