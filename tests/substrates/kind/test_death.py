"""A drill in a kind cluster that is ended at any instant, by SIGKILL or by Ctrl-C, leaves Docker as it was within ten seconds."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.substrates.journal import reap
from harness.substrates.kind.settings import Settings
from tests.full import FULL
from tests.substrates.kind.test_cluster import asked

pytestmark = [pytest.mark.real, pytest.mark.slow]

ROOT = Path(__file__).parents[3]
DRILL = ("run", "scenarios/storefront/bad_release.py", "--substrate", "kind", "--arms", "treated")
INSTANTS = int(os.environ.get("RUNDRILL_PROOF_DEATHS", "20" if FULL else "0"))
WHOLE_S = 75.0
"""About as long as the drill takes, from the cluster's making to its going."""
WITHIN_S = 10.0
LISTS = {
    "containers": "docker ps -a --no-trunc --format {{.ID}}_{{.Names}}",
    "networks": "docker network ls --format {{.Name}}",
    "volumes": "docker volume ls -q",
    "clusters": "kind get clusters",
}


def there() -> Mapping[str, set[str]]:
    """What Docker has, by kind of thing."""
    return {what: set(asked(command)) for what, command in LISTS.items()}


def more(before: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """What there is now that was not there before."""
    return {what: new for what, names in there().items() if (new := names - before[what])}


def last_words(log: Path) -> str:
    """The last line of a drill, without its time and name."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("[")]
    return lines[-1].partition("] ")[2][:70] if lines else "nothing was said yet"


@pytest.mark.skipif(not INSTANTS, reason="set RUNDRILL_PROOF=full: it takes a quarter of an hour")
def test_a_drill_on_kind_that_is_ended_at_any_instant_leaves_nothing(
    kind: Settings, cache: Path, tmp_path: Path
) -> None:
    chance, table = random.Random(5), []
    for number in range(INSTANTS):
        how = signal.SIGINT if number % 4 == 3 else signal.SIGKILL
        instant, before = chance.uniform(0.5, WHOLE_S), there()
        log, runs = tmp_path / f"{number}.log", tmp_path / f"runs{number}"
        with log.open("wb") as out:
            drill = subprocess.Popen(
                [sys.executable, "-c", "from harness.cli.app import main; main()", *DRILL, "--runs", str(runs)],
                cwd=ROOT,
                env={**os.environ, "RUNDRILL_KIND_NAME": kind.name, "PYTHONUNBUFFERED": "1"},
                stdout=out,
                stderr=out,
            )
        time.sleep(instant)  # noqa: TID251 - an instant of its work
        had = sum(map(len, more(before).values()))
        drill.send_signal(how)
        ended = time.monotonic()
        drill.wait(timeout=60)
        while more(before) and time.monotonic() < ended + WITHIN_S:
            time.sleep(0.1)  # noqa: TID251 - other processes' doing is waited for
        took, left = time.monotonic() - ended, more(before)
        reaped = reap(runs) if runs.exists() else []
        table.append((how.name, f"{instant:.1f} s", last_words(log), had, f"{took:.1f} s", left, reaped))
        sys.stderr.write(f"{table[-1]}\n")
    assert [row for row in table if row[5]] == []
