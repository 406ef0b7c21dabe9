"""Every scenario of ours: it loads and compiles, and drilled for real it deserves the word that it says it does, on our
runbook and on the original that it was written after.

Compiling is tested always. A real drill takes half a minute, so the default run drills four on the original text (`DEFAULT`;
`nox -s drill` drills three of ours); with RUNDRILL_ALL_DRILLS=1 every scenario is drilled on both texts (some two hours).
Originals are read from `../shared/seeds` and skipped where that folder is not.
"""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import runbooks
from harness.errors import InputError, Problem
from harness.model.design import CONTROL, TREATED
from harness.model.verdict import Assessment, Word
from harness.planning import compile_plan
from harness.ports import Capability
from harness.running.experiment import run_experiment, schedule
from harness.running.loading import Loaded, load
from harness.running.trial import Bench
from harness.substrates import manifests
from harness.substrates.local import Local

ROOT = Path(__file__).parents[2]
SEEDS = ROOT.parent / "shared/seeds"
ORIGINALS = {
    "gateway": "003_*.txt",
    "inventory": "004_*.txt",
    "microservices": "001_*.txt",
    "storefront": "002_*.txt",
    "webservice": "000_*.txt",
}
LOADED = load([str(ROOT / "scenarios")])
OF_CONTAINERS = "containers.md"
JOBS = 2
DEFAULT = {
    ("storefront/pool_exhausted", "original"),
    ("storefront/lock_pile_up", "original"),
    ("inventory/restore:DROPPED", "original"),
    ("inventory/pool_too_small", "original"),
}


@dataclass(frozen=True)
class Ground:
    """What a machine has at its best."""

    name: str = "any"
    provides: frozenset[Capability] = frozenset(Capability)

    def lacks(self, needs: frozenset[Capability]) -> tuple[Problem, ...]:
        return tuple(Problem(f"it has no {need}") for need in needs - self.provides)

    def tool(self, program: str) -> bool:
        return bool(program)


def text_of(loaded: Loaded, text: str) -> Path:
    """The runbook to drill; skips where it is not here."""
    if text == "ours":
        return loaded.runbook
    if loaded.runbook.name == OF_CONTAINERS:
        pytest.skip(f"{OF_CONTAINERS} is written for containers and has no original")
    if not SEEDS.is_dir():
        pytest.skip("../shared/seeds is not here: the original text cannot be drilled")
    (original,) = SEEDS.glob(ORIGINALS[loaded.path.parent.name])
    return original


def scenario_id(value: object) -> str | None:
    return value.name if isinstance(value, Loaded) else None


def test_there_are_scenarios_of_every_drill() -> None:
    assert {loaded.name.partition(":")[0] for loaded in LOADED} >= {
        "storefront/pool_exhausted",
        "storefront/pool_exhausted_for_long",
        "storefront/lock_pile_up",
        "inventory/slow_queries",
        "inventory/restore",
        "inventory/pool_too_small",
    }
    assert {name for name, _ in DEFAULT} <= {loaded.name for loaded in LOADED}


@pytest.mark.parametrize("text", ["ours", "original"])
@pytest.mark.parametrize("loaded", LOADED, ids=scenario_id)
def test_a_scenario_compiles_on_our_text_and_on_the_original(loaded: Loaded, text: str) -> None:
    path = text_of(loaded, text)
    plan = compile_plan(loaded.scenario, runbooks.read(path), Ground(), name=loaded.name, own_text=text == "ours")
    assert any(step.terms.what == "command" for step in plan.steps)
    for step in (*plan.prepare, *plan.steps):
        assert step.terms.source.path == str(path)
        assert step.executor != "skipped" or step.terms.deviation


@pytest.mark.parametrize("loaded", LOADED, ids=scenario_id)
def test_a_scenario_compiles_to_the_same_commands_on_both_texts(loaded: Loaded) -> None:
    def commands(text: str) -> list[tuple[str, str]]:
        book = runbooks.read(text_of(loaded, text))
        plan = compile_plan(loaded.scenario, book, Ground(), name=loaded.name, own_text=text == "ours")
        steps = (*plan.prepare, *plan.steps)
        return [(s.executor, " ".join(s.terms.text.split())) for s in steps if s.executor not in ("manual", "skipped")]

    assert commands("ours") == commands("original")


def test_the_manifests_of_every_stack_take_the_variables_of_its_scenarios_and_use_all_of_them() -> None:
    clusters = [one.scenario.topology.cluster for one in LOADED if one.scenario.topology.cluster]
    told = {(cluster.stack, frozenset(dict(cluster.variables))): cluster for cluster in clusters}
    for (stack, names), cluster in told.items():
        assert manifests.images_of(manifests.read(cluster))
        text = "".join(path.read_text() for path in (ROOT / "clusters/stacks" / stack).glob("*.yaml"))
        assert {name for name in names if f"${{{name}}}" not in text} == set()


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("text", ["original", "ours"])
@pytest.mark.parametrize("loaded", LOADED, ids=scenario_id)
def test_a_drilled_scenario_deserves_the_word_it_says(loaded: Loaded, text: str, tmp_path: Path) -> None:
    if (loaded.name, text) not in DEFAULT and not os.environ.get("RUNDRILL_ALL_DRILLS"):
        pytest.skip("set RUNDRILL_ALL_DRILLS=1 to drill every scenario on both texts")
    if loaded.runbook.name == OF_CONTAINERS:
        pytest.skip("it is drilled in containers: tests/substrates/containers/test_drills.py")
    known = loaded.scenario.expect
    expected = known.word if known else Word.EFFECTIVE
    assessment = drilled(loaded, text_of(loaded, text), tmp_path, own_text=text == "ours")
    told = "\n".join([assessment.why, *(f"{v.trial}: {f.why}" for v in assessment.verdicts for f in v.findings)])
    assert assessment.word is expected, told


def drilled(loaded: Loaded, text: Path, folder: Path, *, own_text: bool) -> Assessment:
    """Control and treated once, side by side, on real servers; once more where the machine was busy elsewhere."""
    substrate = Local()
    try:
        plan = compile_plan(loaded.scenario, runbooks.read(text), substrate, name=loaded.name, own_text=own_text)
    except InputError as error:
        if loaded.scenario.topology.cluster and substrate.lacks(frozenset({Capability.KUBERNETES})):
            pytest.skip(f"there is no Kubernetes on this machine: {error}")
        if substrate.isolation == "namespaces":
            raise
        pytest.skip(f"this machine cannot isolate by namespaces: {error}")

    async def run() -> Assessment:
        trials = schedule((CONTROL, TREATED), 1, loaded.scenario.seed)
        bench = Bench(substrate, f"test-{loaded.path.stem}")
        assessment, _ = await run_experiment(plan, trials, bench, folder, places=asyncio.Semaphore(JOBS))
        return assessment

    return asyncio.run(run())
