"""Scores a reading against a ground truth made by hand: precision and recall, and every difference by its line."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.errors import InputError, Problem
from harness.model.runbook import Command, Runbook, Target, TargetKind
from harness.model.source import Source
from harness.runbooks import quantities


class TrueCommand(msgspec.Struct, frozen=True):
    """One command of the truth, at its first line; a flag left out is false."""

    line: int
    lang: str
    text: str = ""
    placeholders: tuple[str, ...] = ()
    interactive: bool = False
    blocking: bool = False
    tty_flag: bool = False
    destructive: bool = False


class TrueProcedure(msgspec.Struct, frozen=True):
    """One procedure of the truth, at its heading."""

    title: str
    line: int
    commands: tuple[TrueCommand, ...] = ()


class TrueTarget(msgspec.Struct, frozen=True):
    """One numeric objective of the truth."""

    kind: str
    value: float
    unit: str
    line: int


class TrueAlert(msgspec.Struct, frozen=True):
    """One alert rule of the truth, where it is named."""

    name: str
    line: int


class Truth(msgspec.Struct, frozen=True):
    """What a runbook says, established by hand. Further keys (defects, notes) are not scored."""

    procedures: tuple[TrueProcedure, ...] = ()
    targets: tuple[TrueTarget, ...] = ()
    alerts: tuple[TrueAlert, ...] = ()
    file: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """One aspect: how many were right, missed and made up, and which, as `line: what`."""

    aspect: str
    right: int
    missed: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def precision(self) -> float | None:
        """The share of what was read that is true; None where nothing was read."""
        read = self.right + len(self.extra)
        return self.right / read if read else None

    @property
    def recall(self) -> float | None:
        """The share of what is true that was read; None where nothing is true."""
        true = self.right + len(self.missed)
        return self.right / true if true else None


@dataclass(frozen=True, slots=True)
class Scores:
    """Every aspect of one reading, or of several added up."""

    path: str
    aspects: tuple[Score, ...]


def load_truth(path: Path) -> Truth:
    """The ground truth in the JSON file at `path`. InputError where it cannot be read or is of another shape."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Truth)
    except OSError as error:
        raise InputError(
            Problem(f"cannot be read: {error.strerror}; expected ground truth as JSON", Source(str(path), 1))
        ) from error
    except msgspec.DecodeError as error:
        raise InputError(
            Problem(f"no ground truth: {error}", Source(str(path), 1), "docs/reading.md gives the format")
        ) from error


def check(runbook: Runbook, truth: Truth) -> Scores:
    """The scores of `runbook` against `truth`.

    A command is right if its line and language are; placeholders and flags are scored on the commands that are right. A
    procedure is right if its line is; procedures without commands count only where the truth has them.
    """
    read = list(runbook.commands())
    true = [command for procedure in truth.procedures for command in procedure.commands]
    pairs = _pairs(true, read)
    true_lines = {procedure.line for procedure in truth.procedures}
    procedures = [
        one for one in runbook.procedures if one.source.line in true_lines or any(True for _ in one.commands())
    ]
    aspects = [
        _score(
            "procedures",
            ((one.line, one.title) for one in truth.procedures),
            ((one.source.line, one.title) for one in procedures),
            key=_line,
        ),
        _score(
            "commands", ((one.line, one.lang) for one in true), ((one.source.line, one.language.value) for one in read)
        ),
        _score("command lines", ((one.line,) for one in true), ((one.source.line,) for one in read)),
        _score(
            "placeholders",
            ((told.line, text) for told, _ in pairs for text in told.placeholders),
            ((told.line, one.text) for told, found in pairs for one in found.placeholders),
        ),
    ]
    for flag, of_truth, of_reading in _FLAGS:
        true_flags = ((told.line,) for told, _ in pairs if of_truth(told))
        aspects.append(_score(flag, true_flags, ((told.line,) for told, found in pairs if of_reading(found))))
    aspects.append(_score("targets", map(_true_target, truth.targets), map(_read_target, runbook.targets)))
    return Scores(runbook.source.path, tuple(aspects))


_FLAGS: tuple[tuple[str, Callable[[TrueCommand], bool], Callable[[Command], bool]], ...] = (
    ("interactive", lambda told: told.interactive, lambda found: found.interactive),
    ("blocking", lambda told: told.blocking, lambda found: found.blocking),
    ("needs no terminal", lambda told: told.tty_flag, lambda found: found.tty),
    ("destructive", lambda told: told.destructive, lambda found: found.destructive),
)


def total(scores: Iterable[Scores]) -> Scores:
    """Several readings' scores added up; what was missed or made up carries its file."""
    everything = tuple(scores)
    names = dict.fromkeys(aspect.aspect for one in everything for aspect in one.aspects)
    aspects = []
    for name in names:
        parts = [(one.path, aspect) for one in everything for aspect in one.aspects if aspect.aspect == name]
        missed = tuple(f"{path}:{what}" for path, aspect in parts for what in aspect.missed)
        extra = tuple(f"{path}:{what}" for path, aspect in parts for what in aspect.extra)
        aspects.append(Score(name, sum(aspect.right for _, aspect in parts), missed, extra))
    return Scores("all", tuple(aspects))


def _line(one: tuple[Hashable, ...]) -> Hashable:
    return one[0]


def _all(one: tuple[Hashable, ...]) -> Hashable:
    return one


def _score(
    aspect: str,
    true: Iterable[tuple[Hashable, ...]],
    read: Iterable[tuple[Hashable, ...]],
    *,
    key: Callable[[tuple[Hashable, ...]], Hashable] = _all,
) -> Score:
    """Compared as multisets: two commands on one line are two."""
    expected, found = list(true), list(read)
    of_truth, of_reading = Counter(map(key, expected)), Counter(map(key, found))
    right = sum((of_truth & of_reading).values())
    return Score(aspect, right, _named(expected, of_truth - of_reading, key), _named(found, of_reading - of_truth, key))


def _named(
    ones: Sequence[tuple[Hashable, ...]],
    counts: "Counter[Hashable]",
    key: Callable[[tuple[Hashable, ...]], Hashable],
) -> tuple[str, ...]:
    left = Counter(counts)
    names = []
    for one in ones:
        if left[key(one)] > 0:
            left[key(one)] -= 1
            names.append(": ".join([str(one[0]), " ".join(map(str, one[1:]))]).rstrip(": "))
    return tuple(names)


def _pairs(true: Sequence[TrueCommand], read: Sequence[Command]) -> list[tuple[TrueCommand, Command]]:
    """Each true command with the one read on its line in its language."""
    left = list(read)
    pairs = []
    for told in true:
        found = next((one for one in left if one.source.line == told.line and one.language.value == told.lang), None)
        if found is not None:
            left.remove(found)
            pairs.append((told, found))
    return pairs


def _true_target(target: TrueTarget) -> tuple[Hashable, ...]:
    kind, _, quantile = target.kind.partition("_p")
    kind = kind if quantile else target.kind
    if target.unit in {"%", "percent"}:
        value = round(target.value / 100, 12)
    elif target.unit == "ratio":
        value = target.value
    else:
        duration = quantities.duration(f"{target.value:g} {target.unit}")
        value = float(duration or 0)
    return target.line, kind, value


def _read_target(target: Target) -> tuple[Hashable, ...]:
    kind = "latency" if target.kind is TargetKind.LATENCY else target.kind.value
    return target.source.line, kind, float(target.value)
