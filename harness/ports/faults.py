"""What is done to a system, and what it may touch; the load on it."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from harness.model.history import Scalar
from harness.model.units import Ns
from harness.ports.systems import Capability, Environment


class Load(Protocol):
    """The background load while it runs."""

    @property
    def users(self) -> int:
        """How many concurrent users there are meant to be."""
        ...

    async def set_users(self, users: int) -> None:
        """Go to that many concurrent users, now."""
        ...

    async def requests(self) -> tuple[int, int]:
        """Requests finished so far, and how many of them failed."""
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """What a fault may touch: the environment, and the load on it."""

    environment: Environment
    load: Load | None = None
    folder: Path = Path()
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Injection:
    """A fault in force: whether the target felt it, when that was seen (monotonic ns), and the evidence."""

    felt: bool
    at: Ns
    evidence: dict[str, Scalar] = field(default_factory=dict)
    why: str = ""


class Fault(Protocol):
    """What is done to the system: a frozen dataclass. `str(fault)` is what reports print."""

    @property
    def needs(self) -> frozenset[Capability]:
        """What the environment must be able to do."""
        ...

    @property
    def links(self) -> frozenset[str]:
        """The databases that must be reached through a faulty link."""
        ...

    def applied_to(self, stage: Stage) -> AbstractAsyncContextManager[Injection]:
        """Inject it; leave: undo it, also on error and cancellation. FaultError where it has no target."""
        ...
