"""The write ledger, a process of its own inside the environment: `python -m harness.load.ledger SPEC`, SPEC being a
LedgerWork as JSON. Numbered writes, the intent on disk before each is sent; one LedgerLine per line on standard output.
With `--read SPEC`, a LedgerRead, it reads the ledger back instead and writes one Reading."""

import asyncio
import sys

import msgspec

from harness.clock import now
from harness.errors import InstrumentError
from harness.measuring.lines import Lines, lines_to
from harness.measuring.openloop import OpenLoop, Stream, stop_when_told
from harness.measuring.stores import Entry, checksum, opened
from harness.model.history import Reading
from harness.model.load import InstrumentReport, Intent, LedgerLine, LedgerRead, LedgerTarget, LedgerWork, Outcome
from harness.model.units import Ns, seconds


class Writer:
    """Writes the ledger's entries, one for each number it is given."""

    def __init__(self, work: LedgerWork, lines: Lines) -> None:
        self._writer = work.writer
        self._timeout = work.ledger.timeout
        self._lines = lines
        self.store = opened(work.target)

    async def write(self, seq: int, scheduled: Ns, sent: Ns) -> None:
        """Write entry `seq`: its intent first, its outcome last."""
        payload = f"{self._writer}/{seq} at {sent}"
        entry = Entry(self._writer, seq, checksum(payload), payload)
        self._lines.put(LedgerLine(intent=Intent(entry.writer, seq, entry.checksum, now())))
        await self._lines.flush()
        what, code = await self.store.append(entry, scheduled + self._timeout)
        self._lines.put(LedgerLine(outcome=Outcome(entry.writer, seq, now(), what, code)))


async def write_all(work: LedgerWork) -> None:
    """Write until told to stop."""
    stop = stop_when_told()
    async with lines_to() as lines:
        writer = Writer(work, lines)

        def report(made: InstrumentReport) -> None:
            lines.put(LedgerLine(instrument=made))

        stream = Stream(work.ledger.timeout, writer.write, saturated=lambda _number, _scheduled: None)
        try:
            await OpenLoop([stream], period=work.ledger.period, worker="ledger", report=report).run(
                stop=stop, bound=work.bound
            )
        finally:
            await writer.store.close()


async def read_back(target: LedgerTarget, *, place: str = "primary", timeout: Ns = seconds(10)) -> Reading:
    """Read the whole ledger strongly. A ledger that is gone is a reading of no rows.

    Where payload and checksum of a row do not belong together, or rows of one id differ, the checksum says so and so
    matches none that was written. InstrumentError if the server does not answer: what was lost is then not known.
    """
    store = opened(target)
    try:
        return await store.read(place, now() + timeout)
    finally:
        await store.close()


def main(argv: list[str]) -> int:
    """Run the writer, or the reader; 2 if the specification cannot be read, 1 if the ledger cannot."""
    reading = argv[1:2] == ["--read"]
    text = argv[-1] if len(argv) == (3 if reading else 2) else ""
    try:
        spec = msgspec.json.decode(text, type=LedgerRead) if reading else msgspec.json.decode(text, type=LedgerWork)
    except msgspec.DecodeError as error:
        expected = "LedgerRead" if reading else "LedgerWork"
        sys.stderr.write(f"harness.load.ledger: expected one {expected} as JSON, found {argv[1:]}: {error}\n")
        return 2
    if isinstance(spec, LedgerWork):
        asyncio.run(write_all(spec))
        return 0
    try:
        found = asyncio.run(read_back(spec.target, place=spec.place, timeout=spec.timeout))
    except InstrumentError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
