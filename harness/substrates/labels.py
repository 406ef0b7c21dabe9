"""What everything that is created for a run is called, so that it can be told apart and found again."""

import itertools
import os

VARIABLE = "RUNDRILL_RUN"
"""The environment variable that every program in an environment carries; its value is the environment's name."""

RUN = "rundrill.run"
ENVIRONMENT = "rundrill.environment"
"""The labels of everything that is made elsewhere (by Docker, in a cluster) for a run and for one of its environments."""

HIDDEN = "rundrill.hidden"
"""In ENVIRONMENT's stead on what an environment needs and its operator must not reach."""

_NUMBERS = itertools.count(1)


def environment_name(run: str) -> str:
    """A name that no other environment of this machine has while it lives."""
    safe = "".join(char if char.isalnum() or char in "-_" else "-" for char in run)[:40] or "run"
    return f"{safe}-{os.getpid()}-{next(_NUMBERS)}"
