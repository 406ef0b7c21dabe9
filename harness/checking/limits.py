"""The sentences that bound a claim: how little was tried, what could not be seen, whose time is not in it. Printed beside
every word, so that none of them can be left out of a quotation."""

from collections.abc import Iterator, Sequence

from harness.checking import backups
from harness.checking.intervals import clopper_pearson_lower
from harness.model.design import BASELINE, CONTROL, SHAM, TREATED
from harness.model.history import History, Terms
from harness.model.units import show
from harness.model.verdict import Interval, Outcome, Status, Verdict, Word


def limits(
    verdicts: Sequence[Verdict], histories: Sequence[History], *, word: Word, rta: Interval | None
) -> tuple[str, ...]:
    """What the claim does not say, in the order in which it matters."""
    if not histories:
        return ("nothing was recorded",)
    if word is Word.INVALID:
        return tuple(_trials(verdicts))  # nothing is claimed that could be bounded
    terms = histories[0].header.terms
    return (
        *_trials(verdicts),
        *_horizon(verdicts, terms, word),
        *_human(verdicts, rta),
        *_loss(verdicts),
        *_backup(verdicts),
        *_arms(verdicts),
        *_place(histories),
    )


def _trials(verdicts: Sequence[Verdict]) -> Iterator[str]:
    counted = [v for v in verdicts if v.arm == TREATED and v.status in (Status.OK, Status.MISS, Status.CENSORED)]
    ok = sum(v.status is Status.OK for v in counted)
    if counted:
        bound = clopper_pearson_lower(ok, len(counted))
        assumed = ", if trials are independent" if len(counted) > 1 else ""
        told = f"with 95% confidence at least {bound:.0%} of such incidents do{assumed}"
        yield f"n = {len(counted)}: {ok} recovered within the RTO, so {told}"
    invalid = sum(v.outcome is Outcome.INVALID for v in verdicts)
    if invalid:
        yield f"{invalid} of {len(verdicts)} trials do not count and are left out"


def _horizon(verdicts: Sequence[Verdict], terms: Terms, word: Word) -> Iterator[str]:
    rto, horizon = terms.recovery.rto, terms.recovery.horizon
    if horizon >= rto:
        return
    if any(v.arm == CONTROL and v.status is Status.CENSORED for v in verdicts):
        yield f"the control was watched for {show(horizon)}: healing later, within the RTO of {show(rto)}, is not excluded"
    if word is Word.INEFFECTIVE:
        yield f"after {show(horizon)} nobody looked: a recovery later, within the RTO of {show(rto)}, is not excluded"


def _human(verdicts: Sequence[Verdict], rta: Interval | None) -> Iterator[str]:
    human = max((v.rta.human for v in verdicts if v.arm == TREATED and v.rta), default=0)
    if human == 0 or rta is None:
        return
    text = f"people's time is declared, not measured: {show(human)}"
    yield text if rta.hi is None else f"{text}, with which it takes {show(rta.hi + human)}"


def _loss(verdicts: Sequence[Verdict]) -> Iterator[str]:
    losses = [v.loss for v in verdicts if v.arm == TREATED and v.loss and v.outcome is not Outcome.INVALID]
    if not losses:
        yield "loss of data was not measured"
        return
    yield f"a loss of less than {show(max(each.resolution for each in losses))} of writes could go unseen (RPA resolution)"
    if not any(each.lost for each in losses):
        worst = 1 - clopper_pearson_lower(len(losses), len(losses))
        yield f"no loss in {len(losses)} trials still leaves up to {worst:.0%} of incidents that lose data (95% confidence)"


def _backup(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """What the backup schedule loses at worst; where it is too much the finding says so itself."""
    treated = [v for v in verdicts if v.arm == TREATED and v.outcome is not Outcome.INVALID]
    told = [f.why for v in treated for f in v.findings if f.check == backups.CHECK and f.outcome is Outcome.PASSED]
    yield from told[:1]


def _arms(verdicts: Sequence[Verdict]) -> Iterator[str]:
    run = {v.arm for v in verdicts}
    for arm, without in (
        (CONTROL, "it is not known whether the system heals by itself"),
        (SHAM, "it is not known what the procedure does to a healthy system"),
        (BASELINE, "that nothing breaks with nothing done rests on each trial's steady state before the fault"),
    ):
        if arm not in run:
            yield f"the {arm} arm was not run: {without}"


def _place(histories: Sequence[History]) -> Iterator[str]:
    places = sorted({f"{h.header.substrate} ({h.header.isolation})" for h in histories})
    yield f"measured on one machine, on {' and '.join(places)}: other hosts and data sizes may recover in other times"
