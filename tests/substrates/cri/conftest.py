"""One runtime for the tests of a module; each test makes pods of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.substrates.local.machine import namespaces_allowed
from tests.substrates.cri.runtime import Pod, Runtime


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    if not namespaces_allowed():
        pytest.skip("this machine does not allow namespaces")
    folder = tmp_path_factory.mktemp("cri")
    made = Runtime(Path(folder))
    yield made
    made.close()


@pytest.fixture
def pod(runtime: Runtime) -> Iterator[Pod]:
    made = runtime.pod()
    yield made
    made.remove()
