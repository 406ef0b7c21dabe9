"""`junit.xml`, as GitHub's and GitLab's readers render it: a suite per scenario, a case per trial, one for the verdict.

An assessment that failed is a `failure`; one that is inconclusive or invalid is an `error`: red, never green. A trial that
is inconclusive or invalid is `skipped` (grey: it counts for nothing), because the verdict's case says what that means.
"""

import math
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, assert_never
from xml.etree import ElementTree as ET

from harness.model.history import History, Name, Phase
from harness.model.source import Source
from harness.model.units import SECOND, Ns
from harness.model.verdict import Assessment, Finding, Interval, Outcome, Verdict
from harness.reporting.drill import Drill
from harness.reporting.wording import STATUS, between, found, line, parts, reason, visible, worst_first

_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(drills: Sequence[Drill]) -> bytes:
    """The file's bytes: XML 1.0 in UTF-8. Control characters are written out or left away; times are in seconds."""
    root = ET.Element("testsuites", name="rundrill")
    totals = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for drill in drills:
        suite = _suite(drill)
        root.append(suite)
        totals = {key: value + int(suite.get(key, "0")) for key, value in totals.items()}
    root.attrib |= {key: str(value) for key, value in totals.items()}
    root.set("time", _time([float(suite.get("time", "0")) for suite in root]))
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _suite(drill: Drill) -> ET.Element:
    assessment, header = drill.assessment, drill.header
    cases = [_trial_case(drill, verdict) for verdict in assessment.verdicts]
    cases.append(_assessment_case(drill))
    suite = ET.Element("testsuite", name=_clean(assessment.scenario))
    suite.attrib |= {
        "tests": str(len(cases)),
        "failures": _count(cases, "failure"),
        "errors": _count(cases, "error"),
        "skipped": _count(cases, "skipped"),
        "time": _time([float(case.get("time", "0")) for case in cases]),
    }
    if header:
        suite.set("timestamp", datetime.fromtimestamp(header.wall / SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S"))
        suite.set("file", _clean(header.runbook.path))
    properties = ET.SubElement(suite, "properties")
    for name, value in _figures(drill):
        ET.SubElement(properties, "property", name=_clean(name), value=_clean(value))
    suite.extend(cases)
    ET.SubElement(suite, "system-out").text = _clean("\n".join([*drill.where, *drill.remarks]))
    return suite


def _trial_case(drill: Drill, verdict: Verdict) -> ET.Element:
    history = drill.history(verdict)
    case = _case(drill, verdict.trial, verdict.findings, time=_took(history))
    message = STATUS[verdict.status]
    match verdict.outcome:
        case Outcome.PASSED:
            pass
        case Outcome.FAILED:
            _tell(case, "failure", kind=str(verdict.status), message=message, findings=verdict.findings)
        case Outcome.INCONCLUSIVE | Outcome.INVALID:
            message = f"{verdict.outcome}: {message}"
            _tell(case, "skipped", kind="", message=message, findings=verdict.findings)
        case _:
            assert_never(verdict.outcome)
    ET.SubElement(case, "system-out").text = _clean("\n".join(_figures_of(verdict)))
    return case


def _assessment_case(drill: Drill) -> ET.Element:
    assessment = drill.assessment
    findings = [each.finding for each in found(assessment)]
    case = _case(drill, f"verdict: {assessment.word}", findings, time=0)
    message = f"{assessment.word}: {assessment.why}"
    match assessment.outcome:
        case Outcome.PASSED:
            pass
        case Outcome.FAILED:
            _tell(case, "failure", kind=str(assessment.word), message=message, findings=findings)
        case Outcome.INCONCLUSIVE | Outcome.INVALID:
            _tell(case, "error", kind=str(assessment.outcome), message=message, findings=findings)
        case _:
            assert_never(assessment.outcome)
    ET.SubElement(case, "system-out").text = _clean("\n".join([message, *assessment.limits]))
    return case


def _case(drill: Drill, name: str, findings: Sequence[Finding], *, time: Ns) -> ET.Element:
    """A case at the runbook line of its worst finding, or where the procedure begins."""
    case = ET.Element("testcase", classname=_clean(drill.assessment.scenario), name=_clean(name))
    case.set("time", _time([time / SECOND]))
    sources = [each.source for each in worst_first(findings) if each.source and each.outcome is not Outcome.PASSED]
    source: Source | None = sources[0] if sources else drill.header.runbook if drill.header else None
    if source:
        case.set("file", _clean(source.path))
        case.set("line", str(source.line))
    return case


def _tell(case: ET.Element, tag: str, *, kind: str, message: str, findings: Sequence[Finding]) -> None:
    element = ET.SubElement(case, tag, message=_clean(reason(message, limit=1000)))
    if kind:
        element.set("type", kind)
    told = [line(each) for each in worst_first(findings) if each.outcome is not Outcome.PASSED]
    element.text = _clean("\n".join(told or [message]))


def _figures(drill: Drill) -> Iterator[tuple[str, str]]:
    """The suite's properties: durations in seconds; what is not known is left out."""
    assessment, header = drill.assessment, drill.header
    yield "verdict", str(assessment.word)
    yield "outcome", str(assessment.outcome)
    if header:
        recovery = header.terms.recovery
        yield "procedure", header.procedure
        yield "runbook", str(header.runbook)
        yield "runbook.digest", header.runbook_digest
        yield "plan.digest", header.plan
        yield "rundrill.version", header.version
        yield "rto_s", _seconds(recovery.rto)
        if recovery.rpo is not None:
            yield "rpo_s", _seconds(recovery.rpo)
    yield from _bounds("rta", assessment.rta)
    yield from _bounds("rpa", assessment.rpa)
    yield "human_s", _seconds(assessment.human)
    yield from _claims(assessment)
    for arm in assessment.arms:
        yield f"{arm.arm}.n", str(arm.n)
        yield f"{arm.arm}.ok", str(arm.ok)
        yield f"{arm.arm}.invalid", str(arm.invalid)
    for verdict in assessment.verdicts:
        yield f"{verdict.trial}.status", str(verdict.status)
        if verdict.rta:
            yield from _bounds(f"{verdict.trial}.rta", verdict.rta.fault)
        if verdict.loss:
            yield f"{verdict.trial}.lost", str(verdict.loss.lost)
            yield from _bounds(f"{verdict.trial}.rpa", verdict.loss.rpa)


def _claims(assessment: Assessment) -> Iterator[tuple[str, str]]:
    claims = (
        ("effective", assessment.effective),
        ("necessary", assessment.necessary),
        ("harmless", assessment.harmless),
    )
    for name, claim in claims:
        if claim is not None:
            yield name, str(claim).lower()


def _figures_of(verdict: Verdict) -> Iterator[str]:
    yield STATUS[verdict.status]
    if verdict.rta:
        yield f"RTA {between(verdict.rta.fault)} from the fault call"
        yield from [parts(verdict.rta)] if parts(verdict.rta) else []
    if verdict.loss:
        yield f"RPA {between(verdict.loss.rpa)}: {verdict.loss.lost} of {verdict.loss.acked} acknowledged writes lost"
    for finding in worst_first(verdict.findings):
        yield f"{finding.outcome}: {line(finding)}"


def _bounds(name: str, interval: Interval | None) -> Iterator[tuple[str, str]]:
    if interval is None:
        return
    yield f"{name}_lo_s", _seconds(interval.lo)
    if interval.hi is not None:
        yield f"{name}_hi_s", _seconds(interval.hi)


def _took(history: History | None) -> Ns:
    begun = history.first(Name.TRIAL, Phase.INVOKE) if history else None
    return history.events[-1].at - begun.at if history and begun else 0


def _seconds(value: Ns) -> str:
    return f"{value / SECOND:.3f}"


def _time(values: Sequence[float]) -> str:
    return f"{math.fsum(values):.3f}"


def _count(cases: Sequence[ET.Element], tag: str) -> str:
    return str(sum(case.find(tag) is not None for case in cases))


def _clean(text: str) -> str:
    return _NOT_XML.sub("", visible(text))
