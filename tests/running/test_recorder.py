"""Every event is on disk before the next thing happens."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from harness import codec
from harness.model.design import TREATED
from harness.model.history import History, Name, Phase, Reading, Row
from harness.model.source import Source
from harness.running.recorder import recording
from tests.running.stage import CURES, Watched, tried

pytestmark = pytest.mark.looptime


async def some_header(folder: Path):
    (folder / "other").mkdir()
    history, _ = await tried(CURES, TREATED, folder / "other")
    return replace(history.header, trial="treated-9")


async def test_each_event_and_reading_is_on_disk_as_soon_as_it_is_recorded(tmp_path: Path) -> None:
    header = await some_header(tmp_path)
    with recording(tmp_path, header, ()) as recorder:
        assert codec.read_history(tmp_path) == History(header)
        first = recorder.record(Name.TRIAL, Phase.INVOKE, {"arm": "treated"}, source=Source("a.md", 3))
        assert codec.read_history(tmp_path).events == (first,)
        await asyncio.sleep(2)
        second = recorder.record(Name.TRIAL, Phase.OK)
        assert codec.read_history(tmp_path).events == (first, second)
        reading = Reading("primary", 1, 2, (Row("w1", 1, "c"),))
        recorder.reading(reading)
        assert codec.read_history(tmp_path).readings == (reading,)
    assert (second.index, second.at - first.at) == (1, 2_000_000_000)


async def test_a_folder_that_has_a_history_is_not_written_to(tmp_path: Path) -> None:
    header = await some_header(tmp_path)
    with recording(tmp_path, header, ()):
        pass
    before = (tmp_path / "history.jsonl").read_bytes()
    with pytest.raises(FileExistsError), recording(tmp_path, header, ()):
        pass
    assert (tmp_path / "history.jsonl").read_bytes() == before


async def test_a_reporter_is_told_after_the_event_is_kept(tmp_path: Path) -> None:
    header = await some_header(tmp_path)
    watched = Watched()
    with recording(tmp_path, header, (watched,)) as recorder:
        event = recorder.record(Name.TRIAL, Phase.INVOKE)
    assert watched.told == [("shop/down treated-9", event)]
    assert recorder.events == [event]
