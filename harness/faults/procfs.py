"""Processes as /proc shows them (proc_pid_stat(5)). A pid alone is no identity: its start time is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Seen:
    """A process as it was seen: `started` in clock ticks since boot, `state` the letter of proc_pid_stat(5)."""

    pid: int
    started: int
    state: str
    parent: int

    def again(self) -> "Seen | None":
        """The same process now; None if it has ended (a zombie has)."""
        now = seen(self.pid)
        return now if now is not None and now.started == self.started else None


def seen(pid: int) -> Seen | None:
    """The process of that pid; None if there is none that runs."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else Seen(pid, int(fields[19]), fields[0], int(fields[1]))


def present(processes: Iterable[Seen]) -> list[Seen]:
    """Those of them that still run, as they are now."""
    return [now for one in processes if (now := one.again()) is not None]


def descendants(pids: Iterable[int]) -> Sequence[Seen]:
    """Those processes and all below them, parents first."""
    everybody = [one for path in Path("/proc").iterdir() if path.name.isdecimal() and (one := seen(int(path.name)))]
    found = [one for pid in pids if (one := seen(pid)) is not None]
    known = {one.pid for one in found}
    for parent in found:  # grows while it is read
        children = [one for one in everybody if one.parent == parent.pid and one.pid not in known]
        found.extend(children)
        known.update(one.pid for one in children)
    return found
