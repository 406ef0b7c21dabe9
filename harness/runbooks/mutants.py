"""Plan → plans that differ from it by one deliberate mistake, of the kinds people make in runbooks; and plans without some of
their steps. Pure. What they are good for is found by running them (running.deciding)."""

import hashlib
import itertools
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from harness.model.history import StepTerms
from harness.model.source import Source
from harness.plan import Plan, PlannedStep

EXECUTED: Final = ("shell", "sql", "python")


class Kind(StrEnum):
    """What was done to the procedure."""

    DROPPED = "dropped step"
    SWAPPED = "swapped steps"
    PLACE = "wrong place"
    STALE = "stale name"
    THRESHOLD = "wrong threshold"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A broken twin of a plan: `what` is the difference, for people, `source` the runbook line it is in."""

    kind: Kind
    what: str
    source: Source
    plan: Plan


_PLACE: Final = (
    re.compile(r"(?P<before>(?<![\w-])(?:-n|--namespace)[ =])(?P<name>[\w][\w.-]*)"),
    re.compile(r"(?P<before>(?<![\w-])(?:-h|--host)[ =])(?P<name>[\w][\w.-]*)"),
    re.compile(r"(?P<before>://(?:[^\s/@]+@)?)(?P<name>[A-Za-z][\w.-]*)"),
)
_FLAG: Final = re.compile(r"(?<=\s)--(?P<name>[a-z][\w-]+)")
_CATALOGUE: Final = re.compile(r"\bpg_[a-z]\w+")
_NUMBER: Final = re.compile(r"(?<![\w.:/$-])(?P<number>[1-9]\d{0,8})(?![\w.:/])")


def executed(plan: Plan) -> tuple[PlannedStep, ...]:
    """The steps of the procedure that run something."""
    return tuple(step for step in plan.steps if step.executor in EXECUTED)


def without(plan: Plan, left_out: Collection[int], *, why: str = "left out to see what it is good for") -> Plan:
    """The plan with the steps of these indexes not run, which every report of it says. ValueError where it has none of one."""
    missing = set(left_out) - {step.terms.index for step in executed(plan)}
    if missing:
        raise ValueError(f"expected steps that run something, found {sorted(missing)}")
    steps = tuple(
        replace(step, terms=replace(step.terms, what="skipped", deviation=why), executor="skipped", timeout=0)
        if step.terms.index in left_out
        else step
        for step in plan.steps
    )
    return _varied(plan, steps, f"without {sorted(left_out)}")


def mutants(plan: Plan, kinds: Collection[Kind] = tuple(Kind)) -> tuple[Mutant, ...]:
    """Every broken twin of these kinds, by kind and then by line; no two are alike."""
    makers = {
        Kind.DROPPED: _dropped,
        Kind.SWAPPED: _swapped,
        Kind.PLACE: _places,
        Kind.STALE: _stale,
        Kind.THRESHOLD: _thresholds,
    }
    made = (mutant for kind, maker in makers.items() if kind in kinds for mutant in maker(plan))
    return tuple({mutant.plan.steps: mutant for mutant in made if mutant.plan.steps != plan.steps}.values())


def _dropped(plan: Plan) -> Iterator[Mutant]:
    for step in executed(plan):
        left = without(plan, (step.terms.index,), why="dropped, to see whether anybody notices")
        yield Mutant(Kind.DROPPED, f"without `{_short(step.terms.text)}`", step.terms.source, left)


def _swapped(plan: Plan) -> Iterator[Mutant]:
    running = executed(plan)
    for first, second in itertools.pairwise(running):
        order = list(plan.steps)
        a, b = order.index(first), order.index(second)
        order[a], order[b] = second, first
        what = f"`{_short(second.terms.text)}` before `{_short(first.terms.text)}`"
        swapped = f"swapped {first.terms.index} {second.terms.index}"
        yield Mutant(Kind.SWAPPED, what, first.terms.source, _varied(plan, tuple(order), swapped))


def _places(plan: Plan) -> Iterator[Mutant]:
    for step in executed(plan):
        for pattern in _PLACE:
            yield from _rewritten(plan, step, Kind.PLACE, pattern, r"\g<before>wrong-\g<name>")


def _stale(plan: Plan) -> Iterator[Mutant]:
    """A flag, or a catalogue's function or view, as it was called in another version."""
    for step in executed(plan):
        if step.executor == "shell":
            yield from _rewritten(plan, step, Kind.STALE, _FLAG, r"--old-\g<name>")
        yield from _rewritten(plan, step, Kind.STALE, _CATALOGUE, r"\g<0>_old")


def _thresholds(plan: Plan) -> Iterator[Mutant]:
    """The first number of each command a thousand times as large, and a thousandth."""
    for step in executed(plan):
        found = _NUMBER.search(step.terms.text)
        if found is None:
            continue
        number = int(found["number"])
        for other in (number * 1000, number // 1000):
            yield from _rewritten(plan, step, Kind.THRESHOLD, _NUMBER, str(other))


def _rewritten(plan: Plan, step: PlannedStep, kind: Kind, pattern: re.Pattern[str], by: str) -> Iterator[Mutant]:
    """The plan with the first match in one step's text replaced; nothing where there is none."""
    text = pattern.sub(by, step.terms.text, count=1)
    if text == step.terms.text:
        return
    changed = replace(step, terms=replace(step.terms, text=text, deviation=f"mutated: {kind}"))
    steps = tuple(changed if each is step else each for each in plan.steps)
    told = f"`{_short(step.terms.text)}` → `{_short(text)}`"
    yield Mutant(kind, told, step.terms.source, _varied(plan, steps, f"{kind} {step.terms.index} {text}"))


def _varied(plan: Plan, steps: tuple[PlannedStep, ...], what: str) -> Plan:
    """The plan with other steps, the terms it is judged by included, and a digest of its own."""
    changed: dict[int, StepTerms] = {step.terms.index: step.terms for step in steps}
    terms = tuple(changed.get(each.index, each) for each in plan.terms.steps)
    digest = hashlib.sha256(f"{plan.digest}\n{what}".encode()).hexdigest()
    return replace(plan, steps=steps, terms=replace(plan.terms, steps=terms), digest=digest)


def _short(text: str, limit: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
