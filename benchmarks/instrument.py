"""What measuring costs: start-up and CPU of prober, ledger and load beside a shop on the local substrate. Run it on a quiet
machine: `python benchmarks/instrument.py [SECONDS]` from the repository's root."""  # noqa: INP001 - a program

import asyncio
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness import clock
from harness.errors import InstrumentError
from harness.load.driver import driving
from harness.measuring.lines import read_counts, read_ledger, read_samples
from harness.model.load import (
    HttpProbe,
    InstrumentReport,
    LedgerSpec,
    LedgerWork,
    LoadProfile,
    ProberSpec,
    Task,
)
from harness.model.topology import Postgres, Role, Topology, Workload
from harness.model.units import SECOND, Ns, milliseconds, seconds
from harness.ports import Environment, Process
from harness.substrates.local.substrate import Local

LEDGER = LedgerSpec(database="main", role="app")
SCHEMA = Path(__file__).resolve().parents[1] / "clusters/workloads/shop/schema.sql"
SYSTEM = Topology(
    "benchmark",
    databases=(
        Postgres(
            name="main",
            database="store",
            owner=Role("app", "secret"),
            hosts=("db.internal",),
            schema=SCHEMA.read_text(encoding="utf-8") + LEDGER.ddl(),
        ),
    ),
    workloads=(
        Workload(
            name="api",
            image="shop",
            port=8000,
            hosts=("api.internal",),
            env=(("DATABASE_URL", "postgresql://app:secret@db.internal:5432/store"),),
        ),
    ),
)
PROBES = (
    HttpProbe(indicator="read", service="api", path="/products?category=7&limit=5", contains='"products"'),
    HttpProbe(
        indicator="write",
        service="api",
        path="/orders",
        body='{"customer": {n}, "product": {n}}',
        status=201,
        contains='"id"',
    ),
)
LOAD = LoadProfile(
    "api", (Task("/products/{n}", weight=4), Task("/orders?customer={n}")), users=6, pace=milliseconds(250)
)


def has_lines(path: Path) -> bool:
    """Whether anything is written there."""
    return path.exists() and path.stat().st_size > 0


async def started(environment: Environment, module: str, spec: msgspec.Struct, out: Path) -> tuple[Process, Ns]:
    """A worker that has written its first line, and how long that took in ns."""
    began = clock.now()
    argv = (environment.python, "-m", module, msgspec.json.encode(spec).decode())
    process = await environment.start(argv, stdout=out, stderr=out.with_suffix(".err"))

    async def spoken() -> bool | None:
        return has_lines(out) or None

    if await clock.until(spoken, deadline=began + seconds(20), every=milliseconds(5)) is None:
        raise InstrumentError(f"{module} wrote nothing: {out.with_suffix('.err').read_text(encoding='utf-8')}")
    return process, clock.now() - began


def described(name: str, up: Ns, reports: Sequence[InstrumentReport]) -> str:
    """One worker in a line: the median of its seconds but the first, and its whole schedule."""
    *each, final = reports
    share = statistics.median(report.cpu / (report.at - report.since) for report in each[1:])
    return (
        f"{name:8} first line after {up / 1e6:4.0f} ms, {share:.3f} CPU s per s, {final.asked} due, "
        f"{final.dropped} dropped, lag p50 {final.lag_p50 / 1e6:.1f} p99 {final.lag_p99 / 1e6:.1f} "
        f"max {final.lag_max / 1e6:.1f} ms\n"
    )


async def measure(duration: Ns) -> str:
    """Prober, ledger and load for `duration` ns."""
    with tempfile.TemporaryDirectory(prefix="rundrill-benchmark-") as name:
        folder = Path(name)
        async with Local().environment(SYSTEM, run="benchmark", folder=folder) as environment:
            api, main = environment.peer("api"), environment.peer("main")
            prober = ProberSpec(probes=PROBES, peers={"api": (api.host, api.port)})
            dsn = f"host={main.host} port={main.port} dbname=store user=app password=secret"
            began = clock.now()
            async with driving(environment, LOAD, folder):
                loaded = clock.now() - began
                probing, probed = await started(environment, "harness.probes.prober", prober, folder / "samples.jsonl")
                work = LedgerWork(ledger=LEDGER, dsn=dsn)
                writing, written = await started(environment, "harness.load.ledger", work, folder / "ledger.jsonl")
                await clock.sleep_until(clock.now() + duration)
                await probing.stop()
                await writing.stop()
        samples, reports, _ = read_samples(folder / "samples.jsonl")
        lines, _ = read_ledger(folder / "ledger.jsonl")
        counts, _ = read_counts(folder / "load.jsonl")
    first, last = counts[1], counts[-1]
    return (
        described("prober", probed, reports)
        + described("ledger", written, [line.instrument for line in lines if line.instrument])
        + f"load     first line after {loaded / 1e6:4.0f} ms, "
        f"{(last.cpu - first.cpu) / (last.at - first.at):.3f} CPU s per s at "
        f"{(last.requests - first.requests) * SECOND / (last.at - first.at):.0f} requests per s\n"
        f"bad samples: {sum(not sample.good for sample in samples)} of {len(samples)}\n"
    )


if __name__ == "__main__":
    sys.stdout.write(asyncio.run(measure(seconds(float(sys.argv[1]) if len(sys.argv) > 1 else 10))))
