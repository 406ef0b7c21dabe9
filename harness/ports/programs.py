"""What can be run: a program's result, and a program that is running."""

from dataclasses import dataclass
from typing import Protocol

from harness.model.units import Ns


@dataclass(frozen=True, slots=True)
class Completed:
    """The one result of running anything. `status` is the exit status, -n for signal n, None where it was killed at its
    time limit. `took` in ns. Output is text with undecodable bytes replaced."""

    argv: tuple[str, ...]
    status: int | None
    stdout: str
    stderr: str
    took: Ns

    @property
    def ok(self) -> bool:
        """Whether it ended by itself with status 0."""
        return self.status == 0


class Process(Protocol):
    """A long-lived program that was started. Leaving its scope ends its whole process group."""

    @property
    def pid(self) -> int:
        """Its pid as the harness sees it."""
        ...

    @property
    def returncode(self) -> int | None:
        """Its exit status, None while it runs."""
        ...

    async def send(self, line: str) -> None:
        """Write one line to its standard input."""
        ...

    async def wait(self, timeout: Ns) -> int | None:
        """Its exit status, or None if it still runs after `timeout` ns."""
        ...

    async def stop(self, grace: Ns = 2_000_000_000) -> int | None:
        """Interrupt, terminate and at last kill its process group, `grace` ns apart; its exit status."""
        ...


@dataclass(frozen=True, slots=True)
class Seen:
    """A process of the system as it was seen: `started` in clock ticks since boot, `state` the letter of proc_pid_stat(5).

    A pid alone is no identity: its start time is, and the pid namespace it counts in: `space`, "" for the harness's own.
    """

    pid: int
    started: int
    state: str
    parent: int
    space: str = ""


@dataclass(frozen=True, slots=True)
class Room:
    """How much fits on a volume, and how much of it is free, in bytes."""

    size: int
    free: int
