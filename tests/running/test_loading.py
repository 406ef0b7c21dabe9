"""Scenarios are found in Python files; what does not load is told with its line, all of it at once."""

from pathlib import Path

import pytest

from harness.errors import InputError
from harness.running.loading import find, load

SCENARIO = """
from dataclasses import replace
from harness.model.load import HttpProbe
from harness.model.objectives import Objective, Recovery
from harness.model.topology import Topology
from harness.model.units import minutes
from harness.scenario import Scenario
from harness.testing import Break

FIRST = Scenario(
    title="first", runbook="runbook.md", procedure="down", topology=Topology("s"), fault=Break(),
    probes=(), objectives=(), recovery=Recovery(rto=minutes(1)),
)
"""
SECOND = SCENARIO + '\nSECOND = replace(FIRST, title="second")\n_HIDDEN = replace(FIRST, title="hidden")\n'


def written(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return folder


def problems(*arguments: object) -> list[str]:
    with pytest.raises(InputError) as caught:
        load([str(each) for each in arguments])
    return [str(problem) for problem in caught.value.problems]


def test_a_single_scenario_is_called_after_its_folder_and_file(tmp_path: Path) -> None:
    folder = written(tmp_path / "shop", drop=SCENARIO)
    (loaded,) = load([str(folder / "drop.py")])
    assert (loaded.name, loaded.scenario.title) == ("shop/drop", "first")
    assert loaded.runbook == folder / "runbook.md"


def test_several_scenarios_of_a_file_are_told_apart_by_their_variables(tmp_path: Path) -> None:
    folder = written(tmp_path / "shop", drop=SECOND)
    assert [one.name for one in load([str(folder / "drop.py")])] == ["shop/drop:FIRST", "shop/drop:SECOND"]


def test_one_of_several_can_be_chosen_by_its_variable(tmp_path: Path) -> None:
    folder = written(tmp_path / "shop", drop=SECOND)
    (loaded,) = load([f"{folder / 'drop.py'}:SECOND"])
    assert (loaded.name, loaded.scenario.title) == ("shop/drop:SECOND", "second")


def test_the_only_scenario_of_a_file_can_be_chosen_by_its_variable_too(tmp_path: Path) -> None:
    folder = written(tmp_path / "shop", drop=SCENARIO)
    assert [one.name for one in load([f"{folder / 'drop.py'}:FIRST"])] == ["shop/drop"]


def test_a_variable_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    folder = written(tmp_path / "shop", drop=SECOND)
    (problem,) = problems(f"{folder / 'drop.py'}:IRST")
    assert "no scenario `IRST` in it (it has: FIRST, SECOND)" in problem


def test_a_folder_gives_every_scenario_below_it_but_not_of_private_files_and_tests(tmp_path: Path) -> None:
    written(tmp_path / "a", one=SCENARIO, _two=SCENARIO, test_three=SCENARIO, conftest=SCENARIO, system="X = 1\n")
    written(tmp_path / "b", one=SCENARIO)
    assert [one.name for one in load([str(tmp_path)])] == ["a/one", "b/one"]


def test_what_is_asked_for_twice_is_loaded_once(tmp_path: Path) -> None:
    folder = written(tmp_path / "a", one=SCENARIO)
    assert len(load([str(folder), str(folder / "one.py"), f"{folder / 'one.py'}:FIRST"])) == 1


def test_scenarios_of_two_folders_that_a_run_would_call_the_same_are_refused(tmp_path: Path) -> None:
    one, other = written(tmp_path / "x/shop", drop=SCENARIO), written(tmp_path / "y/shop", drop=SCENARIO)
    (problem,) = problems(one, other)
    assert "are both called `shop/drop`" in problem


def test_relative_imports_reach_the_own_folder_even_where_modules_are_called_the_same(tmp_path: Path) -> None:
    for name in ("a", "b"):
        written(
            tmp_path / name,
            system=f'TITLE = "the system of {name}"\n',
            one=SCENARIO.replace('"first"', "TITLE").replace("\nFIRST", "\nfrom .system import TITLE\n\nFIRST"),
        )
    assert [one.scenario.title for one in load([str(tmp_path)])] == ["the system of a", "the system of b"]


def test_a_file_that_raises_is_told_with_the_line_that_did(tmp_path: Path) -> None:
    folder = written(tmp_path / "a", one="x = 1\n\ndef f():\n    return {}['no']\n\nf()\n")
    assert problems(folder / "one.py") == [f"{folder / 'one.py'}:4: does not load: KeyError: 'no'"]


def test_a_syntax_error_is_told_with_its_own_file_and_line(tmp_path: Path) -> None:
    folder = written(tmp_path / "a", one="x = 1\nfrom .system import X\n", system="\n\nX = = 2\n")
    (problem,) = problems(folder / "one.py")
    assert problem.startswith(f"{folder / 'system.py'}:3: does not load: SyntaxError:")


def test_an_error_in_what_a_file_imports_is_told_where_it_is(tmp_path: Path) -> None:
    folder = written(tmp_path / "a", one="x = 1\nfrom .system import X\n", system="\n\nX = 1 / 0\n")
    assert problems(folder / "one.py") == [
        f"{folder / 'system.py'}:3: does not load: ZeroDivisionError: division by zero"
    ]


def test_an_import_that_fails_is_told_at_the_importing_line(tmp_path: Path) -> None:
    folder = written(tmp_path / "a", one="x = 1\nimport no_such_module\n")
    (problem,) = problems(folder / "one.py")
    assert problem.startswith(f"{folder / 'one.py'}:2: does not load: ModuleNotFoundError")


def test_a_file_that_exits_does_not_end_the_program_with_its_status(tmp_path: Path) -> None:
    folder = written(tmp_path / "a", one="raise SystemExit(0)\n")
    assert problems(folder / "one.py") == [f"{folder / 'one.py'}:1: does not load: SystemExit: 0"]


def test_a_file_that_failed_once_fails_again(tmp_path: Path) -> None:
    folder = written(tmp_path / "a", one="x = 1 / 0\n")
    assert problems(folder / "one.py") == problems(folder / "one.py")


@pytest.mark.parametrize("name", ["with-dash.py", "notes.md"])
def test_a_file_that_is_no_module_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(SCENARIO, encoding="utf-8")
    (problem,) = problems(tmp_path / name)
    assert "not a Python file that can be imported" in problem


def test_a_file_without_a_scenario_is_said_to_have_none(tmp_path: Path) -> None:
    folder = written(tmp_path / "a", one="x = 1\n")
    (problem,) = problems(folder / "one.py")
    assert f"{folder / 'one.py'}: no scenario in it (it has: none)" in problem


def test_what_is_not_there_is_said_not_to_be(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path / "nowhere.py")
    assert f"{tmp_path / 'nowhere.py'}: no such file or folder" in problem


def test_every_problem_is_told_at_once_and_what_loads_is_still_found(tmp_path: Path) -> None:
    folder = written(tmp_path / "a", bad="1 / 0\n", good=SCENARIO, worse="import no_such_module\n")
    found, wrong = find([str(folder), str(tmp_path / "nowhere.py")])
    assert [one.name for one in found] == ["a/good"]
    assert [str(each).split(": ")[0] for each in wrong] == [
        f"{folder / 'bad.py'}:1",
        f"{folder / 'worse.py'}:1",
        f"{tmp_path / 'nowhere.py'}",
    ]
