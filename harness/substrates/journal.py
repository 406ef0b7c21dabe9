"""What has been created outside the harness's own process, written down before it is done, and how a dead run is undone.

One JSON line an entry, synced. A process is known by its pid and its start time, so that a reused pid is never killed.
"""

import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from harness.errors import SubstrateError

NAME = "journal.jsonl"
HARNESS = "the harness"


class Mortal(msgspec.Struct, frozen=True, tag="process", tag_field="kind", forbid_unknown_fields=True):
    """A process: `started` is field 22 of /proc/PID/stat, in clock ticks since boot (proc_pid_stat(5))."""

    of: str
    pid: int
    started: int
    what: str

    @property
    def alive(self) -> bool:
        """Whether that very process still runs."""
        return started(self.pid) == self.started


class Folder(msgspec.Struct, frozen=True, tag="folder", tag_field="kind", forbid_unknown_fields=True):
    """A directory outside the run's own."""

    of: str
    path: str


class Labelled(msgspec.Struct, frozen=True, tag="labelled", tag_field="kind", forbid_unknown_fields=True):
    """Everything in Docker that bears the environment's label, at the daemon of that socket ("": the usual one)."""

    of: str
    daemon: str = ""


class Over(msgspec.Struct, frozen=True, tag="over", tag_field="kind", forbid_unknown_fields=True):
    """All entries of that environment were undone in the ordinary way."""

    of: str


Entry = Mortal | Folder | Labelled | Over


def started(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None if it does not run (a zombie does not)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


class Journal:
    """The journal of one environment, in the folder of its run or trial. Its first entry is the harness itself."""

    def __init__(self, folder: Path, of: str) -> None:
        self.folder = folder
        self._of = of
        self.process(os.getpid(), HARNESS)

    def process(self, pid: int, what: str) -> None:
        """A process was started."""
        self._write(Mortal(self._of, pid, started(pid) or 0, what))

    def made(self, folder: Path) -> None:
        """A directory outside the run's folder is about to be made."""
        self._write(Folder(self._of, str(folder)))

    def labelled(self, daemon: str = "") -> None:
        """Something is about to be made in Docker, with the environment's label."""
        self._write(Labelled(self._of, daemon))

    def over(self) -> None:
        """Everything is undone."""
        self._write(Over(self._of))

    def _write(self, entry: Entry) -> None:
        """Append an entry; it is on the disk on return."""
        _append(self.folder / NAME, entry)


def _append(journal: Path, entry: Entry) -> None:
    with journal.open("ab") as file:
        file.write(msgspec.json.encode(entry) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> Iterator[Entry]:
    """The entries of a journal; a last line that was cut short by a kill is left out."""
    for line in path.read_bytes().splitlines():
        try:
            yield msgspec.json.decode(line, type=Entry)
        except msgspec.DecodeError:
            continue


def reap(runs: Path) -> Sequence[str]:
    """Undo what dead runs below `runs` have left behind; a sentence for each thing done. Living runs are not touched."""
    done: list[str] = []
    for path in sorted(runs.rglob(NAME)) if runs.is_dir() else ():
        entries = list(read(path))
        over = {entry.of for entry in entries if isinstance(entry, Over)}
        living = {entry.of for entry in entries if isinstance(entry, Mortal) and entry.what == HARNESS and entry.alive}
        for entry in reversed(entries):
            if entry.of in over | living:
                continue
            done.extend(f"{path.parent}: {did}" for did in _undo(entry))
            if isinstance(entry, Labelled):
                done.extend(f"{path.parent}: {did}" for did in _swept(entry, path))
    return done


def _undo(entry: Entry) -> Iterator[str]:
    match entry:
        case Mortal(pid=pid, what=what):
            if entry.alive and what != HARNESS:
                os.kill(pid, signal.SIGKILL)
                yield f"killed {what}, pid {pid}"
        case Folder(path=path):
            if Path(path).is_dir():
                shutil.rmtree(path, ignore_errors=True)
                yield f"removed {path}"
        case Labelled() | Over():
            return


def _swept(entry: Labelled, journal: Path) -> Iterator[str]:
    """Remove what Docker has; once that is done it is written down, since looking for it takes a while."""
    try:
        from harness.substrates.containers import sweeping  # noqa: PLC0415 - Docker's library is an extra

        yield from sweeping.sweep_at(entry.daemon, entry.of)
    except (ImportError, SubstrateError) as error:
        yield f"could not remove what Docker may have of {entry.of}: {error}"
    else:
        _append(journal, Over(entry.of))
