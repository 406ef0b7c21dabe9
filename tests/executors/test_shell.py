"""Commands go to bash as an operator types them into one terminal: what one leaves, the next one finds."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from harness import execution
from harness.executors import EXECUTORS
from harness.model.history import StepTerms
from harness.model.source import Source
from harness.model.units import seconds
from harness.plan import PlannedStep
from harness.ports import Completed
from harness.scenario import Operator

pytestmark = pytest.mark.real


class Terminal:
    """An operator's place on this machine: a HOME of its own, and nothing of the caller's environment."""

    def __init__(self, home: Path) -> None:
        self.home = home

    async def operate(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, stdin: str = "", timeout: int
    ) -> Completed:
        given = {"HOME": str(self.home), "PATH": "/usr/bin:/bin", **(env or {})}
        return await execution.run(argv, env=given, cwd=self.home, stdin=stdin, timeout=timeout)


@pytest.fixture
def typed(tmp_path: Path):
    terminal, operator = Terminal(tmp_path), Operator(env={"SERVICE": "api"})

    async def run(text: str, executor: str = "shell", timeout: float = 10) -> Completed:
        terms = StepTerms(0, "command", "", executor, text, text, Source("runbook.md", 1))
        step = PlannedStep(terms, executor, seconds(timeout))
        completed, figures = await EXECUTORS[executor](step, terminal, operator)
        assert figures == {}
        return completed

    return run


async def test_a_command_gives_its_output_and_status(typed) -> None:
    done = await typed("echo out; echo err >&2; false")
    assert (done.status, done.stdout, done.stderr) == (1, "out\n", "err\n")


async def test_the_operators_variables_are_there_and_the_harnesss_are_not(typed, monkeypatch) -> None:
    monkeypatch.setenv("SECRET", "ours")
    assert (await typed('echo "$SERVICE/$SECRET"')).stdout == "api/\n"


async def test_a_directory_change_lasts_to_the_next_command(typed) -> None:
    await typed("mkdir -p 'a b/c' && cd 'a b/c'")
    assert (await typed('basename "$PWD"; basename "$(dirname "$PWD")"')).stdout == "c\na b\n"


async def test_an_exported_variable_lasts_and_a_plain_one_does_not(typed) -> None:
    await typed("export POOL='2 0'\nSIZE=7")
    assert (await typed('echo "$POOL/$SIZE"')).stdout == "2 0/\n"


async def test_what_was_exported_lasts_though_the_command_failed_or_left(typed) -> None:
    await typed("export ONE=1; false")
    assert (await typed("export TWO=2; exit 3")).status == 3
    assert (await typed('echo "$ONE$TWO"')).stdout == "12\n"


async def test_a_value_with_quotes_and_lines_lasts_as_it_is(typed) -> None:
    await typed("export ODD=$'it\\'s \"odd\"\\nand long $HOME'")
    assert (await typed('printf %s "$ODD"')).stdout == 'it\'s "odd"\nand long $HOME'


async def test_a_folder_that_is_gone_does_not_stop_the_next_command(typed) -> None:
    await typed("mkdir gone && cd gone && rmdir ../gone")
    done = await typed("echo still here")
    assert (done.status, done.stdout) == (0, "still here\n")


async def test_the_last_status_of_a_pipeline_of_lines_counts(typed) -> None:
    assert (await typed("false\ntrue")).status == 0
    assert (await typed("true\nno-such-command")).status == 127


async def test_a_syntax_error_is_the_texts_and_is_told(typed) -> None:
    done = await typed("if then")
    assert done.status != 0
    assert "syntax error" in done.stderr


async def test_here_documents_and_continued_lines_are_run_as_written(typed) -> None:
    done = await typed("cat <<'EOF' | tr a-z \\\nA-Z\nsome $text\nEOF")
    assert done.stdout == "SOME $TEXT\n"


async def test_a_command_that_does_not_end_is_ended_with_its_children(typed, tmp_path: Path) -> None:
    done = await typed(f"sleep 60 & echo $! > {tmp_path}/child; wait", timeout=0.5)
    assert done.status is None
    child = Path("/proc") / (tmp_path / "child").read_text().strip() / "stat"
    assert not child.exists() or child.read_text().split()[2] == "Z"


async def test_nothing_waits_for_input(typed) -> None:
    assert (await typed('read -r line; echo "got <$line>"')).stdout == "got <>\n"


async def test_python_is_run_as_one_program(typed) -> None:
    done = await typed(
        "import os\nfor n in range(2):\n    print(os.environ['SERVICE'], n)\nraise SystemExit(4)", "python"
    )
    assert (done.status, done.stdout) == (4, "api 0\napi 1\n")


async def test_a_command_is_known_by_the_text_that_is_run_not_as_it_was_written(tmp_path: Path) -> None:
    terms = StepTerms(0, "command", "", "bash", "written", "echo run", Source("runbook.md", 1))
    step = PlannedStep(terms, "shell", seconds(5))
    completed, _ = await EXECUTORS["shell"](step, Terminal(tmp_path), Operator())
    assert completed.stdout == "run\n"
