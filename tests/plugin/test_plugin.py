"""Scenarios as pytest items, on modelled systems: one a trial and one for the assessment, with the runbook's lines."""

import json
import os
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import harness.pytest_plugin  # noqa: F401 - imported here, it survives pytester, which forgets modules: numpy cannot be imported twice
from harness import execution
from harness.model.units import seconds
from tests.running.stage import TEXT

INSTALLED = any(point.value == "harness.pytest_plugin" for point in entry_points(group="pytest11"))
OTHERS = ("-p", "no:cacheprovider", "-p", "no:locust", "-o", "asyncio_default_fixture_loop_scope=function")
PLUGIN = () if INSTALLED else ("-p", "harness.pytest_plugin")

Pytest = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, virtual_time: None) -> Pytest:
    """Pytest in a folder with one scenario, on the system of that name."""
    shop = pytester.mkdir("scenarios") / "shop"
    shop.mkdir()
    (shop / "runbook.md").write_text(TEXT, encoding="utf-8")
    (shop / "down.py").write_text("from tests.running.stage import DOWN\n", encoding="utf-8")

    def ran(*arguments: str, system: str = "curing") -> pytest.RunResult:
        options = ("--rundrill-substrate", f"tests.running.stage:{system}")
        return pytester.runpytest_inprocess(*PLUGIN, *OTHERS, *options, *arguments)

    return ran


def test_collecting_gives_an_item_for_each_trial_and_one_for_the_assessment(run: Pytest, pytester) -> None:
    result = run("--collect-only", "-q", "scenarios")
    result.stdout.fnmatch_lines_random(
        [
            "scenarios/shop/down.py::down::treated-1",
            "scenarios/shop/down.py::down::control-1",
            "scenarios/shop/down.py::down::assessment",
            "3 tests collected*",
        ]
    )
    assert not (pytester.path / "runs").exists()


def test_a_file_with_several_scenarios_gives_items_of_each(run: Pytest, pytester) -> None:
    (pytester.path / "scenarios/shop/down.py").write_text(
        "from dataclasses import replace\nfrom tests.running.stage import DOWN\nAGAIN = replace(DOWN, title='again')\n"
    )
    result = run("--collect-only", "-q", "scenarios")
    result.stdout.fnmatch_lines_random(["*::DOWN::treated-1", "*::AGAIN::treated-1", "6 tests collected*"])


@pytest.mark.parametrize("named", ["scenarios/shop/down.py", "scenarios/shop/down.py::DOWN", "scenarios/shop"])
def test_a_file_that_is_named_gives_its_scenarios_and_is_not_taken_for_a_module_of_tests(
    run: Pytest, pytester, named: str
) -> None:
    (pytester.path / "scenarios/shop/_system.py").write_text("from tests.running.stage import DOWN\n")
    (pytester.path / "scenarios/shop/down.py").write_text(
        "from dataclasses import replace\nfrom ._system import DOWN\nAGAIN = replace(DOWN, title='again')\n"
    )
    result = run("--collect-only", "-q", named)
    assert result.ret == 0
    result.stdout.fnmatch_lines_random(["scenarios/shop/down.py::DOWN::treated-1"])
    result.stdout.no_fnmatch_line("*ImportError*")


def test_a_python_file_that_is_no_scenario_gives_nothing(run: Pytest, pytester) -> None:
    (pytester.path / "scenarios/shop/system.py").write_text("NAME = 'shop'\n")
    (pytester.path / "scenarios/shop/_parts.py").write_text("1 / 0\n")
    (pytester.path / "elsewhere.py").write_text("from tests.running.stage import DOWN\n")
    result = run("--collect-only", "-q")
    result.stdout.fnmatch_lines(["3 tests collected*"])
    result.stdout.no_fnmatch_line("*system*")
    result.stdout.no_fnmatch_line("*elsewhere*")


def test_a_file_that_does_not_load_is_an_error_with_its_line_and_no_traceback_of_ours(run: Pytest, pytester) -> None:
    (pytester.path / "scenarios/shop/broken.py").write_text("x = 1\ny = 1 / 0\n")
    result = run("scenarios")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*broken.py:2: does not load: ZeroDivisionError: division by zero"])
    result.stdout.no_fnmatch_line("*loading.py*")


def test_a_procedure_that_works_passes_and_the_reports_are_written(run: Pytest, pytester) -> None:
    result = run("scenarios")
    result.assert_outcomes(passed=3)
    (folder,) = (pytester.path / "runs").iterdir()
    assert {"report.html", "junit.xml", "assessment.json"} <= {path.name for path in folder.iterdir()}
    result.stdout.fnmatch_lines(["rundrill: wrote *report.html"])
    assert "effective" in json.dumps(json.loads((folder / "assessment.json").read_text()))


