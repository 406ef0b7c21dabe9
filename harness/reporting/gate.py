"""A gate in words: what it will do before its first trial, and what may be claimed after its last. No figures of its own."""

from collections.abc import Sequence
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.checking.evidence import Claim, Evidence
from harness.checking.gate import Characteristics, Decision, Gate
from harness.checking.record import Record
from harness.model.design import CONTROL
from harness.model.units import show
from harness.model.verdict import Outcome
from harness.reporting.summary import OUTCOME_STYLE
from harness.reporting.wording import MARK, STATUS, between, duration, one_line, reason, visible

_DECIDED: Final = {
    Decision.PASS: "PASS",
    Decision.FAIL: "FAIL",
    Decision.INCONCLUSIVE: "INCONCLUSIVE",
    Decision.OPEN: "OPEN",
}


def render_ahead(gate: Gate, ahead: Sequence[tuple[Characteristics, str]]) -> RenderableType:
    """What a gate will do from here on, exactly, for each true P(success), with the time that is expected of it."""
    tier = gate.tier
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("if truly P(success) is", "PASS", "FAIL", "inconclusive", "further treated trials", "expected time"):
        table.add_column(name, justify="left" if name.startswith("if") else "right")
    for each, wall in ahead:
        table.add_row(
            f"{each.p:g}{_said(gate, each.p)}",
            f"{each.passed:.3f}",
            f"{each.failed:.3f}",
            f"{each.inconclusive:.3f}",
            f"{each.expected_n:.1f}",
            wall,
        )
    rule = (
        f"{tier.name}: p0 {tier.p0:g}, p1 {tier.p1:g}, alpha {tier.alpha:g}, beta {tier.beta:g}, at most {tier.n_max} "
        f"trials that count; {gate.to_pass} successes in a row pass, {gate.to_fail} failures in a row fail"
    )
    cells = f"; {gate.cells} cells, Bonferroni on the failing side" if gate.cells > 1 else ""
    begun = f"; {gate.ok} of {gate.n} succeeded so far" if gate.n else ""
    return Group(Text(f"{rule}{cells}{begun}"), table)


def _said(gate: Gate, p: float) -> str:
    if p == gate.tier.p0:
        return " (p0: a PASS is false)"
    return " (p1: a FAIL is false)" if p == gate.tier.p1 else ""


def render_trial(record: Record) -> Text:
    """One trial as it ends, on a line."""
    verdict = record.verdict
    took = f", RTA {between(verdict.rta.fault)}" if verdict.rta else ""
    why = next((f": {f.why}" for f in verdict.findings if f.outcome in (Outcome.INVALID, Outcome.FAILED)), "")
    mark = "·" if verdict.outcome is Outcome.PASSED and record.arm == CONTROL else MARK[verdict.outcome]
    text = Text(f"{mark} ", style=OUTCOME_STYLE[verdict.outcome])
    return text.append(
        f"{one_line(record.cell)} {record.trial}: {STATUS[verdict.status]}{took}{reason(why)}", style="default"
    )


def render_evidence(evidence: Evidence, claim: Claim) -> RenderableType:
    """The claim, and beneath it what bounds it."""
    outcome = evidence.outcome
    head = Text(f"{MARK[outcome]} ", style=OUTCOME_STYLE[outcome])
    head.append(f"{one_line(evidence.cell)}: {sentence(evidence, claim)}", style="default")
    notes = Group(*(Text(f"· {visible(each)}") for each in remarks(evidence, claim)))
    return Group(head, Padding(notes, (0, 0, 1, 2)))


def sentence(evidence: Evidence, claim: Claim) -> str:
    """What may be claimed, in one sentence, with everything that it is bounded by."""
    tier, said = evidence.gate.tier, _DECIDED[evidence.decision]
    rto = show(evidence.recovery.rto)
    parts = [f"{said} {tier.name}: {claim.ok}/{claim.n} recovered within {rto}{_short(evidence)}", _evident(evidence)]
    if claim.n:
        parts.append(
            f"always-valid 95% lower bound {claim.always_valid:.3f}; fixed-sample Clopper-Pearson 95% lower bound "
            f"{claim.clopper_pearson:.3f} (descriptive after stopping early)"
        )
    if claim.slowest is not None:
        parts.append(f"slowest {between(claim.slowest)}{_bounded(claim)}")
    if claim.rpa is not None and claim.loss_upper is not None:
        parts.append(
            f"RPA max {between(claim.rpa)} at resolution {duration(claim.resolution)}, "
            f"P(trial loses data) < {claim.loss_upper:.3f}"
        )
    hosts = sorted({f"{r.place.host_class}" for r in evidence.records})
    if hosts:
        parts.append(f"environments on {', '.join(hosts)} only")
    return "; ".join(part for part in parts if part)


