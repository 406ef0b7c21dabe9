"""What a gate costs beside its trials: its exact characteristics, a line of its log, its claim. Run from the repository's root:
`python benchmarks/gate.py`."""  # noqa: INP001 - a program

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from harness.checking.evidence import claim, gather
from harness.checking.gate import GOLD, TIERS, Gate, operating_characteristics
from harness.checking.record import Place, Record
from harness.model.design import TREATED
from harness.model.objectives import Recovery
from harness.model.units import seconds
from harness.model.verdict import Interval, Outcome, Recovered, Status, Verdict
from harness.running.triallog import Begun, Cell, Opened, opened, read

TRIALS = 90


def timed(what: str, work: Callable[[], object]) -> str:
    """How long `work` takes, in ms."""
    began = time.perf_counter()
    work()
    return f"{what}: {1000 * (time.perf_counter() - began):.1f} ms\n"


def record(number: int) -> Record:
    """One successful trial."""
    rta = Recovered(Interval(seconds(number), seconds(number + 0.05)))
    verdict = Verdict(f"treated-{number}", TREATED, Outcome.PASSED, Status.OK, (), rta=rta)
    place = Place("env", "host", "class", number)
    return Record("cell", TREATED, verdict.trial, number, 1, "plan", place, 0, seconds(30), verdict)


def write(path: Path) -> None:
    """A log of `TRIALS` trials."""
    with opened(path, Opened("1", GOLD, (Cell("cell", "digest"),), 1)) as log:
        for number in range(1, TRIALS + 1):
            log.begin(Begun("cell", f"treated-{number}", TREATED, number))
            log.end(record(number))


def measure() -> str:
    """Every figure, a line each."""
    records = [record(number) for number in range(1, TRIALS + 1)]
    found = gather("cell", GOLD, Recovery(rto=seconds(120), horizon=seconds(120)), cells=1, records=records)
    with tempfile.TemporaryDirectory(prefix="rundrill-benchmark-") as folder:
        path = Path(folder) / "log"
        return "".join(
            [
                *(
                    timed(f"{t.name}, exact at p0", lambda t=t: operating_characteristics(Gate(t), t.p0))
                    for t in TIERS.values()
                ),  # type: ignore[misc]
                timed(
                    "gold, exact over 2,000 looks",
                    lambda: operating_characteristics(Gate(replace(GOLD, n_max=2000)), GOLD.p0),
                ),
                timed(f"claim of {TRIALS} trials", lambda: claim(found)),
                timed(f"log of {TRIALS} trials, written and synced", lambda: write(path)),
                timed(f"log of {TRIALS} trials, read and checked", lambda: read(path)),
            ]
        )


if __name__ == "__main__":
    sys.stdout.write(measure())
