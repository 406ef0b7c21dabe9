"""The open-loop prober, a process of its own inside the environment: `python -m harness.probes.prober SPEC`, SPEC being a
ProberSpec as JSON. One ProberLine per line on standard output; never judges."""

import asyncio
import sys
from typing import Protocol, assert_never

import msgspec

from harness.clock import now
from harness.measuring.lines import Lines, lines_to
from harness.measuring.openloop import OpenLoop, Stream, stop_when_told
from harness.model.history import Mode, Sample
from harness.model.load import HttpProbe, InstrumentReport, Probe, ProberLine, ProberSpec, SqlProbe, TcpProbe
from harness.model.units import Ns
from harness.probes.http import HttpAsker
from harness.probes.sql import SqlAsker
from harness.probes.tcp import TcpAsker


class Asker(Protocol):
    """Asks one probe in one connection mode."""

    async def ask(self, number: int, deadline: Ns, /) -> str:
        """Ask for the `number`th time; why the answer is bad, in a word, '' if good. Ends by itself at `deadline`."""
        ...

    async def close(self) -> None:
        """Close what is kept open."""
        ...


def asker(spec: ProberSpec, probe: Probe, mode: Mode) -> Asker:
    """What asks that probe in that mode; KeyError where the spec has no peer or DSN of that name."""
    match probe:
        case HttpProbe():
            return HttpAsker(probe, spec.peers[probe.service], mode)
        case SqlProbe():
            return SqlAsker(probe, spec.dsns[f"{probe.database}/{probe.role}"], mode)
        case TcpProbe():
            return TcpAsker(spec.peers[probe.peer], mode)
        case _:
            assert_never(probe)


def stream(probe: Probe, mode: Mode, *, asked: Asker, lines: Lines) -> Stream:
    """The open loop's stream that turns answers into samples."""

    def put(scheduled: Ns, sent: Ns, why: str) -> None:
        done = now()
        if not why and done > scheduled + probe.timeout:
            why = "late"
        sample = Sample(probe.indicator, mode, scheduled, sent, done, good=not why, reason=why)
        lines.put(ProberLine(sample=sample))

    async def ask(number: int, scheduled: Ns, sent: Ns) -> None:
        put(scheduled, sent, await asked.ask(number, scheduled + probe.timeout))

    def saturated(_: int, scheduled: Ns) -> None:
        put(scheduled, now(), "saturated")

    return Stream(probe.timeout, ask, saturated)


async def probe_all(spec: ProberSpec) -> None:
    """Probe until told to stop."""
    stop = stop_when_told()
    askers: list[Asker] = []
    async with lines_to() as lines:
        streams = []
        for probe in spec.probes:
            for mode in spec.modes:
                askers.append(asker(spec, probe, mode))
                streams.append(stream(probe, mode, asked=askers[-1], lines=lines))

        def report(made: InstrumentReport) -> None:
            lines.put(ProberLine(instrument=made))

        loop = OpenLoop(streams, period=spec.period, worker="prober", report=report)
        try:
            await loop.run(stop=stop, bound=spec.bound)
        finally:
            for one in askers:
                await one.close()


def missing(spec: ProberSpec) -> list[str]:
    """What the probes name and the spec does not say where to find."""
    found = []
    for probe in spec.probes:
        match probe:
            case HttpProbe() if probe.service not in spec.peers:
                found.append(f"peer {probe.service!r} of probe {probe.indicator!r}")
            case TcpProbe() if probe.peer not in spec.peers:
                found.append(f"peer {probe.peer!r} of probe {probe.indicator!r}")
            case SqlProbe() if f"{probe.database}/{probe.role}" not in spec.dsns:
                found.append(f"DSN {f'{probe.database}/{probe.role}'!r} of probe {probe.indicator!r}")
            case _:
                pass
    return found or ([] if spec.probes and spec.modes and spec.period > 0 else ["any probe, mode or period"])


def main(argv: list[str]) -> int:
    """Run the prober; 2 if its specification cannot be understood."""
    try:
        spec = msgspec.json.decode(argv[1] if len(argv) == 2 else "", type=ProberSpec)
    except msgspec.DecodeError as error:
        sys.stderr.write(f"harness.probes.prober: expected one ProberSpec as JSON, found {argv[1:]}: {error}\n")
        return 2
    if lacking := missing(spec):
        sys.stderr.write(f"harness.probes.prober: the ProberSpec lacks {'; '.join(lacking)}\n")
        return 2
    asyncio.run(probe_all(spec))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
