"""Lines are written without delaying anybody and read strictly."""

import asyncio
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InstrumentError
from harness.measuring.lines import Lines, lines_to, read_samples
from harness.model.history import Mode, Sample
from harness.model.load import InstrumentReport, ProberLine

SAMPLE = Sample("read", Mode.POOLED, 5, 6, 7, good=False, reason="status 503")
REPORT = InstrumentReport(worker="p", since=0, at=9, asked=3, dropped=0, lag_p50=1, lag_p99=2, lag_max=3, cpu=4)


def encoded(*lines: ProberLine) -> bytes:
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


async def test_lines_are_read_as_they_were_put(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    async with lines_to(fd) as lines:
        lines.put(ProberLine(sample=SAMPLE))
        lines.put(ProberLine(instrument=REPORT))
    os.close(fd)
    samples, reports, end = read_samples(path)
    assert (samples, reports, end) == ((SAMPLE,), (REPORT,), path.stat().st_size)
    assert read_samples(path, end) == ((), (), end)


async def test_lines_are_on_disk_when_a_flush_returns_and_soon_without_one(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    async with lines_to(fd) as lines:
        lines.put(ProberLine(sample=SAMPLE))
        await lines.flush()
        assert read_samples(path)[0] == (SAMPLE,)
        lines.put(ProberLine(sample=SAMPLE))
        async with asyncio.timeout(1):
            while len(read_samples(path)[0]) < 2:  # noqa: ASYNC110 - a file has no event
                await asyncio.sleep(0.01)
    os.close(fd)


async def test_a_reader_that_is_slow_delays_nobody() -> None:
    reading, writing = os.pipe()
    lines = Lines(writing)
    for _ in range(5000):  # far more than a pipe holds
        lines.put(ProberLine(sample=SAMPLE))
    flushing = asyncio.create_task(lines.flush())
    await asyncio.sleep(0.05)
    assert not flushing.done()

    def drain() -> int:
        got = 0
        while got < 5000 * len(encoded(ProberLine(sample=SAMPLE))):
            got += len(os.read(reading, 65536))
        return got

    await asyncio.to_thread(drain)
    await flushing
    os.close(reading)
    os.close(writing)


@given(st.integers(0, 400))
def test_a_line_that_is_still_being_written_is_left_for_later(cut: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "samples.jsonl")
        whole = encoded(ProberLine(sample=SAMPLE), ProberLine(instrument=REPORT), ProberLine(sample=SAMPLE))
        path.write_bytes(whole[:cut])
        before, reports, end = read_samples(path)
        assert end <= min(cut, len(whole))
        path.write_bytes(whole)
        after, more, _ = read_samples(path, end)
        assert (before + after, reports + more) == ((SAMPLE, SAMPLE), (REPORT,))


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        '{"sample": {"indicator": "read"}}',
        '{"sampel": null}',
        '{"sample": 3}',
        "[]",
        "Traceback (most recent",
    ],
)
def test_a_line_of_another_kind_is_named_with_its_file(tmp_path: Path, line: str) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_bytes(encoded(ProberLine(sample=SAMPLE)) + line.encode() + b"\n")
    with pytest.raises(InstrumentError, match=r"samples\.jsonl: expected one ProberLine a line, found"):
        read_samples(path)


def test_a_file_that_is_not_there_is_an_error_of_the_instrument(tmp_path: Path) -> None:
    with pytest.raises(InstrumentError, match="No such file"):
        read_samples(tmp_path / "none")
