"""What can go wrong with a request or with the harness itself. What the *system* does wrong is data, never one of these.

RundrillError
├── InputError       the request cannot be met as written: every problem at once; exit status 2
└── HarnessError     the harness could not do its work; exit status 4
    ├── SubstrateError   an environment could not be brought up, entered or left
    ├── FaultError       a fault could not be injected or undone
    ├── InstrumentError  a probe, load or ledger process did not do its work
    └── StoreError       a stored run cannot be read
"""

from collections.abc import Iterable
from dataclasses import dataclass

from harness.model.source import Source


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the input: where, what was expected and found, and what to do about it."""

    message: str
    source: Source | None = None
    remedy: str = ""

    def __str__(self) -> str:
        place = f"{self.source}: " if self.source else ""
        remedy = f"\n    {self.remedy}" if self.remedy else ""
        return f"{place}{self.message}{remedy}"


class RundrillError(Exception):
    """The root of everything Rundrill raises on purpose."""


class InputError(RundrillError):
    """The request cannot be met as written. `problems` is never empty."""

    def __init__(self, problems: Iterable[Problem] | Problem) -> None:
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UnableError(InputError):
    """The request is sound, and this machine or substrate lacks what it needs."""


class HarnessError(RundrillError):
    """The harness could not do its work; nothing follows about the runbook."""


class SubstrateError(HarnessError):
    """An environment could not be brought up, entered or left."""


class FaultError(HarnessError):
    """A fault could not be injected or undone."""


class InstrumentError(HarnessError):
    """A probe, load or ledger process did not do its work."""


class StoreError(HarnessError):
    """A stored run cannot be read."""
