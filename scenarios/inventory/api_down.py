"""The API's containers are killed, or hang: the runbook restarts the service by compose."""

from dataclasses import replace

from harness.faults import KillContainer, PauseContainer
from harness.model.objectives import Recovery
from harness.model.units import minutes, seconds
from harness.scenario import Operator, Scenario

from .system import READ, SYSTEM, TRAFFIC, objectives

KILLED = Scenario(
    title="The API's containers were killed",
    runbook="containers.md",
    procedure="api down",
    operator=Operator(database="main", role="user"),
    topology=SYSTEM,
    fault=KillContainer(target="api"),
    probes=(READ,),
    objectives=objectives(READ),
    load=TRAFFIC,
    recovery=Recovery(rto=minutes(15), horizon=seconds(45)),
    step_timeout=seconds(40),
)

HUNG = replace(KILLED, title="The API's containers hang", fault=PauseContainer(target="api"))
"""Connections are taken and nobody answers: the log ends in the middle of a sentence."""
