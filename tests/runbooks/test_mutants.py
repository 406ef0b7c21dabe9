"""Broken twins: one deliberate mistake each, no two alike, and the plan they come from untouched."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model.topology import Cluster
from harness.runbooks.mutants import Kind, executed, mutants, without
from tests.running.stage import CURES, DOWN, ground, planned

PLAN = planned()


def written(*commands: str):
    fence = "\n".join(f"# Step {n}\n{command}" for n, command in enumerate(commands, 1))
    text = f"# Book\n\n## Service down\n\n**Resolution**\n\n```bash\n{fence}\n```\n"
    topology = replace(DOWN.topology, cluster=Cluster("shop", "prod"))
    return planned(replace(DOWN, follow=("resolution",), topology=topology), text, ground(CURES))


def texts(plan) -> list[str]:
    return [step.terms.text for step in plan.steps if step.executor != "skipped"]


def made(kind: Kind, *commands: str) -> list[list[str]]:
    return [texts(mutant.plan) for mutant in mutants(written(*commands), (kind,))]


def test_each_step_is_dropped_once() -> None:
    assert made(Kind.DROPPED, "one", "two") == [["two"], ["one"]]


def test_neighbours_are_swapped() -> None:
    assert made(Kind.SWAPPED, "one", "two", "three") == [["two", "one", "three"], ["one", "three", "two"]]


def test_equal_neighbours_make_no_twin_that_differs() -> None:
    assert len(mutants(written("one"), (Kind.SWAPPED,))) == 0


@pytest.mark.parametrize(
    ("command", "broken"),
    [
        ("kubectl -n prod get pods", "kubectl -n wrong-prod get pods"),
        ("kubectl --namespace=prod get pods", "kubectl --namespace=wrong-prod get pods"),
        ("psql -h db.internal -c 'select 1'", "psql -h wrong-db.internal -c 'select 1'"),
        ("curl http://api.internal/health", "curl http://wrong-api.internal/health"),
        ("psql postgresql://me:x@db/shop -c 'select 1'", "psql postgresql://me:x@wrong-db/shop -c 'select 1'"),
    ],
)
def test_the_place_a_command_goes_to_is_made_wrong(command, broken) -> None:
    assert made(Kind.PLACE, command) == [[broken]]


def test_flags_and_catalogue_names_are_made_stale() -> None:
    assert made(Kind.STALE, "mend-it --now") == [["mend-it --old-now"]]
    assert made(Kind.STALE, "psql -c 'select pg_reload_conf()'") == [["psql -c 'select pg_reload_conf_old()'"]]


def test_thresholds_are_made_too_large_and_too_small() -> None:
    assert made(Kind.THRESHOLD, "find logs -mtime +7") == [["find logs -mtime +7000"], ["find logs -mtime +0"]]
    assert made(Kind.THRESHOLD, "kill-older 300 9") == [["kill-older 300000 9"], ["kill-older 0 9"]]
    assert made(Kind.THRESHOLD, "curl -p 10.0.0.1:8000 v1.2 $1") == []


def test_a_mutant_says_what_it_is_and_where() -> None:
    (mutant,) = mutants(written("mend-it --now"), (Kind.STALE,))
    assert mutant.what == "`mend-it --now` → `mend-it --old-now`"
    assert mutant.source.line == 9
    (step,) = mutant.plan.steps
    assert mutant.plan.terms.steps == (step.terms,)
    assert step.terms.written == "mend-it --now"
    assert step.terms.deviation == "mutated: stale name"


def test_every_mutant_has_a_digest_of_its_own() -> None:
    found = mutants(written("mend-it --now 30", "curl -h db x", "uptime"))
    assert len({m.plan.digest for m in found} | {PLAN.digest}) == len(found) + 1
    assert len({m.plan.steps for m in found}) == len(found)


WORDS = st.from_regex(
    r"[a-z][a-z0-9-]{0,8}( --?[a-z]{1,6}| [0-9]{1,4}| -n [a-z]{1,5}| http://[a-z]{1,6}/){0,4}", fullmatch=True
)


@given(st.lists(WORDS, min_size=1, max_size=4))
def test_no_mutant_is_the_text_itself(commands) -> None:
    plan = written(*commands)
    for mutant in mutants(plan):
        assert mutant.plan.steps != plan.steps
        assert sum(a != b for a, b in zip(mutant.plan.steps, plan.steps, strict=True)) <= 2


def test_left_out_steps_are_told_and_not_run() -> None:
    plan = written("one", "two", "three")
    left = without(plan, (0, 2))
    assert texts(left) == ["two"]
    assert [step.what for step in left.terms.steps] == ["skipped", "command", "skipped"]
    assert [step.terms.index for step in executed(left)] == [1]


def test_what_runs_nothing_cannot_be_left_out() -> None:
    with pytest.raises(ValueError, match="expected steps that run something"):
        without(PLAN, (17,))
