"""The one word about a procedure, from all its trials' verdicts. Not what surrounds it in an assessment (assess, limits).

Precedence, the first that applies (tests/checking/test_words.py has it as a table):

1. invalid       no treated trial counts; or the system breaks with nothing done to it (baseline)
2. harmful       the control keeps what the treated arm breaks; or the procedure alone (sham) does damage
3. broken        a command cannot work as written
4. ineffective   a treated trial does not recover, or loses more than the RPO allows
5. slow          a treated trial recovers too late
6. inconclusive  a treated trial tells nothing, too many do not count, or there is no control
7. unnecessary   the control recovers as well
8. effective
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from harness.checking import durability, procedure, timeliness
from harness.model.design import BASELINE, CONTROL, SHAM, TREATED, Arm
from harness.model.units import Ns
from harness.model.verdict import Finding, Outcome, Status, Verdict, Word

INVALID_CAP: Final = 0.2
"""The share of treated trials that may not count; above it the rest is no fair sample."""

SPARE: Final = 1
"""How many of them may not count whatever their share: one, of a machine that hiccups once."""


@dataclass(frozen=True, slots=True)
class Trials:
    """The verdicts of one scenario's trials, by arm; `rpo` in ns is what they were judged by."""

    verdicts: tuple[Verdict, ...]
    rpo: Ns | None = None

    def of(self, arm: Arm) -> tuple[Verdict, ...]:
        """All of an arm."""
        return tuple(v for v in self.verdicts if v.arm == arm)

    def counted(self, arm: Arm) -> tuple[Verdict, ...]:
        """Those from which something follows."""
        return tuple(v for v in self.of(arm) if v.outcome is not Outcome.INVALID)


def word_for(trials: Trials) -> tuple[Word, str]:
    """The word, and why it is that one, as a sentence."""
    questions = (
        (Word.INVALID, _invalid),
        (Word.HARMFUL, _harmful),
        (Word.BROKEN, _broken),
        (Word.INEFFECTIVE, _ineffective),
        (Word.SLOW, _slow),
        (Word.INCONCLUSIVE, _inconclusive),
        (Word.UNNECESSARY, _unnecessary),
    )
    for word, question in questions:
        why = question(trials)
        if why:
            return word, why
    treated, control = len(trials.counted(TREATED)), len(trials.counted(CONTROL))
    return Word.EFFECTIVE, f"recovered within RTO and RPO in {_times(treated)}, and not without it in {_times(control)}"


def _invalid(trials: Trials) -> str:
    broken = [v for v in trials.counted(BASELINE) if v.outcome is Outcome.FAILED]
    if broken:
        return f"the system breaks with nothing done to it: {_first(broken, Outcome.FAILED)}"
    treated = trials.of(TREATED)
    if treated and not trials.counted(TREATED):
        return f"no treated trial counts: {_first(treated, Outcome.INVALID)}"
    return ""


def _harmful(trials: Trials) -> str:
    damaged = [v for v in trials.counted(SHAM) if _failed(v, timeliness.CHECK, durability.CHECK, durability.INTEGRITY)]
    if damaged:
        return f"the procedure alone does damage: {_first(damaged, Outcome.FAILED)}"
    treated, control = trials.counted(TREATED), trials.counted(CONTROL)
    excused = {kind for v in control if v.loss for kind in durability.violations(v.loss)}
    for verdict in treated:
        added = (
            {k: n for k, n in durability.violations(verdict.loss).items() if k not in excused} if verdict.loss else {}
        )
        if added:
            told = ", ".join(f"{n} {kind.replace('_', ' ')}" for kind, n in added.items())
            return f"what is stored after it is not what was written ({verdict.trial}): {told}"
    kept = [v for v in control if v.loss and v.loss.lost == 0 and v.loss.acked > 0]
    losing = [v for v in treated if v.loss and v.loss.lost and (trials.rpo is None or _failed(v, durability.CHECK))]
    if losing and kept and len(kept) == len(control):
        return f"it loses data that the control keeps: {_lost(losing[0])}"
    unrecovered = [v for v in treated if v.status in (Status.MISS, Status.CENSORED) and v.outcome is Outcome.FAILED]
    if unrecovered and control and all(_healed(v) for v in control):
        told = _why(unrecovered[0], timeliness.CHECK)
        return f"the control recovers within the RTO, and under the procedure it does not: {told}"
    return ""


def _lost(verdict: Verdict) -> str:
    """What was found of its loss, also where there was no RPO to fail."""
    told = next((f.why for f in verdict.findings if f.check == durability.CHECK), "no reason given")
    return f"{told} ({verdict.trial})"


def _broken(trials: Trials) -> str:
    wrong = [
        f for v in (*trials.counted(TREATED), *trials.counted(SHAM)) for f in _of(v, procedure.CHECK, Outcome.FAILED)
    ]
    return f"{f'{wrong[0].source}: ' if wrong[0].source else ''}{wrong[0].why}" if wrong else ""


