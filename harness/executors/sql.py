"""SQL and psql's own commands, through psql as the operator would: same host name, role and network path."""

import re

from harness.model.history import Scalar
from harness.plan import PlannedStep
from harness.ports import Completed, Environment, Peer
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
    database = environment.database(operator.database).spec.database
    line = argv(step.terms.text, environment.peer(operator.database), database=database, role=operator.role)
    completed = await environment.operate(line, env=operator.env, timeout=step.timeout)
    return completed, figures(step.terms.text, completed.stdout)


def argv(text: str, peer: Peer, *, database: str, role: str) -> tuple[str, ...]:
    """Psql's arguments for one statement or meta-command on that server; the password comes from the operator's ~/.pgpass."""
    options = ("-X", "-w", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-P", "pager=off")
    return ("psql", "-h", peer.host, "-p", str(peer.port), "-U", role, "-d", database, *options, "-c", text)


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
