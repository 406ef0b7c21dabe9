"""What asks the system questions while it is drilled: probes, background load, the write ledger; as values that travel to
the worker processes, and the lines those write. Not the workers."""

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from harness.model.history import Mode, Sample, WriteOutcome
from harness.model.units import SECOND, Ns, milliseconds


class HttpProbe(msgspec.Struct, frozen=True, tag="http", kw_only=True):
    """A GET (or POST with `body`) of `path` at `service`; good: status `status` and `contains` in the payload.

    `{n}` in `path` and `body` is the probe's number, from 1 to 1000 and around again. `timeout` ns from the scheduled
    instant.
    """

    indicator: str
    service: str
    path: str
    body: str = ""
    status: int = 200
    contains: str = ""
    timeout: Ns = milliseconds(1000)


class SqlProbe(msgspec.Struct, frozen=True, tag="sql", kw_only=True):
    """`statement` on `database` as `role`; good: it succeeds and its first value, as text, is `expect` ('' for any)."""

    indicator: str
    database: str
    role: str
    statement: str = "SELECT 1"
    expect: str = ""
    timeout: Ns = milliseconds(1000)


class TcpProbe(msgspec.Struct, frozen=True, tag="tcp", kw_only=True):
    """A connection to `peer` (a workload or database) is accepted; in pooled mode: one made earlier is still open."""

    indicator: str
    peer: str
    timeout: Ns = milliseconds(1000)


Probe = HttpProbe | SqlProbe | TcpProbe


@dataclass(frozen=True, slots=True)
class Task:
    """One thing a simulated user does: `weight` is its share. `{n}` in `path` and `body` is a random
    number from 1 to 1000. With a `body` it is a POST, else a GET."""

    path: str
    body: str = ""
    weight: int = 1


@dataclass(frozen=True, slots=True)
class LoadProfile:
    """Background load by locust: `users` concurrent users of `service`, each starting at most one request per `pace` ns.

    Each holds on to its connection, and so to the pod that answers it; with `anew` every request has a connection of its own, as
    where a balancer before the service spreads requests rather than connections.
    """

    service: str
    tasks: tuple[Task, ...]
    users: int = 4
    pace: Ns = milliseconds(500)
    timeout: Ns = milliseconds(5000)
    anew: bool = False


@dataclass(frozen=True, slots=True)
class LedgerSpec:
    """Numbered writes into `table` of `database` (a PostgreSQL database, or another store) as `role`, one every `period` ns.

    There is no unique key, so that duplicates show. In PostgreSQL the table is created with the environment, owned by the
    database's owner; in Redis it is a list, in MongoDB a collection, and there is no role. `concern` is what acknowledges a
    write: a value of synchronous_commit; how many replicas have it (Redis, WAIT); `w`, `w+j` (MongoDB); "" the server's own.
    """

    database: str
    role: str = ""
    table: str = "rundrill_ledger"
    period: Ns = milliseconds(50)
    timeout: Ns = milliseconds(1000)
    concern: str = ""

    def ddl(self) -> str:
        """SQL that creates the table, to be run by the database's owner; `role` may insert and read."""
        table, role = quoted(self.table), quoted(self.role)
        return (
            f"CREATE TABLE {table} (writer text NOT NULL, seq bigint NOT NULL, checksum text NOT NULL, "
            f"payload text NOT NULL); GRANT SELECT, INSERT ON {table} TO {role};"
        )


def quoted(identifier: str) -> str:
    """An SQL identifier, quoted."""
    return '"' + identifier.replace('"', '""') + '"'


class StoreKind(StrEnum):
    """By which protocol a ledger is written."""

    POSTGRES = "postgres"
    REDIS = "redis"
    MONGO = "mongo"


class LedgerTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a ledger is, as those say who reach it: `dsn` is libpq's, `redis://…` or `mongodb://…/database`; `table` the
    table, key or collection; `concern` as LedgerSpec has it."""

    dsn: str
    table: str
    kind: StoreKind = StoreKind.POSTGRES
    concern: str = ""


class ProberSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one prober process does: each of `probes` in each of `modes`, once every `period` ns, for at most `bound` ns.

    `peers` gives host and port of each name that HTTP and TCP probes use, `dsns` the connection string for each
    `database/role` that SQL probes use; both as seen from inside the environment.
    """

    probes: tuple[Probe, ...]
    peers: dict[str, tuple[str, int]] = {}
    dsns: dict[str, str] = {}
    period: Ns = milliseconds(50)
    modes: tuple[Mode, ...] = (Mode.FRESH, Mode.POOLED)
    bound: Ns = 600 * SECOND


class LedgerWork(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one ledger process does: writes as `ledger` says over `dsn`, under the name `writer`, for at most `bound` ns."""

    ledger: LedgerSpec
    dsn: str
    kind: StoreKind = StoreKind.POSTGRES
    writer: str = "w1"
    bound: Ns = 600 * SECOND

    @property
    def target(self) -> LedgerTarget:
        """Where it writes."""
        return LedgerTarget(dsn=self.dsn, table=self.ledger.table, kind=self.kind, concern=self.ledger.concern)


class LedgerRead(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a process does that reads a ledger back: all of `target`, which is at `place`, within `timeout` ns."""

    target: LedgerTarget
    place: str = "primary"
    timeout: Ns = 10 * SECOND


class LoadWork(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one load process does: `profile` against `host`:`port`, for at most `bound` ns."""

    profile: LoadProfile
    host: str
    port: int
    seed: int = 1
    bound: Ns = 600 * SECOND


class InstrumentReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How well an open-loop worker kept its schedule from `since` to `at` (monotonic ns): evidence for or against its data.

    `asked`: how many questions (or writes) were due; `dropped` of them were not sent because too many were unanswered,
    `unfinished` were still unanswered when it ended and are not in its data. Lag is sent minus scheduled, in ns. `cpu` is
    the CPU time of the process, ns; `suspended` how long the machine slept, ns, which the monotonic clock does not count.
    One report per second covers the time since the one before; the `final` one covers all.
    """

    worker: str
    since: Ns
    at: Ns
    asked: int
    dropped: int
    lag_p50: Ns
    lag_p99: Ns
    lag_max: Ns
    cpu: Ns
    suspended: Ns = 0
    unfinished: int = 0
    final: bool = False


class ProberLine(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One line of a prober: a sample or a report."""

    sample: Sample | None = None
    instrument: InstrumentReport | None = None


class Intent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A ledger write is about to be sent; on disk before it is. `invoked` in monotonic ns."""

    writer: str
    seq: int
    checksum: str
    invoked: Ns


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of a ledger write, and when that was known (monotonic ns). `code`: SQLSTATE or a short reason."""

    writer: str
    seq: int
    done: Ns
    outcome: WriteOutcome
    code: str = ""


class LedgerLine(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One line of a ledger writer: an intent, an outcome or a report."""

    intent: Intent | None = None
    outcome: Outcome | None = None
    instrument: InstrumentReport | None = None


class LoadCount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the background load did, once a second: `requests` finished and `failures` among them since the start, the rest
    over the last second. `at` monotonic ns; `rps` requests per second; `p50` and `p95` response times in ns, from the actual
    sending: locust is a closed loop, so these never feed an indicator."""

    at: Ns
    users: int
    requests: int
    failures: int
    rps: float
    p50: Ns
    p95: Ns
    cpu: Ns = 0
