"""Two substrates side by side, as a table and as JSON."""

import io
import json

from rich.console import Console

from harness.checking.parity import compare
from harness.reporting import parity as told
from tests.checking.test_parity import held, ineffective, side, trials


def text(of: object) -> str:
    console = Console(width=160, file=io.StringIO())
    console.print(of)
    return console.file.getvalue()


def test_the_table_has_a_column_a_substrate_and_ends_with_what_it_comes_to() -> None:
    shown = text(told.render(held(trials(), trials(ineffective()))))
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "shop/pool local kind" in lines
    assert "verdict effective ineffective" in lines
    assert "treated, in time 2 of 2 0 of 2" in lines
    assert "environment up 2.90 s (≤ 2.90 s) 2.90 s (≤ 2.90 s)" in lines
    assert "runbook.md:42 kubectl get pods ok ×2 ok ×2" in lines
    assert any(line.startswith("✗ they do not agree: local says effective: ") for line in lines)
    assert "· the treated arm recovered in time in 2 of 2 and 0 of 2 trials" in lines


def test_agreement_is_said_in_a_line() -> None:
    assert "✓ they agree: both say effective" in text(told.render(held(trials(), trials())))


def test_the_json_has_figures_in_nanoseconds_and_both_sides() -> None:
    parity = compare(side("local", trials()), side("kind", trials(ineffective())))
    (found,) = json.loads(told.encode([parity]))
    assert (found["scenario"], found["outcome"]) == ("shop/pool", "failed")
    local, kind = found["sides"]
    assert (local["substrate"], local["verdict"], kind["verdict"]) == ("local", "effective", "ineffective")
    assert local["up_ns"] == 2_900_000_000
    assert local["rta_ns"][1] >= local["rta_ns"][0] > 3_000_000_000
    assert kind["rta_ns"][1] is None
    assert local["rpa_ns"] is None
    assert found["steps"][0] == ["runbook.md:41", "SELECT 1", "ok ×2", "ok ×2"]
