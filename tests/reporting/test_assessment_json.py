import json
from dataclasses import replace

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from harness.model.units import seconds
from harness.reporting import assessment_json
from harness.reporting.assessment_json import Document
from harness.reporting.drill import Drill
from tests.reporting.builder import CALL, drill, hostile


def read(data: bytes) -> Document:
    return msgspec.json.decode(data, type=Document, strict=True)


def test_the_file_reads_back_into_its_own_types() -> None:
    rendered = assessment_json.render([drill(), hostile()])
    assert msgspec.json.format(msgspec.json.encode(read(rendered)), indent=2) + b"\n" == rendered


def test_it_holds_verdict_terms_timeline_loss_and_steps() -> None:
    (cell,) = read(assessment_json.render([drill()])).cells
    assert (cell.verdict, cell.effective, cell.harmless) == ("effective", True, None)
    assert cell.fault == "DropIndex(orders.customer_id)"
    assert cell.substrate == ("local, isolated by namespaces",)
    assert cell.terms is not None
    assert cell.terms.recovery.rto == seconds(900)
    treated, _, control = cell.trials
    assert treated.t is not None
    assert treated.t.origin == CALL
    assert (treated.t.call, treated.t.ret, treated.t.detect) == (0, seconds(0.3), seconds(2.1))
    assert treated.t.rec is not None
    assert treated.t.rec.hi == seconds(6.2)
    assert treated.rpo is not None
    assert treated.rpo.acked == 412
    assert [step.phase for step in treated.steps] == ["ok", "ok", "info", "ok", "ok", "fail"]
    assert treated.steps[3].deviation.startswith("the table takes writes")
    assert treated.steps[5].data["status"] == 2
    assert treated.instrument[0]["lag_p99_ns"] == 2_100_000
    assert control.t is not None
    assert control.t.rec is None
    assert {step.phase for step in control.steps} == {None}


def test_keys_stand_in_a_fixed_order_whatever_the_drill() -> None:
    first, second = (json.loads(assessment_json.render([each]))["cells"][0] for each in (drill(), hostile()))
    assert list(first) == list(second)
    assert list(first)[:4] == ["scenario", "procedure", "runbook", "fault"]
    assert assessment_json.render([drill()]) == assessment_json.render([drill()])


def test_trials_whose_history_is_gone_keep_their_verdict() -> None:
    (cell,) = read(assessment_json.render([Drill(drill().assessment, ())])).cells
    assert [trial.status for trial in cell.trials] == ["ok", "ok", "censored"]
    assert cell.trials[0].t is None


@given(st.text())
def test_any_text_survives(text: str) -> None:
    assessment = replace(drill().assessment, why=text)
    assert read(assessment_json.render([Drill(assessment, ())])).cells[0].why == text
