"""What measures while a trial runs: prober, ledger and load, each a process in the environment, their lines tailed as they
come. Nothing is judged here."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from harness import codec
from harness.errors import InstrumentError
from harness.load import reaching
from harness.load.driver import driving
from harness.measuring.lines import read_ledger, read_samples
from harness.model.history import Name, Phase, Reading, Sample, Write
from harness.model.load import (
    InstrumentReport,
    Intent,
    LedgerLine,
    LedgerWork,
    Outcome,
    ProberLine,
    ProberSpec,
    SqlProbe,
)
from harness.model.units import SECOND, Ns
from harness.plan import Plan
from harness.ports import Environment, Instrument, Load, Process, Reporter
from harness.running.recorder import Recorder

POLL: Ns = SECOND // 10
MARGIN: Ns = 120 * SECOND
"""How long workers may outlive what the scenario allows a trial, before they end by themselves."""

Listener = Callable[[Sequence[Sample]], None]


@dataclass(slots=True)
class Sampling:
    """The instruments of one trial while they run. `samples` grows; listeners are told of what is new."""

    plan: Plan
    folder: Path
    recorder: Recorder
    reporters: Sequence[Reporter]
    load: Load | None = None
    samples: list[Sample] = field(default_factory=list)
    _listeners: list[Listener] = field(default_factory=list)
    _workers: dict[str, Process] = field(default_factory=dict)
    _reports: dict[str, list[InstrumentReport]] = field(default_factory=dict)
    _ledger: list[LedgerLine] = field(default_factory=list)
    _offsets: dict[str, int] = field(default_factory=dict)
    _instrument: Instrument | None = None

    def tell(self, listener: Listener) -> None:
        """Call `listener` with every batch of new samples from now on."""
        self._listeners.append(listener)

    def writes(self) -> tuple[Write, ...]:
        """The ledger's writes so far."""
        return codec.writes_of(self._ledger, str(self.folder / "ledger.jsonl"))

    def poll(self) -> None:
        """Take in what the workers have written since the last time."""
        new = self._new_samples()
        if "ledger" in self._workers:
            lines, self._offsets["ledger"] = read_ledger(self.folder / "ledger.jsonl", self._offsets.get("ledger", 0))
            self._ledger.extend(lines)
            self._reports.setdefault("ledger", []).extend(line.instrument for line in lines if line.instrument)
        if new:
            self.samples.extend(new)
            for listener in self._listeners:
                listener(new)
            for reporter in self.reporters:
                reporter.samples(f"{self.plan.name} {self.folder.name}", new)

    def _new_samples(self) -> Sequence[Sample]:
        if self._instrument is not None:
            seen = self._instrument.samples(len(self.samples))
            self._store("samples.jsonl", [ProberLine(sample=sample) for sample in seen])
            return seen
        path = self.folder / "samples.jsonl"
        samples, reports, self._offsets["prober"] = read_samples(path, self._offsets.get("prober", 0))
        self._reports.setdefault("prober", []).extend(reports)
        return samples

    async def settle(self, environment: Environment) -> None:
        """The ledger is closed, and read back strongly, while the fault is still in force; standbys are counted."""
        spec = self.plan.scenario.ledger
        if spec is None:
            return
        if self._instrument is not None:
            self._ledger.extend(line for write in self._instrument.writes() for line in _lines(write))
            self._store("ledger.jsonl", self._ledger)
            self._read(self._instrument.reading())
            return
        await self._end("ledger")
        try:
            async for reading in reaching.readings(self.plan.topology, environment, spec):
                self._read(reading)
        except InstrumentError as error:
            self.recorder.record(Name.LEDGER, Phase.FAIL, {"why": str(error)})

    def _read(self, reading: Reading) -> None:
        self.recorder.reading(reading)
        self.recorder.record(Name.LEDGER, Phase.OK, {"rows": len(reading.rows), "place": reading.place})

    def _store(self, file: str, lines: Iterable[msgspec.Struct]) -> None:
        """What an instrument without a process knows is kept as a worker's own lines would be."""
        with (self.folder / file).open("ab") as out:
            out.writelines(codec.line(line) for line in lines)

    async def start(self, environment: Environment) -> None:
        """Start the workers that the scenario asks for."""
        self._instrument = environment.instrument()
        if self._instrument is not None:
            return
        bound = self.bound
        prober = _prober(self.plan, environment, bound)
        await self._start("prober", environment, "harness.probes.prober", prober, "samples.jsonl")
        spec = self.plan.scenario.ledger
        if spec is not None:
            topology = self.plan.topology
            dsn = reaching.dsn(topology, environment, spec.database, role=spec.role)
            work = LedgerWork(ledger=spec, dsn=dsn, kind=reaching.kind(topology, spec.database), bound=bound)
            await self._start("ledger", environment, "harness.load.ledger", work, "ledger.jsonl")

    async def _start(self, name: str, environment: Environment, module: str, spec: msgspec.Struct, file: str) -> None:
        argv = (environment.python, "-m", module, msgspec.json.encode(spec).decode())
        stdout, stderr = self.folder / file, self.folder / f"{name}.log"
        stdout.touch()
        self._workers[name] = await environment.start(argv, stdout=stdout, stderr=stderr)

    @property
    def bound(self) -> Ns:
        """How long a worker runs at most: what the scenario allows a trial, and a margin."""
        scenario = self.plan.scenario
        steps = sum(step.timeout for step in (*self.plan.prepare, *self.plan.steps))
        phase = scenario.backup.drilled if scenario.backup else 0
        return scenario.warm_up + scenario.recovery.horizon + phase + steps + MARGIN

    async def watch(self) -> None:
        """Poll until cancelled; InstrumentError as soon as a worker is gone before its time."""
        while True:
            await asyncio.sleep(POLL / SECOND)
            self.poll()
            for name, process in self._workers.items():
                if process.returncode is not None:
                    raise InstrumentError(self._died(name, process))

    def _died(self, name: str, process: Process) -> str:
        log = self.folder / f"{name}.log"
        tail = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-5:] if log.is_file() else []
        return f"the {name} ended with status {process.returncode} before its time: {' | '.join(tail) or 'it said nothing'}"

    async def _end(self, name: str) -> None:
        """End a worker and take in its last lines; what it says of itself becomes an event."""
        process = self._workers[name]
        await process.stop()
        self.poll()
        del self._workers[name]
        for report in [r for r in self._reports.get(name, ()) if r.final][-1:]:
            self.recorder.record(
                Name.INSTRUMENT,
                Phase.INFO,
                {
                    "worker": name,
                    "asked": report.asked,
                    "dropped": report.dropped,
                    "saturated": self._saturated() if name == "prober" else report.dropped,
                    "lag_p50_ns": report.lag_p50,
                    "lag_p99_ns": report.lag_p99,
                    "lag_max_ns": report.lag_max,
                    "suspended_ns": report.suspended,
                    "cpu_ns": report.cpu,
                },
            )

    def _saturated(self) -> int:
        """How many probes were not sent because too many of their kind were unanswered."""
        return sum(sample.reason == "saturated" for sample in self.samples)

    async def stop(self) -> None:
        """End every worker that still runs."""
        for name in list(self._workers):
            await self._end(name)


