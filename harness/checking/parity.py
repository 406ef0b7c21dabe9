"""Do two substrates say the same of a scenario? Two experiments on it → verdicts, times and steps side by side. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from harness.model.design import ARMS, TREATED
from harness.model.history import Event, History, Name, Phase
from harness.model.units import Ns
from harness.model.verdict import Assessment, Outcome, Word

UNSETTLED = frozenset({Word.INVALID, Word.INCONCLUSIVE})


@dataclass(frozen=True, slots=True)
class Times:
    """Durations of a substrate's trials in ns, medians: environment up, the trial in it, environment gone; None where no trial
    came that far. `slowest` is the longest that an environment took to come up."""

    up: Ns | None
    trial: Ns | None
    down: Ns | None
    slowest: Ns | None


@dataclass(frozen=True, slots=True)
class Side:
    """What one substrate says: the assessment, and of what."""

    substrate: str
    assessment: Assessment
    histories: tuple[History, ...]

    @property
    def times(self) -> Times:
        """How long its trials took."""
        spans = [_spans(history) for history in self.histories]
        up, trial, down = ([span for each in spans if (span := each[n]) is not None] for n in range(3))
        return Times(_median(up), _median(trial), _median(down), max(up, default=None))


@dataclass(frozen=True, slots=True)
class StepPair:
    """One command and what became of it in the treated trials of either side: `ok ×5`, `failed (1) ×2, timed out ×3`."""

    source: str
    text: str
    one: str
    other: str

    @property
    def alike(self) -> bool:
        """Whether the same became of it, however often."""
        return _kinds(self.one) == _kinds(self.other)


@dataclass(frozen=True, slots=True)
class Parity:
    """A scenario on two substrates. `outcome`: passed if the verdicts are the same, failed if not, inconclusive where one of
    them is no verdict. `why` is a sentence; `differences` are what else is not the same."""

    scenario: str
    one: Side
    other: Side
    steps: tuple[StepPair, ...]
    outcome: Outcome
    why: str
    differences: tuple[str, ...]


def compare(one: Side, other: Side) -> Parity:
    """Hold the two against each other."""
    steps = _steps(one, other)
    words = one.assessment.word, other.assessment.word
    if UNSETTLED & set(words):
        outcome = Outcome.INCONCLUSIVE
        why = "; ".join(_says(side) for side in (one, other) if side.assessment.word in UNSETTLED)
    elif words[0] is words[1]:
        outcome, why = Outcome.PASSED, f"both say {words[0]}"
    else:
        outcome, why = Outcome.FAILED, "; ".join(_says(side) for side in (one, other))
    found = (*_arms(one, other), *(_differs(step, one, other) for step in steps if not step.alike))
    return Parity(one.assessment.scenario, one, other, steps, outcome, why, found)


def _says(side: Side) -> str:
    return f"{side.substrate} says {side.assessment.word}: {side.assessment.why}"


def _arms(one: Side, other: Side) -> Iterable[str]:
    """Arms whose trials ended in another way: in time on the one side always, on the other never."""
    for arm in ARMS:
        pair = [
            next((a for a in side.assessment.arms if a.arm == arm and a.n > a.invalid), None) for side in (one, other)
        ]
        if pair[0] and pair[1]:
            shares = [each.ok / (each.n - each.invalid) for each in pair if each]
            if abs(shares[0] - shares[1]) == 1:
                ended = " and ".join(f"{each.ok} of {each.n - each.invalid}" for each in pair if each)
                yield f"the {arm} arm recovered in time in {ended} trials"


def _differs(step: StepPair, one: Side, other: Side) -> str:
    return f"{step.source}: `{step.text}` was {step.one} on {one.substrate}, {step.other} on {other.substrate}"


def _steps(one: Side, other: Side) -> tuple[StepPair, ...]:
    """Every step of the plan, in its order."""
    histories = [*one.histories, *other.histories]
    terms = histories[0].header.terms.steps if histories else ()
    return tuple(
        StepPair(str(each.source), " ".join(each.text.split()), _became(one, each.index), _became(other, each.index))
        for each in terms
        if each.what == "command"
    )


def _became(side: Side, index: int) -> str:
    """What became of a step in the treated trials that count."""
    counted = {v.trial for v in side.assessment.verdicts if v.arm == TREATED and v.outcome is not Outcome.INVALID}
    ends = Counter(_end(history, index) for history in side.histories if history.header.trial in counted)
    return ", ".join(f"{end} ×{number}" for end, number in sorted(ends.items())) or "not seen"


def _end(history: History, index: int) -> str:
    last: Event | None = None
    for event in history.named(Name.STEP, Phase.OK, Phase.FAIL, Phase.INFO):
        if event.data.get("step") == index:
            last = event
    if last is None:
        return "not reached"
    status = last.data.get("status")
    match last.phase:
        case Phase.OK:
            return "ok"
        case Phase.FAIL:
            return f"failed ({status})" if isinstance(status, int) else "failed"
        case _:
            return "ended from outside"


def _kinds(ends: str) -> frozenset[str]:
    return frozenset(each.rpartition(" ×")[0] for each in ends.split(", "))


def _spans(history: History) -> tuple[Ns | None, Ns | None, Ns | None]:
    """Environment up, trial, environment gone."""
    begun, up = history.first(Name.ENVIRONMENT, Phase.INVOKE), history.first(Name.ENVIRONMENT, Phase.OK)
    over = history.first(Name.TRIAL, Phase.OK)
    if begun is None or up is None:
        return None, None, None
    last = max(event.at for event in history.events if event is not over)
    return up.at - begun.at, last - up.at, over.at - last if over else None


def _median(spans: Sequence[Ns]) -> Ns | None:
    return round(median(spans)) if spans else None
