"""What every fault does around its own act: find its target, and undo to the end whatever happens. No act itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import psycopg.conninfo

from harness.errors import FaultError
from harness.model.units import SECOND, Ns, seconds, show
from harness.ports import Database, Link, Service, Stage, Store

UNDOING: Ns = seconds(45)
"""How long undoing may take: longer than a server may take to start."""


@asynccontextmanager
async def undone(undo: Callable[[], Awaitable[None]], *, what: str, within: Ns = UNDOING) -> AsyncIterator[None]:
    """Run `undo` to its end when the scope is left: on success, error and cancellation, also if cancelled meanwhile.

    FaultError if it fails or takes over `within` ns; on cancellation that is a note on the CancelledError instead, so
    that whoever cancelled gets what was asked for.
    """
    try:
        yield
    except asyncio.CancelledError as cancelled:
        failure = await _to_its_end(undo, what=what, within=within)
        if failure is not None:
            cancelled.add_note(str(failure))
        raise
    except BaseException as error:
        failure = await _to_its_end(undo, what=what, within=within)
        if failure is not None:
            raise failure from error
        raise
    failure = await _to_its_end(undo, what=what, within=within)
    if failure is not None:
        raise failure


async def _to_its_end(undo: Callable[[], Awaitable[None]], *, what: str, within: Ns) -> FaultError | None:
    """Why it failed, None if it did not. A cancellation that arrives meanwhile is raised afterwards."""
    task = asyncio.create_task(_bounded(undo, what=what, within=within))
    interruption: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            interruption = error
    failure = task.result()
    if interruption is not None:
        if failure is not None:
            interruption.add_note(str(failure))
        raise interruption
    return failure


async def _bounded(undo: Callable[[], Awaitable[None]], *, what: str, within: Ns) -> FaultError | None:
    try:
        async with asyncio.timeout(within / SECOND):
            await undo()
    except TimeoutError:
        return FaultError(f"{what}: expected to be undone within {show(within)}; it was not")
    except FaultError as error:
        return error
    except Exception as error:  # noqa: BLE001 - whatever went wrong, the fault may still be in force: say which
        failure = FaultError(f"{what}: could not be undone: {type(error).__name__}: {error}")
        failure.__cause__ = error
        return failure
    return None


def database(stage: Stage, name: str) -> Database:
    """The database of that name; FaultError if the environment has none."""
    try:
        return stage.environment.database(name)
    except KeyError:
        raise FaultError(
            f"expected a database {name!r} in the environment; its topology has none of that name"
        ) from None


def server(stage: Stage, name: str) -> Database | Store:
    """The database or store of that name; FaultError if the environment has neither."""
    try:
        return stage.environment.database(name)
    except KeyError:
        pass
    try:
        return stage.environment.store(name)
    except KeyError:
        raise FaultError(
            f"expected a database or store {name!r} in the environment; its topology has none of that name"
        ) from None


def link(stage: Stage, name: str) -> Link:
    """The link to the database of that name; FaultError if the environment has none."""
    try:
        return stage.environment.link(name)
    except KeyError:
        raise FaultError(
            f"expected a link to the database {name!r} in the environment; it was brought up without\n"
            "    have the substrate bring it up with links=fault.links"
        ) from None


def service(stage: Stage, name: str) -> Service | None:
    """The workload of that name, None if there is none."""
    try:
        return stage.environment.service(name)
    except KeyError:
        return None


def dsn(stage: Stage, target: Database, *, role: str, application_name: str) -> str:
    """How a client inside the environment connects as `role` ("" for the owner), by the network as applications do.

    FaultError if the server has no such role. The superuser `postgres` finds its password in the environment's pgpass.
    """
    spec = target.spec
    passwords = {each.name: each.password for each in (spec.owner, *spec.roles)}
    name = role or spec.owner.name
    if name not in passwords and name != "postgres":
        raise FaultError(f"{spec.name}: expected one of the roles {', '.join(sorted(passwords))}; found {name!r}")
    peer = stage.environment.peer(spec.name)
    return psycopg.conninfo.make_conninfo(
        host=peer.host,
        port=peer.port,
        dbname=spec.database,
        user=name,
        password=passwords.get(name) or None,
        application_name=application_name,
    )