def _ineffective(trials: Trials) -> str:
    treated = trials.counted(TREATED)
    stuck = [v for v in treated if v.status is Status.CENSORED and v.outcome is Outcome.FAILED]
    if stuck:
        idle = _of(stuck[0], procedure.STEP, Outcome.INCONCLUSIVE)
        hints = "; ".join(f"{f'{f.source}: ' if f.source else ''}{f.why}" for f in idle)
        return f"{_share(stuck, treated)}{_why(stuck[0], timeliness.CHECK)}{f'; {hints}' if hints else ''}"
    losing = [v for v in treated if _failed(v, durability.CHECK, durability.INTEGRITY)]
    if losing:
        return f"{_share(losing, treated)}{_why(losing[0], durability.CHECK, durability.INTEGRITY)}"
    other = [v for v in treated if v.outcome is Outcome.FAILED and v.status is not Status.MISS]
    return f"{_share(other, treated)}{_first(other, Outcome.FAILED)}" if other else ""


def _slow(trials: Trials) -> str:
    treated = trials.counted(TREATED)
    late = [v for v in treated if v.status is Status.MISS and v.outcome is Outcome.FAILED]
    return f"{_share(late, treated)}{_why(late[0], timeliness.CHECK)}" if late else ""


def _inconclusive(trials: Trials) -> str:
    treated, control = trials.counted(TREATED), trials.counted(CONTROL)
    if not treated:
        return "the procedure was not tried with the fault (no treated trial)"
    unclear = [v for v in treated if v.outcome is not Outcome.PASSED]
    if unclear:
        return f"{_share(unclear, treated)}{_first(unclear, Outcome.INCONCLUSIVE)}"
    tried = trials.of(TREATED)
    if len(tried) - len(treated) > max(SPARE, INVALID_CAP * len(tried)):
        return (
            f"{len(tried) - len(treated)} of {len(tried)} treated trials do not count: {_first(tried, Outcome.INVALID)}"
        )
    if not control:
        uncounted = trials.of(CONTROL)
        why = (
            f"no control trial counts ({_first(uncounted, Outcome.INVALID)})"
            if uncounted
            else "there is no control trial"
        )
        return f"{why}, so it is not known whether the system heals by itself"
    healed = [v for v in control if _healed(v)]
    unclear = [v for v in control if v.outcome is Outcome.INCONCLUSIVE]
    if unclear or 0 < len(healed) < len(control):
        some = f"{_share(healed, control)}it healed by itself" if healed else _first(unclear, Outcome.INCONCLUSIVE)
        return f"whether the system heals by itself is not settled: {some}"
    return ""


def _unnecessary(trials: Trials) -> str:
    control = trials.counted(CONTROL)
    return f"without it: {_why(control[0], timeliness.CHECK)}" if necessary(trials) is False else ""


def _healed(verdict: Verdict) -> bool:
    """Whether a control recovered within the RTO by itself, with its data as good as the RPO asks."""
    return verdict.status is Status.OK and not _failed(verdict, durability.CHECK, durability.INTEGRITY)


def effective(trials: Trials) -> bool | None:
    """Whether service and data come back in time under the procedure; None where the trials do not tell."""
    treated = trials.counted(TREATED)
    if any(v.outcome is Outcome.FAILED for v in treated):
        return False
    return True if treated and all(v.outcome is Outcome.PASSED for v in treated) else None


def necessary(trials: Trials) -> bool | None:
    """Whether they do not without it; None without a control, or where its trials do not agree."""
    control = [v for v in trials.counted(CONTROL) if v.outcome is not Outcome.INCONCLUSIVE]
    healed = sum(_healed(v) for v in control)
    if not control or 0 < healed < len(control):
        return None
    return healed == 0


def harmless(trials: Trials) -> bool | None:
    """Whether it does no damage; True takes a sham arm, None where there is none and nothing was seen."""
    if _harmful(trials):
        return False
    sham = trials.counted(SHAM)
    return True if sham and all(v.outcome is Outcome.PASSED for v in sham) else None


def _of(verdict: Verdict, check: str, outcome: Outcome) -> list[Finding]:
    return [f for f in verdict.findings if f.check == check and f.outcome is outcome]


def _failed(verdict: Verdict, *checks: str) -> bool:
    return any(f.check in checks and f.outcome is Outcome.FAILED for f in verdict.findings)


def _first(verdicts: Iterable[Verdict], outcome: Outcome) -> str:
    """The first reason of that outcome among the trials, with the trial it is of."""
    return next(
        (f"{f.why} ({v.trial})" for v in verdicts for f in v.findings if f.outcome is outcome), "no reason given"
    )


def _why(verdict: Verdict, *checks: str) -> str:
    """All that failed of these checks in a trial."""
    told = [f.why for f in verdict.findings if f.check in checks and f.outcome is Outcome.FAILED]
    return f"{'; '.join(told) or 'no reason given'} ({verdict.trial})"


def _share(some: Sequence[Verdict], every: Sequence[Verdict]) -> str:
    return "" if len(some) == len(every) else f"in {len(some)} of {len(every)} trials: "


def _times(n: int) -> str:
    return "1 trial" if n == 1 else f"{n} trials"
