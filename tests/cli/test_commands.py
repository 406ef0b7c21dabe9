"""What each command does when all is well, and with what status it ends."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli import app as cli

REGISTERED = (("", cli.app), *((group.name or "", group.typer_instance) for group in cli.app.registered_groups))
COMMANDS = [
    f"{group} {command.name or command.callback.__name__}".strip()
    for group, app in REGISTERED
    for command in app.registered_commands
]
CURING = ("--substrate", "tests.running.stage:curing")


def test_the_commands_are_those_of_the_manual() -> None:
    assert COMMANDS[:6] == ["show", "plan", "run", "judge", "report", "reap"]


EXTRAS = (
    "cryptography",
    "dns",
    "docker",
    "google",
    "grpc",
    "kubernetes",
    "pymongo",
    "pytest_kind",
    "testcontainers",
    "valkey",
)


HIDDEN = f"import sys; sys.modules.update(dict.fromkeys({EXTRAS}))"  # None there: no such module


def test_the_program_and_its_pytest_plugin_load_without_what_extras_bring() -> None:
    shown = "import harness.cli.app, harness.pytest_plugin"
    ran = subprocess.run([sys.executable, "-c", f"{HIDDEN}; {shown}"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_drill_on_kind_without_its_extra_is_told_which_one_to_install() -> None:
    words = ["run", "scenarios/storefront/bad_release.py", "--substrate", "kind"]
    shown = f"from harness.cli.app import main; main({words})"
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", f"{HIDDEN}; {shown}"], cwd=root, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert "pip install 'rundrill[kind]'" in ran.stdout + ran.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_shows_an_example(rundrill, command) -> None:
    called = rundrill(*command.split(), "--help")
    assert called.status == 0
    assert f"Example: rundrill {command}" in called.out.replace("`", "")


def test_the_help_of_the_program_teaches_and_tells_the_exit_statuses(rundrill) -> None:
    called = rundrill("--help")
    assert called.status == 0
    assert "rundrill run scenarios/inventory/slow_queries.py" in " ".join(called.out.split())
    for told in ("0 passed", "1 failed", "2 bad input", "3 inconclusive", "130 interrupted"):
        assert told in " ".join(called.out.split())


def test_the_version_is_told(rundrill) -> None:
    assert re.fullmatch(r"rundrill \d+\.\d+\.\d+\n", rundrill("--version").out)


def test_show_tells_what_is_read_of_a_runbook(rundrill) -> None:
    called = rundrill("show", "shop/runbook.md")
    assert called.status == 0
    for told in ("Service down", "Backup", "mend-it --now", "pg_dump shop > backup.sql"):
        assert told in called.out


def test_show_json_is_json_and_nothing_else(rundrill) -> None:
    called = rundrill("show", "--json", "shop/runbook.md")
    assert called.status == 0
    assert "mend-it --now" in json.dumps(json.loads(called.out))


def test_plan_shows_every_command_and_starts_nothing(rundrill, place: Path) -> None:
    called = rundrill("plan", "shop/down.py", *CURING)
    assert called.status == 0
    assert "mend-it --now" in called.out
    assert not (place / "runs").exists()


def test_a_run_that_passes_ends_with_0_and_leaves_its_reports(rundrill, place: Path) -> None:
    called = rundrill("run", "shop/down.py", *CURING, "--arms", "all", "--jobs", "4")
    assert called.status == 0, called.out + called.err
    (run,) = (place / "runs").iterdir()
    assert {"report.html", "junit.xml", "assessment.json"} <= {p.name for p in run.iterdir()}
    assert sorted(p.name for p in (run / "shop__down").iterdir() if p.is_dir()) == [
        *("baseline-1", "control-1", "sham-1", "treated-1"),
    ]
    assert "effective" in called.out
    assert "report.html" in called.out


@pytest.mark.parametrize(
    ("substrate", "arms", "status"),
    [
        ("curing", "control,treated", 0),
        ("hopeless", "control,treated", 1),
        ("curing", "treated", 3),
        ("unfelt", "control,treated", 3),
        ("troubled", "control,treated", 4),
    ],
)
def test_the_status_says_what_came_of_it(rundrill, substrate, arms, status) -> None:
    called = rundrill("run", "shop", "--substrate", f"tests.running.stage:{substrate}", "--arms", arms)
    assert called.status == status, called.out + called.err


def test_trouble_of_the_harness_is_told_and_outweighs_a_runbook_that_failed(rundrill, place: Path) -> None:
    called = rundrill("run", "shop", "--substrate", "tests.running.stage:troubled")
    assert "no room on this machine" in called.out
    assert called.status == 4


def test_repetitions_and_seed_make_the_schedule(rundrill, place: Path) -> None:
    assert rundrill("run", "shop", *CURING, "--repetitions", "2", "--seed", "3", "--jobs", "4").status == 0
    (run,) = (place / "runs").iterdir()
    trials = sorted(p.name for p in (run / "shop__down").iterdir() if p.is_dir())
    assert trials == ["control-1", "control-2", "treated-1", "treated-2"]


def test_another_text_can_be_drilled_with_the_same_scenario(rundrill, place: Path) -> None:
    text = (place / "shop/runbook.md").read_text()
    (place / "other.md").write_text(text.replace("mend-it --now", "pray"))
    called = rundrill("run", "shop", *CURING, "--runbook", "other.md")
    assert called.status == 1
    assert "ineffective" in called.out


def test_runs_can_be_kept_elsewhere(rundrill, place: Path) -> None:
    assert rundrill("run", "shop", *CURING, "--arms", "baseline", "--runs", "else/where").status == 3
    assert not (place / "runs").exists()
    assert len(list((place / "else/where").iterdir())) == 1


def test_judging_the_latest_run_again_gives_the_same_table_and_status(rundrill) -> None:
    ran = rundrill("run", "shop", "--substrate", "tests.running.stage:hopeless")
    judged = rundrill("judge", "latest")
    assert judged.status == ran.status == 1
    assert judged.out.strip() in ran.out


def test_reporting_the_latest_run_again_writes_the_same_bytes(rundrill, place: Path) -> None:
    rundrill("run", "shop", *CURING)
    (run,) = (place / "runs").iterdir()
    names = ("assessment.json", "junit.xml", "report.html")
    first = {name: (run / name).read_bytes() for name in names}
    for _ in range(2):
        for name in names:
            (run / name).unlink()
        assert rundrill("report", run.name).status == 0
        assert {name: (run / name).read_bytes() for name in names} == first


def test_reap_has_nothing_to_do_after_a_run_that_ended(rundrill, place: Path) -> None:
    rundrill("run", "shop", *CURING, "--arms", "baseline")
    called = rundrill("reap")
    assert called.status == 0
    assert "nothing was left behind" in called.out


def test_reap_without_any_run_is_no_trouble(rundrill, place: Path) -> None:
    assert rundrill("reap").status == 0
    assert not (place / "runs").exists()


def test_without_a_command_the_help_is_shown(rundrill) -> None:
    called = rundrill()
    assert "Usage" in called.out + called.err
    assert called.status in (0, 2)


WHILE_LOADING = """
import sys

class Interrupted:
    def find_spec(self, name, *_):
        if name == "harness.cli.app":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupted())
from harness.cli.__main__ import main
main()
"""


def test_ctrl_c_while_the_program_loads_is_an_interruption_and_no_traceback() -> None:
    argv = (sys.executable, "-c", WHILE_LOADING)
    done = subprocess.run(argv, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
