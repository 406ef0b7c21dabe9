"""A drill with everything resolved: what is run, where, for how long, and what it needs. Not how it came about (planning)."""

from dataclasses import dataclass

from harness.model.history import StepTerms, Terms
from harness.model.runbook import Target
from harness.model.source import Source
from harness.model.topology import Topology
from harness.model.units import Ns
from harness.ports import Capability
from harness.scenario import Scenario


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One action of the procedure, in order. `executor` names the language's executor (`shell`, `sql`, `python`, `manual`,
    `skipped`); `timeout` in ns; `blocking`: it never ends by itself and is ended as a person would, after a short look."""

    terms: StepTerms
    executor: str
    timeout: Ns
    blocking: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What `run_trial` is given. `topology` is the scenario's with what the drill adds (the ledger's table, clocks that can be
    moved); `digest` (SHA-256, hexadecimal) is that of the runbook, the scenario and this version."""

    name: str
    scenario: Scenario
    runbook: Source
    runbook_digest: str
    procedure: str
    prepare: tuple[PlannedStep, ...]
    steps: tuple[PlannedStep, ...]
    needs: frozenset[Capability]
    topology: Topology
    terms: Terms
    targets: tuple[Target, ...]
    digest: str
    remarks: tuple[str, ...] = ()
