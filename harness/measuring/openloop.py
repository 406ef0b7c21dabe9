"""The open loop: questions asked at scheduled instants whatever became of those before, and an honest report of how well
the schedule was kept. Not what is asked."""

import asyncio
import math
import os
import signal
import stat
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from harness.clock import now, sleep_until
from harness.model.load import InstrumentReport
from harness.model.units import SECOND, Ns, milliseconds, seconds

DRAIN = seconds(1.5)
"""How long unanswered questions are still waited for when the worker is told to stop; below the grace of Process.stop."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One question, asked once a period. `ask` is given its number (from 1), the instant it was due and the instant it is
    sent, and ends by itself within `timeout` ns of the due instant; `saturated` is told of one that could not be sent."""

    timeout: Ns
    ask: Callable[[int, Ns, Ns], Awaitable[None]]
    saturated: Callable[[int, Ns], None]


@dataclass(slots=True)
class _Tally:
    """What one report covers."""

    since: Ns
    cpu: Ns
    lags: list[Ns] = field(default_factory=list)
    dropped: int = 0


class OpenLoop:
    """Asks every stream once per `period` ns, the streams staggered evenly over it.

    At most ceil(rate × timeout) × 2 questions of one stream are unanswered at a time (measurement: section 7.2).
    """

    def __init__(
        self, streams: Sequence[Stream], *, period: Ns, worker: str, report: Callable[[InstrumentReport], None]
    ) -> None:
        self._streams = streams
        self._period = period
        self._worker = worker
        self._report = report
        self._waiting: list[set[asyncio.Task[None]]] = [set() for _ in streams]
        self._all = _Tally(0, 0)
        self._second = _Tally(0, 0)
        self._awake = _suspended()

    async def run(self, *, stop: asyncio.Event, bound: Ns) -> None:
        """Ask until `stop` is set or `bound` ns have passed; then wait a little for the answers still due.

        An error inside a question is a defect of the worker and ends it: an ExceptionGroup.
        """
        began = now()
        self._all, self._second = _Tally(began, 0), _Tally(began, time.process_time_ns())
        async with asyncio.TaskGroup() as group:
            ticking = group.create_task(self._ticks(group, began, began + bound))
            told = group.create_task(_told(stop))
            reporting = group.create_task(self._reports())
            await asyncio.wait({ticking, told}, return_when=asyncio.FIRST_COMPLETED)
            ticking.cancel()
            told.cancel()
            unfinished = await self._drain()
            reporting.cancel()
        self._report(self._made(self._all, final=True, unfinished=unfinished))

    async def _ticks(self, group: asyncio.TaskGroup, began: Ns, end: Ns) -> None:
        tick, instant = 0, began
        count = len(self._streams)
        caps = [max(1, math.ceil(stream.timeout / self._period)) * 2 for stream in self._streams]
        while instant < end:
            await sleep_until(instant)
            which = tick % count
            stream, waiting, number = self._streams[which], self._waiting[which], tick // count + 1
            if len(waiting) >= caps[which]:
                self._lag(now() - instant)
                self._all.dropped += 1
                self._second.dropped += 1
                stream.saturated(number, instant)
            else:
                task = group.create_task(self._asked(stream, number, instant))
                waiting.add(task)
                task.add_done_callback(waiting.discard)
            tick += 1
            instant = began + tick * self._period // count

    async def _asked(self, stream: Stream, number: int, scheduled: Ns) -> None:
        sent = now()
        self._lag(sent - scheduled)
        await stream.ask(number, scheduled, sent)

    def _lag(self, lag: Ns) -> None:
        self._all.lags.append(lag)
        self._second.lags.append(lag)

    async def _drain(self) -> int:
        waiting = set().union(*self._waiting)
        if not waiting:
            return 0
        _, late = await asyncio.wait(waiting, timeout=DRAIN / SECOND)
        for task in late:
            task.cancel()
        return len(late)

    async def _reports(self) -> None:
        while True:
            await sleep_until(self._second.since + SECOND)
            self._report(self._made(self._second))
            self._second = _Tally(now(), time.process_time_ns())

    def _made(self, tally: _Tally, *, final: bool = False, unfinished: int = 0) -> InstrumentReport:
        lags = sorted(tally.lags) or [0]
        return InstrumentReport(
            worker=self._worker,
            since=tally.since,
            at=now(),
            asked=len(tally.lags),
            dropped=tally.dropped,
            lag_p50=_quantile(lags, 0.5),
            lag_p99=_quantile(lags, 0.99),
            lag_max=lags[-1],
            cpu=time.process_time_ns() - tally.cpu,
            suspended=max(0, _suspended() - self._awake - READING),
            unfinished=unfinished,
            final=final,
        )


def _quantile(ordered: Sequence[Ns], share: float) -> Ns:
    """The smallest value that at least `share` of all do not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


READING: Ns = milliseconds(10)
"""How far apart the two clocks may be read, on a busy machine, without the machine having slept."""


def _suspended() -> Ns:
    """How long the machine has slept since it was started: what CLOCK_MONOTONIC leaves out."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()


async def _told(stop: asyncio.Event) -> None:
    await stop.wait()


def stop_when_told() -> asyncio.Event:
    """An event that is set by SIGTERM, SIGINT or, where standard input is a pipe, its end: nobody is listening any more."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    source = sys.stdin.fileno()
    mode = os.fstat(source).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):

        def heard() -> None:
            if not os.read(source, 4096):
                loop.remove_reader(source)
                stop.set()

        loop.add_reader(source, heard)
    return stop
