"""Bad input ends with status 2, with every problem at once, each at its place, and nothing is started."""

from pathlib import Path

import pytest

CURING = ("--substrate", "tests.running.stage:curing")
HEAD = """
from dataclasses import replace
from harness.model.objectives import Objective, Recovery
from harness.model.topology import Cluster
from harness.model.units import milliseconds, minutes, seconds
from harness.scenario import Deviation
from tests.running.stage import DOWN as _DOWN
"""


@pytest.fixture(autouse=True)
def _nothing_is_started(place: Path):
    before = {path for path in place.rglob("*") if "__pycache__" not in path.parts}
    yield
    after = {path for path in place.rglob("*") if "__pycache__" not in path.parts}
    made = {path for path in after - before if path.parts[len(place.parts)] not in ("shop", "texts")}
    assert not made, "something was made although the input was bad"


def refused(called) -> str:
    assert called.status == 2, called
    assert called.out == ""
    assert "nothing was started" in called.err
    return called.err


def scenario(place: Path, changes: str) -> None:
    (place / "shop/down.py").write_text(f"{HEAD}\nDOWN = replace(_DOWN, {changes})\n", encoding="utf-8")


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ('runbook="nowhere.md"', ["nowhere.md", "no such file"]),
        ('procedure="servce down"', ["runbook.md:1", "servce down", "Service down"]),
        ('follow=("resolution > if the moon is full",)', ["runbook.md:", "if the moon is full"]),
        ('bindings={"<pod-name>": "x"}', ["a binding for `<pod-name>`", "nothing that the drill follows has it"]),
        ('deviations=(Deviation(match="rm -rf", why="no"),)', ["a deviation for `rm -rf`"]),
        ("recovery=Recovery(rto=0)", ["an RTO of 0 s", "cannot be kept"]),
        ("recovery=Recovery(rto=minutes(1), rpo=seconds(1))", ["an RPO without a ledger"]),
        ("recovery=Recovery(rto=minutes(1), horizon=seconds(6))", ["the horizon (6 s) is shorter than window + hold (8 s)"]),
        ("recovery=Recovery(rto=minutes(1), window=milliseconds(300))", ["6 probes in 300 ms cannot tell whether"]),
        ('objectives=(Objective("availability", ratio=1.0),)', ["a ratio of 1", "less than 1"]),
        ('objectives=(Objective("availability", ratio=0.9999),)', ["cannot tell whether 0.9999", "the shortest window"]),
        ('objectives=(Objective("latency"),)', ["the objective on `latency` has no probe", "`availability` has no objective"]),
        ("objectives=()", ["no objective: nothing would say when service is back"]),
    ],
    ids=lambda value: value.split("=")[0] if isinstance(value, str) else "",
)  # fmt: skip
def test_a_scenario_that_cannot_be_met_is_refused_with_what_is_wrong(rundrill, place, command, changes, told) -> None:
    scenario(place, changes)
    err = refused(rundrill(command, "shop/down.py", *CURING))
    for each in told:
        assert each in err


def test_what_is_wrong_with_a_clusters_stack_is_told_with_the_rest_before_anything_starts(
    rundrill, place: Path
) -> None:
    stack = place / "texts"
    stack.mkdir()
    (stack / "10.yaml").write_text("kind: Service\nmetadata: {name: web}\n")
    (stack / "20.yaml").write_text("kind: Service\nmetadata: {name: web}\n---\nkind: [\n")
    (stack / "30.yaml").write_text("kind: Service\nmetadata: {name: web, namespace: elsewhere}\nspec: $PORT\n")
    topology = f'replace(_DOWN.topology, cluster=Cluster(stack="{stack}", namespace="shop"))'
    scenario(place, f"topology={topology}, objectives=()")
    err = refused(rundrill("run", "shop/down.py", "--substrate", "local"))
    for told in (
        "20.yaml:5: not YAML",
        "30.yaml:1: Service 'web' is of namespace 'elsewhere', which no manifest makes",
        "30.yaml:3: there is no variable ${PORT}",
        "no objective: nothing would say when service is back",
    ):
        assert told in err


def test_an_empty_runbook_is_refused(rundrill, place: Path) -> None:
    (place / "shop/runbook.md").write_text("")
    assert "runbook.md" in refused(rundrill("run", "shop", *CURING))


def test_a_placeholder_without_a_binding_is_refused_at_its_line(rundrill, place: Path) -> None:
    text = (place / "shop/runbook.md").read_text().replace("mend-it --now", "kubectl delete pod <pod-name>")
    (place / "shop/runbook.md").write_text(text)
    err = refused(rundrill("run", "shop", *CURING))
    assert "shop/runbook.md:17: nothing is bound to the placeholder `<pod-name>`" in err
    assert 'add bindings={"<pod-name>": "…"} to the scenario' in err