def _short(evidence: Evidence) -> str:
    """Why it decided otherwise than by its evidence."""
    if evidence.gate.violated:
        return ", but acknowledged data was lost or spoilt, which fails at once"
    if evidence.decision is Decision.INCONCLUSIVE and (evidence.spoilt or evidence.hopeless):
        return f", but {evidence.invalid()} trials cannot be counted, and at most a fifth may be"
    return ""


def _evident(evidence: Evidence) -> str:
    tier, gate = evidence.gate.tier, evidence.gate
    match gate.decision:
        case _ if gate.violated:
            return ""
        case Decision.PASS:
            return f"always-valid evidence against p<={tier.p0:g} at alpha {tier.alpha:g}"
        case Decision.FAIL:
            share = f"{tier.beta:g}/{gate.cells}" if gate.cells > 1 else f"{tier.beta:g}"
            return f"always-valid evidence against p>={tier.p1:g} at beta {share}"
        case Decision.OPEN | Decision.INCONCLUSIVE:
            return f"neither p<={tier.p0:g} nor p>={tier.p1:g} is excluded"


def _bounded(claim: Claim) -> str:
    if claim.rank is None or claim.bound is None:
        return ""
    return (
        f", so p{claim.rank.quantile * 100:g} <= {duration(claim.bound)} with {claim.rank.confidence:.0%} confidence "
        "(fixed-sample)"
    )


def remarks(evidence: Evidence, claim: Claim) -> tuple[str, ...]:
    """What a reader must know beside the claim: attribution, what did not count, what it would be if it had."""
    told = [_attribution(evidence, claim)]
    if claim.invalid:
        reasons = ", ".join(f"{n} {why}" for why, n in claim.reasons)
        told.append(
            f"{claim.invalid} treated trials did not count ({reasons}) and were replaced; had they failed, it would be "
            f"{_DECIDED[claim.if_invalid_failed]}"
        )
    elif claim.n:
        told.append("every treated trial counted")
    if claim.unclear:
        told.append(f"{claim.unclear} trials that the checks could not decide count as failures")
    if claim.n:
        quantiles = ", ".join(
            f"{name} {duration(value) if value is not None else f'not reached in {show(evidence.recovery.horizon)}'}"
            for name, value in (("median", claim.median), ("p90", claim.p90), ("p95", claim.p95))
        )
        told.append(
            f"Kaplan-Meier of recovery: {quantiles}; log e-value {claim.evidence:.2f}; Wilson {claim.wilson:.3f}"
        )
    people = max((r.verdict.rta.human for r in evidence.records if r.verdict.rta), default=0)
    if people:
        told.append(f"these are the machine's times; people would add up to {show(people)}, as declared")
    if claim.autocorrelation is not None:
        told.append(
            f"lag-1 autocorrelation of log RTA {claim.autocorrelation:+.2f}; each trial had an environment of its own"
        )
    told.append(f"{len(evidence.records)} trials in {show(claim.cost)} of trial time")
    return tuple(told)


def _attribution(evidence: Evidence, claim: Claim) -> str:
    if not claim.control_n:
        return "no control trial counts: whether the recovery is the procedure's doing is not known"
    exact = f" (Fisher's exact one-sided p {claim.p_control:.3g})" if claim.p_control is not None else ""
    seen = f"control: {claim.control_ok} of {claim.control_n} recovered within the RTO without the procedure{exact}"
    match evidence.attributable:
        case True:
            return f"{seen}: the recovery is the procedure's doing"
        case False:
            return f"{seen}: RECOVERY NOT ATTRIBUTABLE, the system heals by itself"
        case None:
            return f"{seen}: whether the recovery is the procedure's doing is not settled"
