"""Follows the procedure, command by command, as its operator. What a command does is data; nothing is judged here."""

from collections.abc import Sequence

from harness.errors import SubstrateError
from harness.executors import EXECUTORS
from harness.model.history import Name, Phase, Scalar
from harness.model.units import seconds
from harness.plan import PlannedStep
from harness.ports import Completed, Environment
from harness.running.recorder import Recorder
from harness.scenario import Operator

KEPT = 16_384
"""How many characters of each output stream go into the history; the middle of longer ones is left out."""


_LAID = """
mkdir -p "$(dirname "$1")" && cat > "$1" && if [ "$(head -c 2 "$1")" = "#!" ]; then chmod +x "$1"; fi
"""
"""`$1` is the file, its content comes by standard input."""


async def lay_out(environment: Environment, operator: Operator) -> None:
    """Put the operator's files into the home directory, those that begin with `#!` as programs. SubstrateError if one cannot
    be there."""
    for path, content in operator.files.items():
        done = await environment.operate(("sh", "-c", _LAID, "sh", path), stdin=content, timeout=seconds(10))
        if not done.ok:
            told = done.stderr.strip() or "it did not end in 10 s"
            raise SubstrateError(f"expected to put the operator's file {path} into the home directory: {told}")


async def follow(
    steps: Sequence[PlannedStep],
    environment: Environment,
    operator: Operator,
    recorder: Recorder,
    *,
    actor: str = "operator",
) -> None:
    """Execute the steps in order. A failed one does not stop the next: a person reads on, and the record shows it."""
    for step in steps:
        invoked: dict[str, Scalar] = {"step": step.terms.index, "executor": step.executor, "text": step.terms.text}
        recorder.record(Name.STEP, Phase.INVOKE, invoked, actor=actor, source=step.terms.source)
        phase, data = await _outcome(step, environment, operator)
        recorder.record(Name.STEP, phase, {"step": step.terms.index, **data}, actor=actor, source=step.terms.source)


async def _outcome(step: PlannedStep, environment: Environment, operator: Operator) -> tuple[Phase, dict[str, Scalar]]:
    if step.executor == "manual":
        return Phase.INFO, {"why": "for a person: not executed, a declared time is added"}
    if step.executor == "skipped":
        return Phase.INFO, {"why": f"not run: {step.terms.deviation}"}
    completed, figures = await EXECUTORS[step.executor](step, environment, operator)
    data: dict[str, Scalar] = {
        "status": completed.status,
        "took_ns": completed.took,
        "stdout": _clipped(completed.stdout),
        "stderr": _clipped(completed.stderr),
        **figures,
    }
    return _phase(step, completed, data), data


def _phase(step: PlannedStep, completed: Completed, data: dict[str, Scalar]) -> Phase:
    if completed.status is None:
        data["why"] = "ended after a look, as a person would: it never ends by itself" if step.blocking else "timed out"
        return Phase.INFO
    return Phase.OK if completed.ok else Phase.FAIL


def _clipped(text: str) -> str:
    if len(text) <= KEPT:
        return text
    half = KEPT // 2
    return f"{text[:half]}\n… {len(text) - KEPT} characters left out …\n{text[-half:]}"
