"""Python, by the interpreter that the operator's machine has."""

from harness.model.history import Scalar
from harness.plan import PlannedStep
from harness.ports import Completed, Environment
from harness.scenario import Operator


async def execute(
    step: PlannedStep, environment: Environment, operator: Operator
) -> tuple[Completed, dict[str, Scalar]]:
    """Run the text as one program from standard input."""
    return await environment.operate(
        ("python3", "-"), env=operator.env, stdin=step.terms.text, timeout=step.timeout
    ), {}
