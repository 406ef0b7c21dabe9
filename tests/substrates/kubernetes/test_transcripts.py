"""What a real cluster answered to an operator's commands, asked of ours: those sessions that are quick, and in the long run those
of `tests/substrates/recorded`; `nox -s kubectl` asks all of them."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.substrates.local.kubernetes import binaries
from tests.full import FULL
from tests.substrates.kubernetes.test_by_hand import by_hand

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.skipif(
        not (Path(__file__).parents[4] / "shared/kubectl").exists(), reason="what replays sessions is not here"
    ),
]

RECORDED = Path(__file__).parents[4] / "shared/kubectl"
QUICK = ("01-release", "04-config", "10-api", "11-rbac")
OURS = Path(__file__).parents[1] / "recorded"
ALIKE, SAME = 0.97, 0.90
OUR_ALIKE, OUR_SAME = 0.93, 0.88
"""Of sessions that ask for what differs: docs/kubernetes-local.md says what does."""

LIMIT_S = 400.0
LONG_S = 1800.0


def compared(folder: Path, paths: Sequence[Path], *, limit_s: float) -> tuple[float, float, int, str]:
    """The sessions on a cluster of their own: the shares that are alike and the same, of how many, and what was said."""
    script = '"$1" "$2" compare --kubeconfig "$KUBECONFIG" --kubectl "$3" "${@:4}"'
    words = (sys.executable, str(RECORDED / "replay.py"), str(binaries.kubectl()), *map(str, paths))
    images = RECORDED / "app/images.toml"
    with by_hand(folder, "--images", str(images), "--", "bash", "-c", script, "compare", *words) as process:
        out, err = process.communicate(timeout=limit_s)
    score = re.search(r"^(\d+) same, (\d+) close, (\d+) different of (\d+)", out, re.MULTILINE)
    assert score, err
    assert "SETUP FAILED" not in out
    same, close, _, every = (int(number) for number in score.groups())
    return (same + close) / every, same / every, every, out


def test_an_operators_sessions_are_answered_as_a_real_cluster_answered_them(
    programs: binaries.Binaries, tmp_path: Path
) -> None:
    paths = [RECORDED / "transcripts" / f"{name}.yaml" for name in QUICK]
    alike, same, every, out = compared(tmp_path, paths, limit_s=LIMIT_S)
    assert every > 100
    assert alike >= ALIKE, out
    assert same >= SAME, out


@pytest.mark.skipif(not FULL, reason="set RUNDRILL_PROOF=full: it takes a quarter of an hour")
def test_an_operator_in_trouble_is_answered_as_by_a_real_cluster(programs: binaries.Binaries, tmp_path: Path) -> None:
    alike, same, every, out = compared(tmp_path, sorted(OURS.glob("*.yaml")), limit_s=LONG_S)
    assert every > 400
    assert alike >= OUR_ALIKE, out
    assert same >= OUR_SAME, out