def test_files_that_are_missing_empty_or_broken_are_all_told_at_once(rundrill, place: Path) -> None:
    (place / "shop/broken.py").write_text("x = 1\ny = = 2\n")
    (place / "shop/empty.py").write_text("")
    err = refused(rundrill("run", "nowhere.py", "shop/broken.py", "shop/empty.py", "shop/down.py:UP", *CURING))
    assert "nowhere.py: no such file or folder" in err
    assert "shop/broken.py:2: does not load: SyntaxError" in err
    assert "shop/empty.py: no scenario in it" in err
    assert "shop/down.py: no scenario `UP` in it (it has: DOWN)" in err
    assert "4 problems" in err


def test_problems_of_every_kind_are_told_together(rundrill, place: Path) -> None:
    scenario(place, 'procedure="servce down", objectives=()')
    (place / "shop/broken.py").write_text("1 / 0\n")
    err = refused(rundrill("run", "shop", "--substrate", "locl", "--arms", "treated,sideways"))
    for told in (
        "there is no substrate `locl`",
        "there is no arm `sideways`",
        "shop/broken.py:1: does not load: ZeroDivisionError",
        "servce down",
        "no objective",
    ):
        assert told in err


def test_an_unknown_substrate_is_answered_with_those_there_are(rundrill) -> None:
    err = refused(rundrill("run", "shop", "--substrate", "moon"))
    assert "there is no substrate `moon`" in err
    assert "local" in err


@pytest.mark.parametrize("name", ["no_such_module:Thing", "tests.running.stage:NoSuchThing"])
def test_a_substrate_that_does_not_load_is_refused(rundrill, name: str) -> None:
    assert f"the substrate `{name}` does not load" in refused(rundrill("run", "shop", "--substrate", name))


def test_an_unknown_arm_is_answered_with_those_there_are(rundrill) -> None:
    err = refused(rundrill("run", "shop", *CURING, "--arms", "tested,treated"))
    assert "there is no arm `tested`" in err
    assert "choose from: baseline, control, treated, sham" in err


def test_a_substrate_that_lacks_what_is_needed_is_refused_with_each_need(rundrill) -> None:
    err = refused(rundrill("run", "shop", "--substrate", "tests.running.stage:bare"))
    assert "has no PostgreSQL" in err
    assert "has no real processes" in err


def test_a_command_that_the_substrate_has_no_cluster_for_is_refused_at_its_line(rundrill, place: Path) -> None:
    text = (place / "shop/runbook.md").read_text().replace("mend-it --now", "kubectl get pods")
    (place / "shop/runbook.md").write_text(text)
    err = refused(rundrill("run", "shop", "--substrate", "local"))
    assert "shop/runbook.md:17: `kubectl get pods` needs a Kubernetes cluster" in err


@pytest.mark.parametrize("command", ["run", "plan"])
def test_another_runbook_that_is_not_there_is_refused_once(rundrill, place: Path, command: str) -> None:
    (place / "shop/twin.py").write_text((place / "shop/down.py").read_text())
    err = refused(rundrill(command, "shop", *CURING, "--runbook", "texts/nowhere.md"))
    assert err.count("texts/nowhere.md") == 1


@pytest.mark.parametrize("command", ["run", "plan", "show", "judge", "report", "reap"])
def test_an_unknown_option_is_refused(rundrill, command: str) -> None:
    called = rundrill(command, "x", "--sideways")
    assert called.status == 2
    assert "--sideways" in called.err


@pytest.mark.parametrize(
    "option", [("--repetitions", "0"), ("--repetitions", "many"), ("--jobs", "0"), ("--seed", "x")], ids=" ".join
)
def test_a_number_that_is_none_is_refused(rundrill, option) -> None:
    called = rundrill("run", "shop", *CURING, *option)
    assert called.status == 2
    assert option[0] in called.err


def test_a_run_without_scenarios_is_refused(rundrill) -> None:
    called = rundrill("run")
    assert called.status == 2
    assert "SCENARIO" in called.err


@pytest.mark.parametrize("text", [None, ""], ids=["missing", "empty"])
def test_show_refuses_a_file_that_is_missing_or_empty(rundrill, place: Path, text) -> None:
    if text is not None:
        (place / "shop/empty.md").write_text(text)
    assert "shop/empty.md" in refused(rundrill("show", "shop/empty.md"))


@pytest.mark.parametrize("command", ["judge", "report"])
def test_a_run_that_is_not_there_is_refused(rundrill, command: str) -> None:
    assert "no run in runs" in refused(rundrill(command, "latest"))
    assert "no run `20200101-000000-ffff` in runs" in refused(rundrill(command, "20200101-000000-ffff"))


def test_a_folder_that_is_no_run_is_trouble_not_a_failed_runbook(rundrill, place: Path) -> None:
    called = rundrill("judge", "shop")
    assert called.status == 4
    assert "no scenario.json" in called.err
