import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model.verdict import Finding, Outcome, Word
from harness.reporting import junit
from harness.reporting.drill import Drill
from tests.reporting.builder import HOSTILE, at, drill, hostile

# What the schemas in use (Jenkins' junit-10.xsd, the Ant/windyroad one) allow, with `file` and `line` as pytest adds them.
ALLOWED = {
    "testsuites": {"name", "tests", "failures", "errors", "skipped", "time"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "file"},
    "testcase": {"classname", "name", "time", "file", "line"},
    "properties": set(),
    "property": {"name", "value"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "skipped": {"message"},
    "system-out": set(),
}
CHILDREN = {
    "testsuites": r"(testsuite )*",
    "testsuite": r"properties (testcase )*(system-out )?",
    "testcase": r"(skipped |error |failure )?(system-out )?",
    "properties": r"(property )*",
}


def check_schema(rendered: bytes) -> ET.Element:
    root = ET.fromstring(rendered)  # noqa: S314
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.attrib) <= ALLOWED[element.tag]
        order = "".join(f"{child.tag} " for child in element)
        assert re.fullmatch(CHILDREN.get(element.tag, ""), order), (element.tag, order)
    for element in (root, *root.iter("testsuite")):
        for tag, key in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped"), ("testcase", "tests")):
            assert int(element.get(key, "-1")) == len(list(element.iter(tag)))
        assert float(element.get("time", "x")) >= 0
    for case in root.iter("testcase"):
        assert case.get("name")
        assert case.get("classname")
        assert int(case.get("line", "1")) > 0
    return root


def case(root: ET.Element, name: str) -> ET.Element:
    return next(each for each in root.iter("testcase") if each.get("name", "").startswith(name))


def test_a_suite_has_a_case_per_trial_and_one_for_the_verdict() -> None:
    root = check_schema(junit.render([drill()]))
    names = [each.get("name") for each in root.iter("testcase")]
    assert names == ["treated-1", "treated-2", "control-1", "verdict: effective"]
    assert root.get("failures") == root.get("errors") == root.get("skipped") == "0"
    suite = root[0]
    assert suite.get("timestamp") == "2025-10-09T08:53:20"
    figures = {each.get("name"): each.get("value") for each in suite.iter("property")}
    assert figures["rta_lo_s"] == "6.150"
    assert figures["rta_hi_s"] == "6.200"
    assert figures["rto_s"] == "900.000"
    assert figures["control-1.rta_lo_s"] == "20.000"
    assert "control-1.rta_hi_s" not in figures
    assert "harmless" not in figures


def test_a_failed_verdict_is_a_failure_at_the_runbook_line() -> None:
    root = check_schema(junit.render([drill(word=Word.BROKEN, outcome=Outcome.FAILED)]))
    verdict = case(root, "verdict")
    failure = verdict.find("failure")
    assert failure is not None
    assert (verdict.get("file"), verdict.get("line")) == ("scenarios/inventory/runbook.md", "61")
    assert failure.get("type") == "broken"
    assert (failure.get("message") or "").startswith("broken: both treated trials")
    assert "scenarios/inventory/runbook.md:61: psql wants a password" in (failure.text or "")
    assert root.get("failures") == "1"


@pytest.mark.parametrize("outcome", [Outcome.INCONCLUSIVE, Outcome.INVALID])
def test_an_undecided_verdict_is_an_error_and_never_green(outcome: Outcome) -> None:
    root = check_schema(junit.render([drill(word=Word(str(outcome)), outcome=outcome)]))
    error = case(root, "verdict").find("error")
    assert error is not None
    assert error.get("type") == outcome
    assert root.get("errors") == "1"


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.PASSED])
def test_a_trial_that_did_not_pass_never_looks_green(outcome: Outcome) -> None:
    plain = drill()
    verdicts = (replace(plain.assessment.verdicts[0], outcome=outcome), *plain.assessment.verdicts[1:])
    root = check_schema(junit.render([Drill(replace(plain.assessment, verdicts=verdicts), plain.histories)]))
    trial = case(root, "treated-1")
    expected = "failure" if outcome is Outcome.FAILED else "skipped"
    assert trial.find(expected) is not None


def test_hostile_text_stays_text() -> None:
    rendered = junit.render([hostile()])
    root = check_schema(rendered)
    assert b"<script>" not in rendered
    assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]", rendered)
    assert "<script>alert(1)</script> &amp; ]]> red" in (case(root, "verdict")[0].text or "")


def test_no_drills_is_an_empty_report() -> None:
    assert check_schema(junit.render([])).get("tests") == "0"


@given(st.text(), st.sampled_from(list(Outcome)))
def test_any_text_makes_well_formed_xml(text: str, outcome: Outcome) -> None:
    found = (Finding("check", Outcome.FAILED, text, (), at(3)),)
    assessment = replace(drill().assessment, scenario=text, why=text + HOSTILE, findings=found, limits=(text,))
    check = ET.fromstring(junit.render([Drill(replace(assessment, outcome=outcome), ())]))  # noqa: S314
    assert check.get("tests") == "4"
