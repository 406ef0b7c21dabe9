"""One language of command each: how the operator's text is run in the environment. Not what follows from its result."""

from collections.abc import Awaitable, Callable, Mapping

from harness.executors import python, shell, sql
from harness.model.history import Scalar
from harness.plan import PlannedStep
from harness.ports import Completed, Environment
from harness.scenario import Operator

Executor = Callable[[PlannedStep, Environment, Operator], Awaitable[tuple[Completed, dict[str, Scalar]]]]
"""Runs a step; what it completed as, and the figures that are read from its output."""

EXECUTORS: Mapping[str, Executor] = {"shell": shell.execute, "sql": sql.execute, "python": python.execute}
