"""Bash. Every command goes to the operator's shell as one typed it: directory and exported variables last to the next."""

from harness.model.history import Scalar
from harness.plan import PlannedStep
from harness.ports import Completed, Environment
from harness.scenario import Operator

_SESSION = """
state=$HOME/.rundrill-session
if [ -r "$state" ]; then . "$state"; fi
trap '{ export -p; printf "cd %q\\n" "$PWD"; } > "$state" 2>/dev/null' EXIT
eval "$1"
"""
"""`$1` is the runbook's own text. The state is written at exit, also after `exit` in the text, and read by the next."""


async def execute(
    step: PlannedStep, environment: Environment, operator: Operator
) -> tuple[Completed, dict[str, Scalar]]:
    """Run the text by bash, as the operator, to its end or the step's time limit."""
    argv = ("bash", "-c", _SESSION, "bash", step.terms.text)
    return await environment.operate(argv, env=operator.env, timeout=step.timeout), {}
