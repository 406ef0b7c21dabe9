"""How a ledger is reached in an environment: by its writer, as applications do, and by those who read it back, past what the
fault does to the network. Not what is written (ledger)."""

from collections.abc import AsyncIterator, Sequence

import msgspec
import psycopg
import psycopg.conninfo

from harness.clock import now
from harness.errors import InstrumentError, SubstrateError
from harness.load.ledger import read_back
from harness.measuring.postgres import connect, given_up_at
from harness.model.history import Reading
from harness.model.load import LedgerRead, LedgerSpec, LedgerTarget, StoreKind
from harness.model.topology import Mongo, Postgres, Redis, Topology
from harness.model.units import Ns, seconds
from harness.ports import Environment

PATIENCE: Ns = seconds(10)
ASKING: Ns = seconds(2)
"""How long a server may take to say whether it is a primary."""

STARTING: Ns = seconds(20)
"""What a reader inside the environment may take besides reading: a busy machine starts a Python in seconds."""


def kind(topology: Topology, name: str) -> StoreKind:
    """By which protocol the database or store of that name is written."""
    match topology.store(name):
        case Redis():
            return StoreKind.REDIS
        case Mongo():
            return StoreKind.MONGO
        case None:
            return StoreKind.POSTGRES


def dsn(topology: Topology, environment: Environment, name: str, *, role: str = "") -> str:
    """How a worker connects from inside, over TCP, as the application would. KeyError if there is no such server."""
    peer = environment.peer(name)
    if store := topology.store(name):
        return store.url(peer.host, peer.port)
    spec = topology.database(name)
    passwords = {each.name: each.password for each in (spec.owner, *spec.roles)}
    return psycopg.conninfo.make_conninfo(
        host=peer.host, port=peer.port, dbname=spec.database, user=role, password=passwords.get(role) or None
    )


async def readings(topology: Topology, environment: Environment, ledger: LedgerSpec) -> AsyncIterator[Reading]:
    """Strong readings of the whole ledger: at the primary, at each standby that answers, and at the primary again: what is
    seen once and not again has vanished, what is seen late was stale. InstrumentError if the primary does not answer: what
    was lost is then not known."""
    if topology.store(ledger.database) is not None:
        for _ in range(2):
            yield await _inside(environment, LedgerTarget(
            dsn=environment.store(ledger.database).dsn, table=ledger.table, kind=kind(topology, ledger.database)
        ))  # fmt: skip
        return
    spec = topology.database(ledger.database)
    servers = [spec.name, *(f"{spec.name}-standby-{number}" for number in range(1, spec.standbys + 1))]
    primary = await _primary(environment, spec, servers) if spec.standbys else spec.name
    first = (primary, "primary")
    for name, place in (first, *((name, name) for name in servers if name != primary), first):
        target = LedgerTarget(dsn=environment.database(name).conninfo(dbname=spec.database), table=ledger.table)
        try:
            yield await read_back(target, place=place, timeout=PATIENCE)
        except InstrumentError:
            if place == "primary":
                raise


async def _primary(environment: Environment, spec: Postgres, servers: Sequence[str]) -> str:
    """Which of the servers takes writes: after a failover it is another than before. Where several would, or none does, it is
    the one that the system was brought up with."""
    found: list[str] = []
    for name in servers:
        deadline = now() + ASKING
        try:
            connection = await connect(environment.database(name).conninfo(dbname=spec.database), deadline)
            try:
                with given_up_at(connection, deadline):
                    row = await (await connection.execute(b"SELECT pg_is_in_recovery()")).fetchone()
            finally:
                await connection.close()
        except (psycopg.Error, OSError, SubstrateError):  # TimeoutError is an OSError
            continue
        if row and not row[0]:
            found.append(name)
    return found[0] if len(found) == 1 else spec.name


async def _inside(environment: Environment, target: LedgerTarget) -> Reading:
    """A reading by a program inside: the environment's network may be its own."""
    spec = LedgerRead(target=target, timeout=PATIENCE)
    argv = (environment.python, "-m", "harness.load.ledger", "--read", msgspec.json.encode(spec).decode())
    done = await environment.run(argv, timeout=PATIENCE + STARTING)
    if done.status != 0:
        raise InstrumentError(done.stderr.strip() or f"the ledger's reader ended with status {done.status}")
    try:
        return msgspec.json.decode(done.stdout, type=Reading)
    except msgspec.DecodeError as error:
        raise InstrumentError(f"the ledger's reader: expected one Reading, found {done.stdout[:200]!r}") from error
