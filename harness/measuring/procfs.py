"""Processes as /proc shows them (proc_pid_stat(5)). A pid alone is no identity: its start time is."""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from harness.ports import Seen


def seen(pid: int) -> Seen | None:
    """The process of that pid; None if there is none that runs (a zombie does not)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return read(text)


def read(text: str, space: str = "") -> Seen | None:
    """What a line of /proc/PID/stat says of a process of that pid namespace; None for a zombie."""
    pid = text.partition(" ")[0]
    fields = text.rpartition(")")[2].split()
    if not pid.isdecimal() or len(fields) < 20 or fields[0] in "ZX":
        return None
    return Seen(int(pid), int(fields[19]), fields[0], int(fields[1]), space)


def again(one: Seen) -> Seen | None:
    """The same process now; None if it has ended."""
    now = seen(one.pid)
    return now if now is not None and now.started == one.started else None


def present(processes: Iterable[Seen]) -> list[Seen]:
    """Those of them that still run, as they are now."""
    return [now for one in processes if (now := again(one)) is not None]


def send(processes: Iterable[Seen], number: int) -> None:
    """Send a signal to those of them that still run, in that order."""
    for one in processes:
        if again(one) is not None:
            with suppress(ProcessLookupError):
                os.kill(one.pid, number)


def descendants(pids: Iterable[int]) -> Sequence[Seen]:
    """Those processes and all below them, parents first."""
    everybody = [one for path in Path("/proc").iterdir() if path.name.isdecimal() and (one := seen(int(path.name)))]
    return below([one for pid in pids if (one := seen(pid)) is not None], everybody)


def below(roots: Iterable[Seen], everybody: Sequence[Seen]) -> Sequence[Seen]:
    """Those of `everybody` that are, or come from, the roots: parents first."""
    found = list(roots)
    known = {one.pid for one in found}
    for parent in found:  # grows while it is read
        children = [one for one in everybody if one.parent == parent.pid and one.pid not in known]
        found.extend(children)
        known.update(one.pid for one in children)
    return found
