"""A ledger written into an environment that no trial has: for proofs that do to a server what no fault of ours does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from harness import clock, codec
from harness.load import reaching
from harness.measuring.lines import read_ledger
from harness.model.history import Write, WriteOutcome
from harness.model.load import LedgerSpec, LedgerWork
from harness.model.topology import Topology
from harness.model.units import milliseconds, seconds
from harness.ports import Environment


@asynccontextmanager
async def ledger_process(
    environment: Environment, topology: Topology, ledger: LedgerSpec, folder: Path, *, writer: str = "w1"
) -> AsyncIterator[None]:
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - a test
    dsn = reaching.dsn(topology, environment, ledger.database, role=ledger.role)
    kind = reaching.kind(topology, ledger.database)
    work = LedgerWork(ledger=ledger, dsn=dsn, kind=kind, writer=writer, bound=seconds(60))
    argv = (environment.python, "-m", "harness.load.ledger", msgspec.json.encode(work).decode())
    process = await environment.start(argv, stdout=folder / "ledger.jsonl", stderr=folder / "ledger.log")
    try:
        yield
    finally:
        await process.stop()


def written(folder: Path) -> tuple[Write, ...]:
    path = folder / "ledger.jsonl"
    return codec.writes_of(read_ledger(path)[0], str(path)) if path.is_file() else ()


async def acknowledged(folder: Path, *, at_least: int) -> None:
    async def enough() -> bool | None:
        return sum(write.outcome is WriteOutcome.OK for write in written(folder)) >= at_least or None

    met = await clock.until(enough, deadline=clock.now() + seconds(20), every=milliseconds(50))
    assert met, (folder / "ledger.log").read_text()
