"""The prober process held against known outages, and how it ends."""

import asyncio
import contextlib
import itertools
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from harness import clock
from harness.measuring.lines import read_samples
from harness.model.history import Mode, Sample
from harness.model.load import HttpProbe, InstrumentReport, ProberSpec, SqlProbe, TcpProbe
from harness.model.units import SECOND, Ns, milliseconds, seconds
from harness.probes.prober import missing
from harness.probes.rig import Outage, Trouble, rig

pytestmark = pytest.mark.real

PERIOD = milliseconds(50)
TIMEOUT = milliseconds(250)


def spec(port: int, bound: Ns = seconds(30)) -> ProberSpec:
    read = HttpProbe(indicator="read", service="rig", path="/a/{n}", contains='"ok": true', timeout=TIMEOUT)
    write = HttpProbe(indicator="write", service="rig", path="/b", body='{"n": {n}}', contains="true", timeout=TIMEOUT)
    return ProberSpec(probes=(read, write), peers={"rig": ("127.0.0.1", port)}, period=PERIOD, bound=bound)


@contextlib.asynccontextmanager
async def probing(given: ProberSpec, out: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A prober whose first sample is there; its standard input is closed at the end."""
    argv = (sys.executable, "-m", "harness.probes.prober", msgspec.json.encode(given).decode())
    with out.open("wb") as file:
        process = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.PIPE, stdout=file)
    try:
        await until(lambda: bool(read_samples(out)[0]))
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 5)


@contextlib.asynccontextmanager
async def own_lag() -> AsyncIterator[list[Ns]]:
    """How late the test's own loop was, which serves the stub: the truth is known no better than that."""
    lags = [0]

    async def watch() -> None:
        while True:
            due = clock.now() + milliseconds(5)
            await clock.sleep_until(due)
            lags.append(clock.now() - due)

    watching = asyncio.create_task(watch())
    yield lags
    watching.cancel()


def slack(final: InstrumentReport, lags: list[Ns]) -> Ns:
    """How much the machine may have added to any instant; skips where that is too much to judge anything."""
    if final.lag_p99 > PERIOD or final.lag_max > 5 * PERIOD or max(lags) > PERIOD:
        pytest.skip(f"the machine starved the prober or the stub: {final}, own lag {max(lags) / 1e6:.0f} ms")
    return milliseconds(10) + final.lag_max + max(lags)


async def until(condition: Callable[[], bool]) -> None:
    async def met() -> bool | None:
        return condition() or None

    assert await clock.until(met, deadline=clock.now() + 10 * SECOND, every=milliseconds(20)), "it did not come about"


def stream(samples: tuple[Sample, ...], indicator: str, mode: Mode) -> list[Sample]:
    chosen = [each for each in samples if each.indicator == indicator and each.mode is mode]
    return sorted(chosen, key=lambda each: each.scheduled)


def estimate(samples: list[Sample], outage: Outage) -> tuple[Ns, Ns, set[str]]:
    """First bad and next lasting good instant of the outage as probed, and the reasons."""
    near = [each for each in samples if outage.start - PERIOD < each.scheduled < outage.end + PERIOD and not each.good]
    after = next(each for each in samples if each.good and each.scheduled > near[-1].scheduled)
    return near[0].scheduled, after.scheduled, {each.reason for each in near}


@pytest.mark.slow
async def test_a_known_outage_is_estimated_within_one_period(tmp_path: Path) -> None:
    out = tmp_path / "samples.jsonl"
    async with rig(seed=1) as stub, own_lag() as lags:
        async with probing(spec(stub.port), out):
            await asyncio.sleep(0.5)
            for trouble, duration in (
                (Trouble.REFUSE, 730), (Trouble.HANG, 670), (Trouble.SLOW, 610), (Trouble.ERROR, 330),
            ):  # fmt: skip
                await stub.trouble(trouble, milliseconds(duration))
                await asyncio.sleep(0.4)
            await stub.flap(Trouble.REFUSE, times=2, each=milliseconds(270))
        outages = stub.outages
    samples, reports, _ = read_samples(out)
    [final] = [report for report in reports if report.final]
    noise = slack(final, lags)
    expected = {
        Trouble.REFUSE: {"refused"}, Trouble.HANG: {"timeout"}, Trouble.SLOW: {"timeout"}, Trouble.ERROR: {"status 503"},
    }  # fmt: skip
    for outage in outages:
        for indicator in ("read", "write"):
            for mode in Mode:
                first, after, reasons = estimate(stream(samples, indicator, mode), outage)
                assert -noise <= first - outage.start <= PERIOD + noise, (outage, indicator, mode)
                assert -noise <= after - outage.end <= PERIOD + noise, (outage, indicator, mode)
                assert abs((after - first) - (outage.end - outage.start)) <= PERIOD + noise
                assert reasons <= expected[outage.trouble] | {"closed", "reset"}
    well = [s for s in samples if not any(o.start - TIMEOUT < s.scheduled < o.end + PERIOD for o in outages)]
    assert all(sample.good for sample in well)
    counts = Counter((sample.indicator, sample.mode) for sample in samples)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert sum(counts.values()) == final.asked - final.unfinished


async def test_an_answer_that_would_have_come_in_time_is_good_though_the_server_stalled(tmp_path: Path) -> None:
    """Requests due in the last `timeout` of a stall are answered within it: to their users that part was no outage."""
    out = tmp_path / "samples.jsonl"
    async with own_lag() as lags, rig(seed=2) as stub, probing(spec(stub.port), out):
        await asyncio.sleep(0.3)
        outage = await stub.trouble(Trouble.STALL, milliseconds(600))
        await asyncio.sleep(0.3)
    samples, reports, _ = read_samples(out)
    noise = slack(reports[-1], lags)
    for indicator in ("read", "write"):
        first, after, reasons = estimate(stream(samples, indicator, Mode.FRESH), outage)
        assert abs((after - first) - (outage.end - outage.start - TIMEOUT)) <= PERIOD + noise
        assert reasons == {"timeout"}


async def test_a_full_prober_says_saturated_at_the_scheduled_instant(tmp_path: Path) -> None:
    out = tmp_path / "samples.jsonl"
    probe = HttpProbe(indicator="read", service="rig", path="/", timeout=milliseconds(100))
    async with rig(seed=3) as stub:
        given = ProberSpec(probes=(probe,), peers={"rig": ("127.0.0.1", stub.port)}, period=milliseconds(25))
        async with probing(given, out) as process:
            os.kill(process.pid, signal.SIGSTOP)
            await asyncio.sleep(0.6)
            os.kill(process.pid, signal.SIGCONT)
            await asyncio.sleep(0.3)
    samples, reports, _ = read_samples(out)
    [final] = [report for report in reports if report.final]
    assert final.lag_max > milliseconds(400)  # the trial is invalid, and shows it
    for mode in Mode:
        due = [sample.scheduled for sample in stream(samples, "read", mode)]
        assert {b - a for a, b in itertools.pairwise(due)} == {milliseconds(25)}  # nothing is left out
    late = [sample for sample in samples if sample.sent - sample.scheduled > milliseconds(100)]
    assert late
    assert not any(sample.good for sample in late)
    assert final.dropped == sum(sample.reason == "saturated" for sample in samples) > 0


@pytest.mark.parametrize("how", ["end of input", "SIGTERM", "SIGINT", "bound"])
async def test_it_ends_by_itself_with_a_last_report(tmp_path: Path, how: str) -> None:
    out = tmp_path / "samples.jsonl"
    async with rig(seed=4) as stub:
        given = spec(stub.port, bound=seconds(0.5) if how == "bound" else seconds(30))
        async with probing(given, out) as process:
            match how:
                case "SIGTERM" | "SIGINT":
                    process.send_signal(signal.Signals[how])
                case "end of input":
                    assert process.stdin is not None
                    process.stdin.close()
                case _:
                    pass
            assert await asyncio.wait_for(process.wait(), 3) == 0
    samples, reports, _ = read_samples(out)
    assert reports[-1].final
    assert reports[-1].asked == len(samples)
    assert 0 < reports[-1].cpu < 5 * SECOND


async def test_input_that_is_no_pipe_does_not_end_it(tmp_path: Path) -> None:
    out = tmp_path / "samples.jsonl"
    async with rig(seed=5) as stub:
        argv = ("-m", "harness.probes.prober", msgspec.json.encode(spec(stub.port, bound=seconds(0.4))).decode())
        with out.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *argv, stdin=asyncio.subprocess.DEVNULL, stdout=file
            )
        assert await asyncio.wait_for(process.wait(), 10) == 0
    assert read_samples(out)[1][-1].asked >= 8 * 4 - 4


@pytest.mark.parametrize("argument", ["", "{}", '{"probes": [{"type": "ftp"}]}', '{"probes": []}'])
async def test_a_specification_that_cannot_be_understood_is_refused(argument: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "harness.probes.prober", argument, stderr=asyncio.subprocess.PIPE
    )
    _, complaint = await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == 2
    assert b"ProberSpec" in complaint


def test_everything_the_specification_lacks_is_named_at_once() -> None:
    probes = (HttpProbe(indicator="a", service="x", path="/"), SqlProbe(indicator="b", database="d", role="r"),
              TcpProbe(indicator="c", peer="y"))  # fmt: skip
    lacking = missing(ProberSpec(probes=probes))
    assert [text.split(" of ")[0] for text in lacking] == ["peer 'x'", "DSN 'd/r'", "peer 'y'"]
