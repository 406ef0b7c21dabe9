"""Which processes there are and what they use, by /proc. A container's are those in its mount namespace: that is inherited by
every child, whatever becomes of its parent."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes: `used` with each shared page in equal parts to those who share it, `own` that of it which no file holds."""

    used: int
    own: int


def mount_namespace(pid: int) -> int:
    """The inode number of a process's mount namespace; 0 if it has ended."""
    try:
        return os.stat(f"/proc/{pid}/ns/mnt").st_ino  # noqa: PTH116 - as below
    except OSError:
        return 0


def pids() -> list[int]:
    """Every process this pid namespace sees."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208 - asked often


def members(space: int) -> list[int]:
    """The processes in that mount namespace."""
    return [pid for pid in pids() if space and mount_namespace(pid) == space]


class Census:
    """Who is in which mount namespace, found out once for each process: it is asked every few milliseconds."""

    def __init__(self) -> None:
        self._space: dict[int, int] = {}

    def take(self, *, anew: bool = False) -> Mapping[int, tuple[int, ...]]:
        """The processes of each mount namespace. `anew`: those known before are looked at again."""
        known = {} if anew else self._space
        self._space = {pid: known.get(pid) or mount_namespace(pid) for pid in pids()}
        found: dict[int, tuple[int, ...]] = {}
        for pid, space in self._space.items():
            found[space] = (*found.get(space, ()), pid)
        return found


def _read(pid: int, name: str) -> bytes:
    """A small file of a process; the calls themselves, since it is done thousands of times a second."""
    file = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(file, 4096)
    finally:
        os.close(file)


def resident(group: Iterable[int]) -> int:
    """The sum of what those processes have in memory, in bytes; what they share counts for each (proc(5), statm)."""
    total = 0
    for pid in group:
        with suppress(OSError, IndexError):
            total += int(_read(pid, "statm").split()[1]) * _PAGE
    return total


def memory(group: Iterable[int]) -> Memory:
    """What those processes have in memory (proc(5), smaps_rollup; Linux 4.14, by kind 5.13)."""
    used = own = 0
    for pid in group:
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
            sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
            used += sizes["Pss"]
            own += sizes.get("Pss_Anon", sizes["Pss"]) + sizes.get("Pss_Shmem", 0)
    return Memory(used, own)


def cpu(group: Iterable[int]) -> int:
    """The CPU time those processes and their ended children took, in ns (proc(5), stat)."""
    total = 0
    for pid in group:
        with suppress(OSError, IndexError):
            fields = _read(pid, "stat").rpartition(b")")[2].split()
            total += sum(int(field) for field in fields[11:15]) * _TICK_NS
    return total
