"""The schedule, under virtual time: it never waits for an answer, and it says how well it was kept."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from harness.clock import now
from harness.measuring.openloop import OpenLoop, Stream
from harness.model.load import InstrumentReport
from harness.model.units import SECOND, Ns, milliseconds, seconds

pytestmark = pytest.mark.looptime

PERIOD = milliseconds(100)
Ask = Callable[[int, Ns, Ns], Awaitable[None]]


class Seen:
    """What a stream was asked, and what a loop reported."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, Ns, Ns]] = []
        self.skipped: list[tuple[int, Ns]] = []
        self.reports: list[InstrumentReport] = []

    def stream(self, takes: Callable[[Ns], Ns] = lambda _: 0, timeout: Ns = milliseconds(500)) -> Stream:
        async def ask(number: int, scheduled: Ns, sent: Ns) -> None:
            self.asked.append((number, scheduled, sent))
            await asyncio.sleep(takes(scheduled) / SECOND)

        return Stream(timeout, ask, lambda number, scheduled: self.skipped.append((number, scheduled)))

    def loop(self, *streams: Stream) -> OpenLoop:
        return OpenLoop(streams, period=PERIOD, worker="test", report=self.reports.append)


async def run(loop: OpenLoop, duration: Ns) -> None:
    await loop.run(stop=asyncio.Event(), bound=duration)


async def test_questions_are_due_at_equal_intervals_and_numbered() -> None:
    seen, began = Seen(), now()
    await run(seen.loop(seen.stream()), seconds(2))
    assert [number for number, _, _ in seen.asked] == list(range(1, 21))
    assert [due - began for _, due, _ in seen.asked] == [PERIOD * i for i in range(20)]


async def test_an_answer_that_takes_long_delays_no_question() -> None:
    seen = Seen()
    await run(seen.loop(seen.stream(takes=lambda _: milliseconds(450))), seconds(2))
    assert len(seen.asked) == 20
    assert all(sent - due < milliseconds(1) for _, due, sent in seen.asked)


async def test_streams_are_not_asked_in_phase() -> None:
    seen, began = Seen(), now()
    await run(seen.loop(*(seen.stream() for _ in range(4))), PERIOD)
    assert [due - began for _, due, _ in seen.asked] == [0, PERIOD // 4, PERIOD // 2, 3 * PERIOD // 4]


async def test_too_many_unanswered_questions_are_skipped_at_their_instant_and_counted() -> None:
    seen, began = Seen(), now()
    await run(seen.loop(seen.stream(takes=lambda _: seconds(100), timeout=milliseconds(300))), seconds(1))
    assert len(seen.asked) == 6  # ceil(rate × timeout) × 2
    assert [due - began for _, due in seen.skipped] == [PERIOD * i for i in range(6, 10)]
    final = seen.reports[-1]
    assert (final.final, final.asked, final.dropped, final.unfinished) == (True, 10, 4, 6)


async def test_answers_still_due_are_waited_for_when_the_loop_is_told_to_stop() -> None:
    seen, stop, answered = Seen(), asyncio.Event(), []

    async def ask(number: int, _due: Ns, _sent: Ns) -> None:
        await asyncio.sleep(0.4)
        answered.append(number)

    running = asyncio.create_task(
        seen.loop(Stream(SECOND, ask, lambda _number, _due: None)).run(stop=stop, bound=seconds(60))
    )
    await asyncio.sleep(0.95)
    stop.set()
    began = now()
    await running
    assert answered == list(range(1, 11))
    assert now() - began <= milliseconds(400)
    assert seen.reports[-1].unfinished == 0


async def test_every_second_is_reported_and_the_last_report_covers_all() -> None:
    seen = Seen()
    await run(seen.loop(seen.stream()), seconds(3.05))
    *each, final = seen.reports
    assert [report.asked for report in each] == [10, 10, 10]
    assert [report.final for report in seen.reports] == [False, False, False, True]
    assert (final.asked, final.since) == (31, each[0].since)
    assert final.cpu >= 0


async def test_a_starved_loop_says_how_late_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Seen()
    lags = [0] * 98 + [milliseconds(30), milliseconds(700)]
    loop = seen.loop(seen.stream())
    for lag in lags:
        loop._lag(lag)
    report = loop._made(loop._all)
    assert (report.lag_p50, report.lag_p99, report.lag_max) == (0, milliseconds(30), milliseconds(700))


async def test_a_defect_of_a_question_ends_the_loop() -> None:
    async def ask(_number: int, _due: Ns, _sent: Ns) -> None:
        raise LookupError("a mistake of ours")

    with pytest.raises(ExceptionGroup) as caught:
        await run(Seen().loop(Stream(SECOND, ask, lambda _number, _due: None)), seconds(5))
    assert caught.value.subgroup(LookupError)
