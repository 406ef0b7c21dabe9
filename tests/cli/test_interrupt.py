"""Ctrl-C at any moment of a real drill: status 130, and nothing is left but what lies under runs/ and the template cache."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from harness.execution import installed

ROOT = Path(__file__).parents[2]
SCENARIO = ROOT / "scenarios/inventory/slow_queries.py"
LIMIT = 60

pytestmark = [pytest.mark.real, pytest.mark.slow]


class Drill:
    """The program as a person runs it at a terminal: in a process group of its own, which Ctrl-C reaches as a whole."""

    def __init__(self, place: Path, *arguments: str) -> None:
        (place / "home").mkdir()
        self.temporary = Path(tempfile.mkdtemp(prefix="rdt", dir="/tmp"))  # short, for the sake of Unix sockets
        self.temporary.chmod(0o755)
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
        env = os.environ | {
            "PYTHONPATH": str(ROOT),
            "HOME": str(place / "home"),
            "TMPDIR": str(self.temporary),
            "XDG_CACHE_HOME": cache,
            "PYTHONUNBUFFERED": "1",
        }
        self.place = place
        self._log = (place / "log").open("wb")
        self.process = subprocess.Popen(
            (sys.executable, "-m", "harness.cli", "run", str(SCENARIO), *arguments),
            cwd=place,
            env=env,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def log(self) -> str:
        return (self.place / "log").read_text(encoding="utf-8", errors="replace")

    @property
    def run(self) -> str:
        """The id of the run, once there is one."""
        return next((path.name for path in self.place.glob("runs/*")), "")

    def until(self, condition: Callable[["Drill"], object]) -> None:
        deadline = time.monotonic() + LIMIT
        while not condition(self):
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.02)

    def interrupt(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> int:
        return self.process.wait(LIMIT)

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._log.close()
        shutil.rmtree(self.temporary)


@pytest.fixture
def drill(tmp_path: Path) -> Iterator[Callable[..., Drill]]:
    started: list[Drill] = []

    def start(*arguments: str) -> Drill:
        started.append(Drill(tmp_path, *arguments))
        return started[-1]

    if not installed("unshare"):
        pytest.skip("there is no `unshare` here: namespaces cannot be entered")
    yield start
    for each in started:
        each.close()


def processes_of(run: str) -> list[str]:
    """What runs and has the run's id in its command line or environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (path / "cmdline").read_bytes()
            if run.encode() in command or run.encode() in (path / "environ").read_bytes():
                found.append(f"{path.name}: {command.replace(bytes(1), b' ').decode(errors='replace')}")
    return found


def nothing_is_left(drill: Drill) -> None:
    assert drill.run, drill.log
    deadline = time.monotonic() + 5
    while processes_of(drill.run) and time.monotonic() < deadline:
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(("sleep", "0.1"), check=True, timeout=1)
    assert processes_of(drill.run) == []
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    assert drill.run not in mounts
    assert str(drill.place) not in mounts
    assert list(drill.temporary.iterdir()) == []
    assert list((drill.place / "home").iterdir()) == []
    assert {path.name for path in drill.place.iterdir()} == {"home", "log", "runs"}


MOMENTS: dict[str, Callable[[Drill], object]] = {
    "as soon as there is a run": lambda d: d.run,
    "while the environment comes up": lambda d: list(d.place.glob("runs/*/*/*/journal.jsonl")),
    "while it is not steady yet": lambda d: "environment up" in d.log,
    "under the fault": lambda d: "fault ok" in d.log,
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_leaves_nothing_behind(drill: Callable[..., Drill], moment: str) -> None:
    running = drill("--arms", "treated")
    running.until(MOMENTS[moment])
    running.interrupt()
    assert running.end() == 130, running.log
    assert "interrupted; everything that was brought up is gone" in running.log
    assert "Traceback" not in running.log
    nothing_is_left(running)


def test_ctrl_c_twice_leaves_nothing_behind(drill: Callable[..., Drill]) -> None:
    running = drill("--jobs", "2")
    running.until(lambda d: d.log.count("fault ok") == 2)
    running.interrupt()
    with suppress(subprocess.TimeoutExpired):
        running.process.wait(0.2)
    with suppress(ProcessLookupError):
        running.interrupt()
    assert running.end() == 130, running.log
    nothing_is_left(running)


def test_a_kept_environment_can_be_entered_and_goes_with_ctrl_c(drill: Callable[..., Drill]) -> None:
    running = drill("--arms", "baseline", "--keep")
    running.until(lambda d: "kept as it is until Ctrl-C" in d.log)
    if "enter it with: " in running.log:
        command = running.log.partition("enter it with: ")[2].splitlines()[0]
        asked = "psql -h db.prod.internal -U user -d inventory -Atc 'SELECT 6 * 7'"
        answer = subprocess.run(
            (*command.split(), "-c", asked), capture_output=True, text=True, timeout=20, check=False
        )
        assert answer.stdout.strip() == "42", answer.stderr
    running.interrupt()
    assert running.end() == 130, running.log
    nothing_is_left(running)


def test_a_worker_that_is_killed_ends_the_trial_as_the_harnesss_trouble(drill: Callable[..., Drill]) -> None:
    running = drill("--arms", "treated")
    running.until(lambda d: "steady ok" in d.log)
    prober = [line for line in processes_of(running.run) if "harness.probes.prober" in line]
    assert prober
    for line in prober:
        os.kill(int(line.partition(":")[0]), signal.SIGKILL)
    assert running.end() == 4, running.log
    assert "the prober ended with status" in running.log
    nothing_is_left(running)
