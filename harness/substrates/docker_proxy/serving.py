"""The socket that the operator's `docker` and `docker-compose` are given: each request decided, rewritten, and handed on or refused."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path


@asynccontextmanager
async def serve(path: Path, *, docker: Path, environment: str, project: str, network: str) -> AsyncIterator[None]:
    """Serve a Unix socket at `path` in front of the daemon's at `docker`, while the context lasts.

    What bears the label `rundrill.environment=<environment>` is the operator's: containers, networks and volumes. What they
    create gets that label (and the others that begin with `rundrill.` of `network`), joins `network`, which has to exist,
    and is refused if it would reach the host. A compose project is the operator's if it is called `project`. The socket may be
    used by everybody who sees it: put it where only the operator does. SubstrateError if it cannot be served.
    """
    raise NotImplementedError
    yield
