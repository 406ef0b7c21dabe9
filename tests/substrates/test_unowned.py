"""Giving files away where there is nobody to give them to."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.substrates import inside
from harness.substrates.local.machine import namespaces_allowed

pytestmark = pytest.mark.real

PROGRAM = str(Path(inside.__file__).with_name("unowned.py"))
SCRIPT = """
import os, sys
path = sys.argv[1]
file = os.open(path, os.O_RDONLY)
os.chown(path, 1000, 1000)
os.lchown(path, 1000, -1)
os.fchown(file, 1000, 1000)
os.chown(os.path.basename(path), 1000, 1000, dir_fd=os.open(os.path.dirname(path), os.O_RDONLY))
os.chmod(path, 0o600)
print(os.stat(path).st_uid, oct(os.stat(path).st_mode))
"""


def _run(path: Path, *before: str) -> subprocess.CompletedProcess[str]:
    argv = ["unshare", "-U", "-r", *before, sys.executable, "-c", SCRIPT, str(path)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20)


@pytest.mark.skipif(not namespaces_allowed(), reason="this machine does not allow namespaces")
def test_giving_a_file_away_seems_done_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.touch()

    without, within = _run(path), _run(path, sys.executable, "-I", "-S", PROGRAM)

    assert "Invalid argument" in without.stderr
    assert (within.returncode, within.stdout, within.stderr) == (0, "0 0o100600\n", "")