def test_a_procedure_that_does_not_work_fails_with_what_was_found_and_no_traceback_of_ours(run: Pytest) -> None:
    result = run("-v", "scenarios", system="hopeless")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines_random(
        [
            "*down.py::down::treated-1 FAILED*",
            "*down.py::down::control-1 PASSED*",
            "ineffective: *",
            "treated-1: censored",
        ]
    )
    result.stdout.no_fnmatch_line("*pytest_plugin.py*")


def test_a_broken_command_is_told_with_its_line_in_the_runbook(run: Pytest, pytester) -> None:
    result = run("scenarios", system="wrong")
    result.stdout.fnmatch_lines(
        ["*runbook.md:17 procedure: `mend-it --now` cannot work as written: *command not found*"]
    )


def test_a_known_defect_passes(run: Pytest, pytester) -> None:
    (pytester.path / "scenarios/shop/down.py").write_text(
        "from dataclasses import replace\n"
        "from harness.model.verdict import Word\nfrom harness.scenario import Known\n"
        "from tests.running.stage import DOWN as _DOWN\n"
        "DOWN = replace(_DOWN, expect=Known(word=Word.INEFFECTIVE, because='it mends nothing'))\n"
    )
    run("scenarios", system="hopeless").assert_outcomes(passed=3)
    run("scenarios", system="curing").assert_outcomes(passed=2, failed=1)


@pytest.mark.parametrize(
    ("system", "told"), [("unfelt", "*the model does not feel it*"), ("troubled", "*no room on this*")]
)
def test_trials_that_do_not_count_fail_and_say_why(run: Pytest, system: str, told: str) -> None:
    result = run("scenarios", system=system)
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines([told])


def test_repetitions_seed_and_the_folder_of_runs_are_options(run: Pytest, pytester) -> None:
    result = run("scenarios", "--rundrill-repetitions", "2", "--rundrill-seed", "5", "--rundrill-runs", "kept")
    result.assert_outcomes(passed=5)
    (folder,) = (pytester.path / "kept").iterdir()
    trials = sorted(path.name for path in (folder / "shop__down").iterdir() if path.is_dir())
    assert trials == ["control-1", "control-2", "treated-1", "treated-2"]


def test_another_text_can_be_drilled(run: Pytest, pytester) -> None:
    (pytester.path / "other.md").write_text(TEXT.replace("mend-it --now", "pray"))
    run("scenarios", "--rundrill-runbook", "other.md").assert_outcomes(passed=1, failed=2)


def test_bad_input_fails_each_item_with_every_problem_and_nothing_is_started(run: Pytest, pytester) -> None:
    text = TEXT.replace("mend-it --now", "kubectl delete pod <pod> -n <namespace>")
    (pytester.path / "scenarios/shop/runbook.md").write_text(text)
    result = run("scenarios")
    result.assert_outcomes(failed=3)
    for placeholder in ("<pod>", "<namespace>"):
        result.stdout.fnmatch_lines([f"*runbook.md:17: nothing is bound to the placeholder `{placeholder}`*"])
    assert not (pytester.path / "runs").exists()


def test_the_assessment_alone_runs_the_trials_it_needs(run: Pytest) -> None:
    run("scenarios/shop/down.py::down::assessment").assert_outcomes(passed=1)


def test_other_folders_can_be_named_for_scenarios(run: Pytest, pytester) -> None:
    (pytester.path / "scenarios").rename(pytester.path / "drills")
    pytester.makeini("[pytest]\nrundrill_scenarios = drills\n")
    run("drills").assert_outcomes(passed=3)


def test_a_test_of_the_users_own_can_drill_by_the_fixture(run: Pytest, pytester) -> None:
    pytester.makepyfile(
        test_own="""
        from pathlib import Path
        from harness.model.design import TREATED
        from harness.model.verdict import Word
        from tests.running.stage import DOWN

        RUNBOOK = Path("scenarios/shop/runbook.md")

        def test_it_works(rundrill, rundrill_substrate):
            assert rundrill_substrate.name == "simulated"
            assert rundrill(DOWN, runbook=RUNBOOK).word is Word.EFFECTIVE

        def test_it_can_be_drilled_twice(rundrill):
            assert rundrill(DOWN, runbook=RUNBOOK, arms=[TREATED]).word is Word.INCONCLUSIVE
            assert rundrill(DOWN, runbook=RUNBOOK).word is Word.EFFECTIVE
        """
    )
    run("test_own.py").assert_outcomes(passed=2)


async def test_our_own_scenarios_are_collected_with_no_other_plugin_installed() -> None:
    """The tests' own plugins are nothing that those who drill must have."""
    words = (sys.executable, "-m", "pytest", "scenarios/gateway", "--collect-only", "-q", "-p", "harness.pytest_plugin")
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = await execution.run(words, env=alone, cwd=Path(__file__).parents[2], timeout=seconds(60))
    assert done.ok, done.stdout + done.stderr
    assert "scenarios/gateway/deploy.py::" in done.stdout
