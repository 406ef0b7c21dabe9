"""SQL and psql's own commands, through psql as the operator would: same host name, role and network path."""

import re

from harness.model.history import Scalar
from harness.model.topology import Postgres
from harness.plan import PlannedStep
from harness.ports import Completed, Environment
from harness.scenario import Operator

_ROWS = re.compile(r"^\((\d+) rows?\)$", re.MULTILINE)
_TAG = re.compile(
    r"^((?:INSERT \d+|UPDATE|DELETE|COPY|MOVE|FETCH|SELECT|MERGE) (\d+)|[A-Z]+(?: [A-Z]+)*)$", re.MULTILINE
)
_TERMINATED = re.compile(r"pg_(?:terminate|cancel)_backend", re.IGNORECASE)


async def execute(
    step: PlannedStep, environment: Environment, operator: Operator
) -> tuple[Completed, dict[str, Scalar]]:
    """Run the statement by psql; `rows` (returned or affected), `tag` and, where backends were to be terminated,
    `terminated` are read from what psql prints. Errors carry their SQLSTATE (VERBOSITY verbose)."""
    spec = environment.database(operator.database).spec
    completed = await environment.operate(
        argv(step.terms.text, spec, operator.role), env=operator.env, timeout=step.timeout
    )
    return completed, figures(step.terms.text, completed.stdout)


def argv(text: str, spec: Postgres, role: str) -> tuple[str, ...]:
    """Psql's arguments for one statement or meta-command on that server; the password comes from the operator's ~/.pgpass."""
    host = spec.hosts[0] if spec.hosts else spec.name
    options = ("-X", "-w", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-P", "pager=off")
    return ("psql", "-h", host, "-U", role, "-d", spec.database, *options, "-c", text)


def figures(text: str, printed: str) -> dict[str, Scalar]:
    """What psql's output says of rows: `rows`, the command `tag`, and `terminated` for pg_terminate_backend."""
    found: dict[str, Scalar] = {}
    rows, tags = _ROWS.findall(printed), _TAG.findall(printed)
    if rows:
        found["rows"] = int(rows[-1])
    elif tags:
        tag, affected = tags[-1]
        found["tag"] = tag
        if affected:
            found["rows"] = int(affected)
    if rows and _TERMINATED.search(text):
        found["terminated"] = sum(line.strip() == "t" for line in printed.splitlines())
    return found
