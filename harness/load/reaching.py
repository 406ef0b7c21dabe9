"""How a ledger is reached in an environment: by its writer, as applications do, and by those who read it back, past what the
fault does to the network. Not what is written (ledger)."""

from collections.abc import AsyncIterator

import msgspec
import psycopg.conninfo

from harness.errors import InstrumentError
from harness.load.ledger import read_back
from harness.model.history import Reading
from harness.model.load import LedgerRead, LedgerSpec, LedgerTarget, StoreKind
from harness.model.topology import Mongo, Redis, Topology
from harness.model.units import Ns, seconds
from harness.ports import Environment

PATIENCE: Ns = seconds(10)
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
    match topology.store(name):
        case Redis(password=password):
            return f"redis://{f':{password}@' if password else ''}{peer.host}:{peer.port}/0"
        case Mongo(database=database):
            return f"mongodb://{peer.host}:{peer.port}/{database}?directConnection=true"
        case None:
            spec = topology.database(name)
            passwords = {each.name: each.password for each in (spec.owner, *spec.roles)}
            return psycopg.conninfo.make_conninfo(
                host=peer.host, port=peer.port, dbname=spec.database, user=role, password=passwords.get(role) or None
            )


async def readings(topology: Topology, environment: Environment, ledger: LedgerSpec) -> AsyncIterator[Reading]:
    """Strong readings of the whole ledger: at the primary, then at each standby that answers. InstrumentError if the primary
    does not: what was lost is then not known."""
    if topology.store(ledger.database) is not None:
        yield await _inside(environment, LedgerTarget(
            dsn=environment.store(ledger.database).dsn, table=ledger.table, kind=kind(topology, ledger.database)
        ))  # fmt: skip
        return
    spec = topology.database(ledger.database)
    standbys = [f"{spec.name}-standby-{number}" for number in range(1, spec.standbys + 1)]
    for name, place in ((spec.name, "primary"), *((name, name) for name in standbys)):
        target = LedgerTarget(dsn=environment.database(name).conninfo(dbname=spec.database), table=ledger.table)
        try:
            yield await read_back(target, place=place, timeout=PATIENCE)
        except InstrumentError:
            if place == "primary":
                raise


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
