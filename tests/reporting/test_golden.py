from dataclasses import fields
from pathlib import Path

import pytest

from harness.reporting.assessment_json import ArmRecord, Cell, Document, Moments, StepRecord, TrialRecord
from tests.reporting.golden import FOLDER, reports

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "reports.md"


@pytest.mark.parametrize("name", ["summary.txt", "junit.xml", "assessment.json"])
def test_a_report_of_the_hand_written_drill_is_what_it_was(name: str) -> None:
    assert reports()[name].decode().splitlines() == (FOLDER / name).read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("record", [Document, Cell, TrialRecord, Moments, StepRecord, ArmRecord])
def test_every_key_of_the_assessment_is_documented(record: type) -> None:
    documented = DOCUMENTATION.read_text(encoding="utf-8")
    undocumented = [
        each.name
        for each in fields(record)
        if not any(
            f"{before}{each.name}{after}" in documented for before in ("`", "`.", "`t.") for after in ("`", "[]`")
        )
    ]
    assert undocumented == []
