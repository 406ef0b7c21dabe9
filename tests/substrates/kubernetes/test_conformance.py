"""The local substrate's clusters against the port, with a system whose pods need a database beside them."""

from pathlib import Path

import pytest

from harness.running.loading import load
from harness.substrates.local import Local
from harness.substrates.local.kubernetes import binaries
from harness.testing import check_substrate

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    # Programs that end with their environment leave the socket of their input to the garbage collector.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"),
]

(RELEASED,) = load([str(Path(__file__).parents[3] / "scenarios/storefront/bad_release.py")])


async def test_local_keeps_to_its_port_with_a_cluster_too(programs: binaries.Binaries, tmp_path: Path) -> None:
    skipped = await check_substrate(Local(), RELEASED.scenario.topology, tmp_path)
    assert [reason for reason in skipped if "server clock" not in reason] == []
