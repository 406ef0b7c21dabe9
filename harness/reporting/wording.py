"""How values are worded in every report: durations, intervals, symbols, text that came from outside. No layout."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from harness.model.design import Arm
from harness.model.units import SECOND, Ns, show
from harness.model.verdict import Assessment, Finding, Interval, Outcome, Recovered, Status, Verdict, Word

SYMBOL: Final = {
    Word.EFFECTIVE: "✓",
    Word.SLOW: "◔",
    Word.INEFFECTIVE: "✗",
    Word.UNNECESSARY: "≈",
    Word.HARMFUL: "▲",
    Word.BROKEN: "‖",
    Word.INCONCLUSIVE: "?",
    Word.INVALID: "∅",
}
"""A sign for each word that can be told apart without colour."""

MARK: Final = {Outcome.PASSED: "✓", Outcome.FAILED: "✗", Outcome.INCONCLUSIVE: "?", Outcome.INVALID: "∅"}
"""A sign for each outcome that can be told apart without colour."""

STATUS: Final = {
    Status.OK: "recovered in time",
    Status.MISS: "recovered too late",
    Status.CENSORED: "not recovered while watched",
    Status.NO_BREACH: "never broke",
    Status.INVALID: "cannot be counted",
}
"""What became of a trial, for people."""

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\ufffe\uffff]"
)


def visible(text: str) -> str:
    r"""`text` with nothing in it that a terminal, a browser or an XML reader would obey or hide.

    Colour sequences go; line ends become `\n`; other control and bidirectional characters are written out (`⟨U+001B⟩`),
    so that a report can neither be forged nor misread (CVE-2021-42574).
    """
    text = _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _UNSEEN.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", text)


def one_line(text: str, *, limit: int = 200) -> str:
    """`text` made visible, on one line, cut at `limit` characters."""
    folded = " ".join(visible(text).split())
    return folded if len(folded) <= limit else folded[: limit - 1] + "…"


def reason(text: str, *, limit: int = 200) -> str:
    """Why something is so, on one line: a remedy, which errors have on an indented line of its own, follows after a dash."""
    return one_line(text.replace("\n    ", " — "), limit=limit)


def duration(value: Ns | None) -> str:
    """A measured duration, to the hundredth second: `850 ms`, `6.25 s`, `31.5 min`; a dash for none."""
    if value is None or abs(value) < SECOND or abs(value) >= 120 * SECOND or value % SECOND == 0:
        return show(value)
    return f"{value / SECOND:.2f} s"


def between(interval: Interval | None) -> str:
    """An interval, rounded outwards to 10 ms: `[6.20, 6.25] s`; `> 20 s` where its end was not seen; a dash for none."""
    if interval is None:
        return "–"
    if interval.hi is None:
        return f"> {duration(interval.lo)}"
    if interval.hi == 0:
        return "0 s"
    unit, size = ("s", SECOND) if interval.hi < 120 * SECOND else ("min", 60 * SECOND)
    lo = math.floor(interval.lo * 100 / size) / 100
    hi = math.ceil(interval.hi * 100 / size) / 100
    return f"[{lo:.2f}, {hi:.2f}] {unit}"


def parts(rta: Recovered) -> str:
    """RTA in its parts: as the users saw it, and from the first command."""
    known = [("seen by users", rta.user), ("from the first command", rta.procedure)]
    return " · ".join(f"{between(value)} {what}" for what, value in known if value is not None)


def sign(verdict: Verdict) -> str:
    """The sign of a trial's outcome; a dot where an arm without the procedure passed: that is no merit of the procedure."""
    return "·" if verdict.outcome is Outcome.PASSED and not verdict.arm.procedure else MARK[verdict.outcome]


def line(finding: Finding) -> str:
    """A finding in one line, its runbook line first."""
    place = f"{finding.source}: " if finding.source else ""
    return f"{visible(place)}{visible(finding.why)} [{finding.check}]"


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Invalid, failed, inconclusive, then passed; as they came within each."""
    order = (Outcome.INVALID, Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.PASSED)
    return tuple(sorted(findings, key=lambda each: order.index(each.outcome)))


@dataclass(frozen=True, slots=True)
class Found:
    """A finding, and the trials it was made of (none: of the experiment as a whole)."""

    finding: Finding
    trials: tuple[str, ...] = ()

    @property
    def of(self) -> str:
        """Which check found it, in which trials: `procedure: treated-1, treated-2`."""
        return one_line(": ".join(each for each in (self.finding.check, ", ".join(self.trials)) if each))


def found(assessment: Assessment) -> tuple[Found, ...]:
    """The assessment's findings and those of its trials, each once, worst first. Equal ones differ at most in evidence."""
    of: dict[Finding, list[str]] = {replace(each, evidence=()): [] for each in assessment.findings}
    for verdict in assessment.verdicts:
        for each in verdict.findings:
            of.setdefault(replace(each, evidence=()), []).append(verdict.trial)
    return tuple(Found(each, tuple(dict.fromkeys(of[each]))) for each in worst_first(of))


def trials(assessment: Assessment, arm: Arm) -> str:
    """How many of an arm's trials recovered in time: `2 of 2`, `0 of 3 (1 invalid)`; a dash where there were none."""
    summary = next((each for each in assessment.arms if each.arm == arm), None)
    if summary is None or summary.n == 0:
        return "–"
    return f"{summary.ok} of {summary.n}" + (f" ({summary.invalid} invalid)" if summary.invalid else "")
