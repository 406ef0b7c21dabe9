"""What asks the system questions while it is drilled: probes, background load, the write ledger; as values that travel to
the worker processes. Not the workers."""

from dataclasses import dataclass

import msgspec

from harness.model.units import Ns, milliseconds


class HttpProbe(msgspec.Struct, frozen=True, tag="http", kw_only=True):
    """A GET (or POST with `body`) of `path` at `service`; good: status `status` and `contains` in the payload.

    `{n}` in `path` and `body` is the probe's number. `timeout` ns from the scheduled instant.
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
    """A connection to `peer` (a workload or database) is accepted."""

    indicator: str
    peer: str
    timeout: Ns = milliseconds(1000)


Probe = HttpProbe | SqlProbe | TcpProbe


@dataclass(frozen=True, slots=True)
class Task:
    """One thing a simulated user does: `weight` is its share. `{n}` in `path` and `body` is a random number below 1000."""

    path: str
    body: str = ""
    weight: int = 1


@dataclass(frozen=True, slots=True)
class LoadProfile:
    """Background load by locust: `users` concurrent users of `service`, each starting at most one request per `pace` ns."""

    service: str
    tasks: tuple[Task, ...]
    users: int = 4
    pace: Ns = milliseconds(500)
    timeout: Ns = milliseconds(5000)


@dataclass(frozen=True, slots=True)
class LedgerSpec:
    """Numbered writes into `table` of `database` as `role`, one every `period` ns. The table has no unique key, so that
    duplicates show; it is created with the environment, owned by the database's owner."""

    database: str
    role: str
    table: str = "rundrill_ledger"
    period: Ns = milliseconds(50)
    timeout: Ns = milliseconds(1000)
