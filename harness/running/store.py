"""Where runs are kept: `runs/<id>/<scenario>/<trial>/`. Finds, makes and reads them; judges nothing."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness import clock, codec
from harness.errors import InputError, Problem, StoreError
from harness.model.history import History
from harness.model.verdict import Word

HISTORY = "history.jsonl"


@dataclass(frozen=True, slots=True)
class Stored:
    """What a scenario's folder says of it beyond its trials, so that it can be assessed again."""

    name: str
    title: str
    caveats: tuple[str, ...] = ()
    expect: Word | None = None
    because: str = ""


def new_run(root: Path) -> Path:
    """A new, empty folder for a run under `root`; its name starts with the UTC time, so that names sort by age."""
    stamp = datetime.fromtimestamp(clock.wall() / 1e9, tz=UTC).strftime("%Y%m%d-%H%M%S")
    folder = root / f"{stamp}-{secrets.token_hex(2)}"
    folder.mkdir(parents=True)
    return folder


def find_run(root: Path, name: str) -> Path:
    """The folder of a run: a path, an id under `root`, or `latest`. InputError where there is none."""
    if name == "latest":
        found = sorted((p for p in root.glob("*") if p.is_dir()), key=lambda p: p.name)
        if found:
            return found[-1]
        raise InputError(Problem(f"no run in {root}", None, "make one: rundrill run SCENARIO"))
    for candidate in (Path(name), root / name):
        if candidate.is_dir():
            return candidate
    raise InputError(Problem(f"no run `{name}` in {root}", None, "`rundrill judge latest` takes the newest"))


def new_scenario(run: Path, stored: Stored) -> Path:
    """The folder of a scenario in a run, with what is stored of it. InputError where the run has it already."""
    folder = run / stored.name.replace("/", "__")
    try:
        folder.mkdir()
    except FileExistsError:
        raise InputError(Problem(f"two scenarios of one run are called `{stored.name}`", None, "rename one")) from None
    (folder / "scenario.json").write_bytes(codec.encode(stored))
    return folder


def scenarios(run: Path) -> Iterator[tuple[Stored, tuple[History, ...]]]:
    """Every scenario of a stored run with its trials' histories, by name. StoreError (file:line) where one cannot be read."""
    found = sorted(run.glob("*/scenario.json"))
    if not found:
        raise StoreError(
            f"{run}: no scenario.json in any folder of it, so it is not a run, or it was cut off at its start"
        )
    for path in found:
        stored = codec.decode(Stored, path.read_bytes(), str(path))
        yield stored, tuple(read_history(trial.parent) for trial in sorted(path.parent.glob(f"*/{HISTORY}")))


def read_history(folder: Path) -> History:
    """The history of one trial's folder."""
    return codec.read_history(folder)
