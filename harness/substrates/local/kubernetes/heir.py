"""`heir.py FOLDER`: removes the folder of a harness that is gone, once nobody is left who writes there. Run as a plain file, of
the standard library only, by a shell that waited for the harness's end (harness.substrates.local.kubernetes.byhand).
"""

# ruff: noqa: PTH123 - pathlib would take longer than all the rest
import json
import os
import select
import shutil
import sys
import time

NAME = "journal.jsonl"
WITHIN_S = 30.0


def opened(journal: str) -> list[int]:
    """A descriptor (pidfd) of each process of the journal that has not ended; those of a later one of its number are left out."""
    found: list[int] = []
    try:
        with open(journal, "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return found
    for line in lines:
        try:
            entry = json.loads(line)
            pidfd = os.pidfd_open(entry["pid"])
        except (ValueError, KeyError, OSError):
            continue  # a line that was cut short, an entry of something else, a process that has gone
        if started(entry["pid"]) == entry["started"]:
            found.append(pidfd)
    return found


def started(pid: int) -> int | None:
    """When that process started, as journals have it (proc_pid_stat(5)); None if there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[19])
    except OSError:
        return None


def wait(pidfds: list[int], *, within_s: float) -> None:
    """Return when all of these processes have ended, or after that time."""
    deadline = time.monotonic() + within_s
    for pidfd in pidfds:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll(max(0.0, deadline - time.monotonic()) * 1000)


def main() -> None:
    """Wait for those whom the journal names (the supervisor's end is the end of all in the environment), then remove."""
    folder = sys.argv[1]
    wait(opened(f"{folder}/{NAME}"), within_s=WITHIN_S)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
