"""All trials of a scenario → its assessment: the word, the figures of its arms, what is not known. Pure.

Which word it is, is decided in `words`; the sentences that bound the claim are made in `limits`.
"""

from collections.abc import Sequence

from harness.checking import alerts
from harness.checking.intervals import clopper_pearson_lower
from harness.checking.limits import limits
from harness.checking.words import Trials, effective, harmless, necessary, word_for
from harness.model.design import ARMS, CONTROL, SHAM, TREATED, Arm
from harness.model.history import History
from harness.model.units import Ns
from harness.model.verdict import (
    ArmSummary,
    Assessment,
    Finding,
    Interval,
    Outcome,
    Status,
    Verdict,
    Word,
)


def assess(  # noqa: PLR0913 - what a stored scenario says of itself, kept flat
    scenario: str,
    verdicts: Sequence[Verdict],
    histories: Sequence[History],
    *,
    expect: Word | None = None,
    because: str = "",
    caveats: tuple[str, ...] = (),
) -> Assessment:
    """The assessment of one scenario's trials. `expect`: the word its text is known to deserve, `because` of what; the
    outcome is then passed if and only if that is the word. `caveats` are the scenario's own limits, told first."""
    trials = Trials(tuple(verdicts), histories[0].header.terms.recovery.rpo if histories else None)
    word, why = word_for(trials)
    outcome, told = _outcome(word, expect, because)
    treated = trials.counted(TREATED)
    rta = _span([v.rta.fault for v in treated if v.rta])
    return Assessment(
        scenario=scenario,
        word=word,
        outcome=outcome,
        why=f"{why}{told}",
        arms=tuple(summary(arm, trials.of(arm)) for arm in ARMS if trials.of(arm)),
        verdicts=tuple(verdicts),
        rta=rta,
        rpa=_span([v.loss.rpa for v in treated if v.loss]),
        human=max((v.rta.human for v in treated if v.rta), default=0),
        findings=_notable(trials) if word is not Word.INVALID else (),
        limits=(*caveats, *limits(verdicts, histories, word=word, rta=rta)),
        alerts=alerts.sentences(verdicts),
        effective=effective(trials),
        necessary=necessary(trials),
        harmless=harmless(trials),
    )


def summary(arm: Arm, verdicts: Sequence[Verdict]) -> ArmSummary:
    """An arm's trials by status, with the Clopper-Pearson limit over those that count. Recovered in the RTO is what is
    counted: a trial without a breach is no success."""
    of = {status: sum(v.status is status for v in verdicts) for status in Status}
    counted = of[Status.OK] + of[Status.MISS] + of[Status.CENSORED]
    return ArmSummary(
        arm=arm,
        n=len(verdicts),
        ok=of[Status.OK],
        miss=of[Status.MISS],
        censored=of[Status.CENSORED],
        no_breach=of[Status.NO_BREACH],
        invalid=of[Status.INVALID],
        bound=clopper_pearson_lower(of[Status.OK], counted),
    )


def _outcome(word: Word, expect: Word | None, because: str) -> tuple[Outcome, str]:
    """Passed if effective, or if it is the word that was expected; what is inconclusive or invalid never passes."""
    reason = f", because {because}" if because else ""
    if word is Word.INVALID:
        return Outcome.INVALID, ""
    if word is Word.INCONCLUSIVE:
        return Outcome.INCONCLUSIVE, ""
    if expect is None:
        return (Outcome.PASSED if word is Word.EFFECTIVE else Outcome.FAILED), ""
    if word is expect:
        return Outcome.PASSED, f" (as expected{reason})"
    return Outcome.FAILED, f" (expected to be {expect}{reason}; if the text was mended, remove the expectation)"


def _notable(trials: Trials) -> tuple[Finding, ...]:
    """What belongs to no single trial."""
    told = ((necessary(trials), CONTROL, "necessary"), (harmless(trials), SHAM, "harmless"))
    return tuple(
        Finding("attribution", Outcome.INCONCLUSIVE, f"whether it is {claim} is not known: {_missing(trials, arm)}")
        for known, arm, claim in told
        if known is None
    )


def _missing(trials: Trials, arm: Arm) -> str:
    if not trials.of(arm):
        return f"the {arm} arm was not run"
    return f"no {arm} trial counts" if not trials.counted(arm) else f"the {arm} trials do not settle it"


def _span(intervals: Sequence[Interval]) -> Interval | None:
    """[least lo, greatest hi]; open where one of them is."""
    if not intervals:
        return None
    ends: list[Ns] = [i.hi for i in intervals if i.hi is not None]
    return Interval(min(i.lo for i in intervals), max(ends) if len(ends) == len(intervals) else None)
