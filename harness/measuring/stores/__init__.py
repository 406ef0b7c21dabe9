"""The ledger's stores: one Protocol, and an implementation for each protocol a system's data is reached by. What they say is
dated and classified (ok, fail, info); what follows from it is harness.checking's."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from harness.model.history import Reading, Row, WriteOutcome
from harness.model.load import LedgerTarget, StoreKind
from harness.model.units import Ns

Said = tuple[WriteOutcome, str]
"""What became of a write, and the server's code or a word for why it is not `ok`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One numbered write: `checksum` is that of `payload`."""

    writer: str
    seq: int
    checksum: str
    payload: str


class Store(Protocol):
    """One store as the ledger uses it. Appending never replaces: a write that is applied twice stands there twice."""

    async def append(self, entry: Entry, deadline: Ns) -> Said:
        """Write the entry with the write concern asked for; what became of it, known at `deadline` at the latest.

        `ok` only if the store acknowledged it by that concern; `fail` only if it cannot have been applied: refused by the
        server before it applied it, or never sent. Whatever else was sent is `info`.
        """
        ...

    async def read(self, place: str, deadline: Ns) -> Reading:
        """Everything that stands there, by the strongest read the store has. A ledger that is gone is a reading of no rows.
        InstrumentError where the server does not answer by `deadline`, or may not speak for the whole."""
        ...

    async def close(self) -> None:
        """Close what is kept open."""
        ...


def opened(target: LedgerTarget) -> Store:
    """The store of that kind. Call it inside the running loop."""
    # Each client library is imported where its store is used: the others may not be installed.
    match target.kind:
        case StoreKind.POSTGRES:
            from harness.measuring.stores.postgres import PostgresStore  # noqa: PLC0415

            return PostgresStore(target)
        case StoreKind.REDIS:
            from harness.measuring.stores.redis import RedisStore  # noqa: PLC0415

            return RedisStore(target)
        case StoreKind.MONGO:
            from harness.measuring.stores.mongo import MongoStore  # noqa: PLC0415

            return MongoStore(target)


def checksum(payload: str) -> str:
    """The first 16 hexadecimal digits of a payload's SHA-256."""
    return hashlib.sha256(payload.encode()).hexdigest()[:16]


def rows(entries: Iterable[Entry]) -> tuple[Row, ...]:
    """What a reading says of entries as they were found, by id: how often each stands there, and its checksum.

    Where checksum and payload do not belong together, or entries of one id differ, the checksum says so and so matches none
    that was written.
    """
    sums: dict[tuple[str, int], list[str]] = defaultdict(list)
    for entry in entries:
        right = entry.checksum == checksum(entry.payload)
        sums[entry.writer, entry.seq].append(entry.checksum if right else f"{entry.checksum} with another payload")
    return tuple(
        Row(writer, seq, ", ".join(sorted(set(found))), len(found)) for (writer, seq), found in sorted(sums.items())
    )