@asynccontextmanager
async def measuring(
    plan: Plan, environment: Environment, folder: Path, recorder: Recorder, reporters: Sequence[Reporter]
) -> AsyncIterator[Sampling]:
    """Instruments and load, running in `environment` for as long as the scope lasts. A worker that dies cancels the scope's
    task and comes out as InstrumentError."""
    sampling = Sampling(plan, folder, recorder, reporters)
    async with AsyncExitStack() as stack:
        await sampling.start(environment)
        stack.push_async_callback(sampling.stop)
        if plan.scenario.load is not None and environment.instrument() is None:
            sampling.load = await stack.enter_async_context(
                driving(environment, plan.scenario.load, folder, seed=plan.scenario.seed, bound=sampling.bound)
            )
        async with _watched(sampling):
            yield sampling


@asynccontextmanager
async def _watched(sampling: Sampling) -> AsyncIterator[None]:
    """Poll beside the body; an error of the watcher ends the body and is raised in its stead."""
    body = asyncio.current_task()
    watcher = asyncio.create_task(sampling.watch())
    died = False

    def stop(task: asyncio.Task[None]) -> None:
        nonlocal died
        if body is not None and not task.cancelled() and task.exception() is not None:
            died = True
            body.cancel()

    watcher.add_done_callback(stop)
    try:
        try:
            yield
        finally:
            watcher.cancel()
            await asyncio.wait((watcher,))
    except asyncio.CancelledError:
        # Somebody else's cancellation, even beside ours, is theirs to see.
        if not died or body is None or body.uncancel() > 0:
            raise
        watcher.result()


def _prober(plan: Plan, environment: Environment, bound: Ns) -> ProberSpec:
    topology = plan.scenario.topology
    names = [each.name for each in (*topology.workloads, *topology.databases, *topology.stores)]
    names += [exposed.name for exposed in (topology.cluster.exposed if topology.cluster else ())]
    peers = {name: environment.peer(name) for name in names}
    dsns = {
        f"{probe.database}/{probe.role}": reaching.dsn(topology, environment, probe.database, role=probe.role)
        for probe in plan.scenario.probes
        if isinstance(probe, SqlProbe)
    }
    return ProberSpec(
        probes=plan.scenario.probes,
        peers={name: (peer.host, peer.port) for name, peer in peers.items()},
        dsns=dsns,
        period=plan.terms.period,
        modes=plan.terms.modes,
        bound=bound,
    )


def _lines(write: Write) -> tuple[LedgerLine, LedgerLine]:
    """A write as the ledger's own process tells of it."""
    return (
        LedgerLine(intent=Intent(write.writer, write.seq, write.checksum, write.invoked)),
        LedgerLine(outcome=Outcome(write.writer, write.seq, write.done, write.outcome, write.code)),
    )
