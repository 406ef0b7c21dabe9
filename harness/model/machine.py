"""What a machine has that drills need. Values; not how it is found out."""

from dataclasses import dataclass
from enum import StrEnum


class Presence(StrEnum):
    """How it stands with a thing."""

    THERE = "there"
    SCARCE = "scarce"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing: what was found, what it is for, and, unless it is there, what to do."""

    name: str
    presence: Presence
    found: str
    purpose: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Ability:
    """What can be drilled on a substrate here, or why nothing can; each reason ends with its remedy."""

    substrate: str
    able: tuple[str, ...]
    reasons: tuple[str, ...] = ()
