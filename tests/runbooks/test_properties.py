"""What holds for every text: no exception but a refusal with a line, and everything at its own place."""

import hashlib
import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import runbooks
from harness.errors import InputError
from harness.model.runbook import Runbook
from harness.runbooks import find
from tests.runbooks.shared import FILES, needs_shared

PIECES = [
    *(
        "# a",
        "## If x",
        "Setext\n===",
        "**Diagnosis**:",
        "**If slow**:",
        "- If **x**: `df -h`",
        "   - [ ] y",
        "---",
        "> q",
    ),
    *(
        "1. Run `kubectl get pods -n <ns>`",
        "```bash",
        "```sql",
        "```",
        "~~~",
        "    ```",
        "# or",
        "# 1. Check",
        "!!! note",
        "<pre>",
    ),
    *(
        "kubectl exec -it x -- bash",
        "SELECT 1;",
        "cat <<EOF",
        "EOF",
        'echo "',
        "for i in a; do",
        "done",
        "$ ls -l",
        "| grep x",
    ),
    *(
        "mysql> SHOW x;",
        "rate(x[5m])",
        "x = f(",
        ")",
        "RTO: 1h",
        "| RTO | RPO |",
        "|--|--|",
        "| 5 min | 0 |",
        "foo \\",
        "\\d t",
    ),
    *("{% highlight sh %}", "âœ… x", "\t", ""),
]
TEXTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=12)), min_size=1, max_size=40).map("\n".join)


@settings(max_examples=300, deadline=None)
@given(st.one_of(TEXTS, st.text(max_size=200), st.binary(max_size=200)))
def test_any_text_is_read_or_refused_with_a_line(data: str | bytes) -> None:
    try:
        book = runbooks.parse(data, "x.md")
    except InputError as refused:
        book = None
        lines = [problem.source.line for problem in refused.problems if problem.source]
    else:
        lines = [book.source.line]
    assert lines
    assert min(lines) >= 1
    if book is None:
        return
    assert runbooks.parse(data, "x.md") == book
    assert msgspec.json.decode(runbooks.encode(book), type=dict[str, object])["version"] == 1


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_everything_stands_at_its_own_lines(text: str) -> None:
    try:
        book = runbooks.parse(text, "x.md")
    except InputError:
        return
    lines = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff").split("\n")
    for procedure in book.procedures:
        assert 1 <= procedure.source.line <= procedure.source.last <= len(lines)
        for command in procedure.commands():
            assert 1 <= command.source.line <= command.source.last <= len(lines)
            first = command.text.split("\n")[0].split()[0]
            assert book.repaired or first in lines[command.source.line - 1]
        steps = find.select(procedure, (procedure.sections[0].kind.value,))
        assert {id(step) for step in steps} <= {id(step) for step in procedure.steps()}


def everything(every: int) -> str:
    paths = sorted(FILES.iterdir(), key=lambda path: hashlib.sha256(path.name.encode()).digest())
    return "\n\n".join(path.read_text(encoding="utf-8") for path in paths[::every])


@needs_shared
@pytest.mark.slow
def test_a_megabyte_is_read_in_seconds_and_the_time_grows_with_the_size() -> None:
    pace = {}
    for every in (4, 2, 1):
        text = everything(every)
        began = time.process_time()
        assert isinstance(runbooks.parse(text, "x.md"), Runbook)
        pace[every] = (time.process_time() - began) / len(text.encode())
    # Two seconds a megabyte where the machine is ours alone; processor time triples where it is not.
    assert pace[1] * 1e6 < 6
    assert pace[1] < 2.5 * pace[4]


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        'echo "a',
        "for i in a; do",
        "cat <<E",
        "SELECT 'a FROM t;",
        "x = foo( (",
        "> > > x",
        "**If x**:\n- y",
        "$ ls -la\nfoo",
        "sum(rate(x[5m])",
    ],
)
def test_hostile_texts_cost_no_more_than_in_proportion_to_their_size(line: str) -> None:
    def took(size: int, fence: str) -> float:
        began = time.process_time()
        runbooks.parse(f"{fence}\n" + f"{line}\n" * (size // len(line)), "x.md")
        return time.process_time() - began

    fence = "" if line.startswith((">", "**")) else "```bash"
    took(10_000, fence)
    assert took(80_000, fence) < 6 * took(40_000, fence) + 0.2
