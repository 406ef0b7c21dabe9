"""gate, ablate, mutate and compare, as they are called: exit status, what is said beforehand, what is claimed, bad input."""

import subprocess
from pathlib import Path

import pytest

from harness.cli.variants import _of_git
from harness.errors import InputError
from harness.execution import installed
from tests.running.stage import TEXT

CURING = ("--substrate", "tests.running.stage:curing")
GATE = ("gate", "shop/down.py", *CURING)


def folded(text: str) -> str:
    return " ".join(text.split())


def test_a_gate_says_beforehand_what_it_will_do_and_afterwards_what_may_be_claimed(rundrill, place: Path) -> None:
    called = rundrill(*GATE)
    said = folded(called.out)
    assert called.status == 0
    assert "0.5 (p0: a PASS is false) 0.038 0.950 0.012 4.5" in said
    assert "0.95 (p1: a FAIL is false) 0.971 0.019 0.010 6.2" in said
    assert said.index("p0: a PASS is false") < said.index("treated-1")
    assert "PASS bronze: 5/5 recovered within 15 min" in said
    assert "always-valid evidence against p<=0.5 at alpha 0.05" in said
    assert "control: 0 of 2 recovered" in said
    assert len((place / "trials.jsonl").read_bytes().splitlines()) == 1 + 2 * 7
    (page,) = (place / "runs").glob("*/gate.html")
    html = page.read_text(encoding="utf-8")
    assert "Recovery over all trials" in html
    assert html.count('class="trial good"') == 5
    assert "always valid (however often one looked)" in html


def test_a_gate_that_has_decided_repeats_its_claim_and_runs_nothing(rundrill, place: Path) -> None:
    rundrill(*GATE)
    before = (place / "trials.jsonl").read_bytes()
    called = rundrill(*GATE)
    assert called.status == 0
    assert "5 of 5 succeeded so far" in folded(called.out)
    assert "✓ shop/down treated" not in called.out
    assert (place / "trials.jsonl").read_bytes() == before


def test_a_gate_whose_budget_is_spent_is_inconclusive_and_goes_on_from_its_log(rundrill) -> None:
    called = rundrill(*GATE, "--budget", "0.5")
    assert called.status == 3
    assert "OPEN bronze" in called.out
    assert rundrill(*GATE).status == 0


def test_a_procedure_that_does_nothing_fails_the_gate(rundrill) -> None:
    called = rundrill("gate", "shop/down.py", "--substrate", "tests.running.stage:hopeless", "--tier", "quick")
    assert called.status == 1
    assert "FAIL quick: 0/1" in folded(called.out)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--tier", "diamond"), "there is no tier `diamond`"),
        (("--p0", "0.9", "--p1", "0.5"), "these figures make no gate"),
        (("--p0", "0"), "these figures make no gate"),
        (("--p1", "1.5"), "these figures make no gate"),
        (("--most", "0"), "these figures make no gate"),
        (("--most", "3"), "it takes 5 successes in a row to pass, and at most 3"),
    ],
)
def test_figures_that_make_no_gate_are_bad_input(rundrill, place: Path, arguments, said) -> None:
    called = rundrill(*GATE, *arguments)
    assert called.status == 2
    assert said in folded(called.err)
    assert not (place / "trials.jsonl").exists()
    assert not (place / "runs").exists()


def test_the_log_of_another_text_is_refused_with_its_line_and_left_alone(rundrill, place: Path) -> None:
    rundrill(*GATE, "--tier", "quick")
    before = (place / "trials.jsonl").read_bytes()
    (place / "shop/runbook.md").write_text(TEXT.replace("# Look again", "# Look once more"), encoding="utf-8")
    called = rundrill(*GATE, "--tier", "quick")
    assert called.status == 4
    assert "trials.jsonl:1: the log was begun for something else: digest of shop/down" in folded(called.err)
    assert (place / "trials.jsonl").read_bytes() == before


def test_an_edited_log_is_refused_with_its_line(rundrill, place: Path) -> None:
    rundrill(*GATE, "--tier", "quick")
    path = place / "trials.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"block":1', b'"block":2', 1))
    called = rundrill(*GATE, "--tier", "quick")
    assert called.status == 4
    assert "trials.jsonl:3: " in folded(called.err)
    assert "the log was edited" in folded(called.err)


def test_ablation_says_which_steps_are_good_for_what(rundrill) -> None:
    called = rundrill("ablate", "shop/down.py", *CURING)
    said = folded(called.out)
    assert called.status == 0
    assert "necessary" in said
    assert "changes nothing" in said
    assert "can go, all of them together: shop/runbook.md:15, shop/runbook.md:19" in said


def test_mutation_prints_the_kill_rate_and_the_survivors(rundrill) -> None:
    called = rundrill("mutate", "shop/down.py", *CURING, "--quick", "--kinds", "dropped")
    said = folded(called.out)
    assert called.status == 1
    assert "kill rate 33%: 1 of 3 broken twins did not pass" in said
    assert said.count("SURVIVED") == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("mutate", "shop/down.py", "--kinds", "lost"), "there is no kind `lost`"),
        (("mutate", "shop/down.py", "--kinds", "place"), "no broken twin of these kinds"),
        (("ablate", "shop"), "expected one scenario, found 2"),
        (("compare", "a", "b", "--scenario", "shop/down.py", "--margin", "1"), "a margin of 1 cannot be kept"),
        (("compare", "gone.md", "shop/runbook.md", "--scenario", "shop/down.py"), "gone.md:1: no such file"),
    ],
)
def test_what_cannot_be_done_is_bad_input_and_starts_nothing(rundrill, place: Path, arguments, said) -> None:
    (place / "shop/other.py").write_text("from tests.running.stage import DOWN\n", encoding="utf-8")
    called = rundrill(*arguments, *CURING)
    assert called.status == 2
    assert said in folded(called.err)
    assert not (place / "runs").exists()


def test_two_versions_are_compared(rundrill, place: Path) -> None:
    (place / "shop/new.md").write_text(TEXT.replace("# Look again\nuptime\n", ""), encoding="utf-8")
    called = rundrill(
        "compare", "shop/runbook.md", "shop/new.md", "--scenario", "shop/down.py", "--blocks", "5", *CURING
    )
    said = folded(called.out)
    assert called.status == 0
    assert "✓ the new version is not slower by more than 1.25" in said
    assert "permutation test of no difference" in said
    assert "5 blocks find a ratio of" in said


def test_under_four_blocks_nothing_is_concluded(rundrill) -> None:
    called = rundrill(
        "compare", "shop/runbook.md", "shop/runbook.md", "--scenario", "shop/down.py", "--blocks", "3", *CURING
    )
    assert called.status == 3
    assert "3 blocks are too few to conclude anything from" in folded(called.out)


@pytest.mark.skipif(not installed("git"), reason="there is no `git` here")
def test_a_version_may_be_one_that_git_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In real time: git is a program of the host, and virtual time does not wait for it."""
    monkeypatch.chdir(tmp_path)

    def git(*arguments: str) -> None:
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@localhost", *arguments], check=True)

    book = tmp_path / "runbook.md"
    book.write_text(TEXT, encoding="utf-8")
    git("init", "-q")
    git("add", "runbook.md")
    git("commit", "-q", "-m", "first")
    book.write_text("# Something else\n", encoding="utf-8")
    found = _of_git("HEAD:runbook.md")
    assert found.title == "Book"
    assert str(next(found.commands()).source) == "HEAD:runbook.md:8"
    with pytest.raises(InputError, match=r"git has no `NONE:x\.md`"):
        _of_git("NONE:x.md")
