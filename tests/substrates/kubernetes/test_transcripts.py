"""What a real cluster answered to an operator's commands, asked of ours: those sessions that are quick; `nox -s kubectl` asks
all of them."""

import re
import sys
from pathlib import Path

import pytest

from harness.substrates.local.kubernetes import binaries
from tests.substrates.kubernetes.test_by_hand import by_hand

pytestmark = [pytest.mark.real, pytest.mark.slow]

RECORDED = Path(__file__).parents[4] / "shared/kubectl"
QUICK = ("01-release", "04-config", "10-api", "11-rbac")
ALIKE, SAME = 0.97, 0.90
LIMIT_S = 400.0


@pytest.mark.skipif(not RECORDED.exists(), reason=f"there is no {RECORDED}")
def test_an_operators_sessions_are_answered_as_a_real_cluster_answered_them(
    programs: binaries.Binaries, tmp_path: Path
) -> None:
    kubectl = binaries.kubectl()
    script = '"$1" "$2" compare --kubeconfig "$KUBECONFIG" --kubectl "$3" "${@:4}"'
    paths = [str(RECORDED / "transcripts" / f"{name}.yaml") for name in QUICK]
    words = (sys.executable, str(RECORDED / "replay.py"), str(kubectl), *paths)
    images = RECORDED / "app/images.toml"
    with by_hand(tmp_path, "--images", str(images), "--", "bash", "-c", script, "compare", *words) as process:
        out, err = process.communicate(timeout=LIMIT_S)
    score = re.search(r"^(\d+) same, (\d+) close, (\d+) different of (\d+)", out, re.MULTILINE)
    assert score, err
    same, close, _, every = (int(number) for number in score.groups())
    assert every > 100
    assert "SETUP FAILED" not in out
    assert (same + close) / every >= ALIKE, out
    assert same / every >= SAME, out
