"""The trial log: a chain that is resumed whole or not at all, and never overwritten."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.checking.gate import BRONZE, SILVER
from harness.errors import StoreError
from harness.model.design import CONTROL, TREATED
from harness.running.triallog import Begun, Cell, Opened, opened, read
from tests.checking.records import record

ASKED = Opened("0.1.0", BRONZE, (Cell("shop/down", "d" * 64),), 1)


def filled(path: Path, trials: int = 3) -> None:
    with opened(path, ASKED) as log:
        for number in range(1, trials + 1):
            log.begin(Begun("shop/down", f"treated-{number}", TREATED, number))
            log.end(record(number=number))


def test_what_was_appended_is_there_when_the_log_is_resumed(tmp_path: Path) -> None:
    path = tmp_path / "deep/trials.jsonl"
    filled(path)
    with opened(path, ASKED) as log:
        assert log.records == [record(number=n) for n in (1, 2, 3)]
        assert [b.trial for b in log.begun] == ["treated-1", "treated-2", "treated-3"]
        log.begin(Begun("shop/down", "control-4", CONTROL, 4))
    with opened(path, ASKED) as log:
        assert [b.trial for b in log.interrupted()] == ["control-4"]
    assert len(path.read_bytes().splitlines()) == 8


def test_a_trial_that_was_begun_and_never_ended_stays_known(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with opened(path, ASKED) as log:
        log.begin(Begun("shop/down", "treated-1", TREATED, 1))
    with opened(path, ASKED) as log:
        assert [b.trial for b in log.interrupted()] == ["treated-1"]


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        (replace(ASKED, cells=(Cell("shop/down", "e" * 64),)), "digest of shop/down is dddd"),
        (replace(ASKED, cells=(Cell("shop/up", "d" * 64),)), "digest of shop/up is not in it"),
        (replace(ASKED, tier=SILVER), "tier is"),
        (replace(ASKED, tier=replace(BRONZE, p0=0.4)), "tier is"),
        (replace(ASKED, version="0.2.0"), "version is 0.1.0, and asked is 0.2.0"),
        (replace(ASKED, seed=2), "seed is 1, and asked is 2"),
    ],
)
def test_a_log_of_something_else_is_refused_and_left_alone(tmp_path: Path, asked: Opened, what: str) -> None:
    path = tmp_path / "log"
    filled(path)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=rf"log:1: .*{what}"), opened(path, asked):
        pytest.fail("it was opened")
    assert path.read_bytes() == before


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def edited(path: Path) -> int:
    whole = lines(path)
    whole[2] = whole[2].replace(b'"passed"', b'"failed"', 1)
    path.write_bytes(b"".join(whole))
    return 4


def last_edited(path: Path) -> int:
    whole = lines(path)
    whole[-1] = whole[-1].replace(b'"passed"', b'"failed"', 1)
    path.write_bytes(b"".join(whole))
    return 7


def without_a_line(path: Path) -> int:
    whole = lines(path)
    path.write_bytes(b"".join([*whole[:3], *whole[4:]]))
    return 4


def swapped(path: Path) -> int:
    whole = lines(path)
    whole[3], whole[5] = whole[5], whole[3]
    path.write_bytes(b"".join(whole))
    return 4


def cut_within_a_line(path: Path) -> int:
    path.write_bytes(path.read_bytes()[:-20])
    return 7


def without_its_last_two_lines(path: Path) -> int:
    path.write_bytes(b"".join(lines(path)[:-2]))
    return 5


def emptied(path: Path) -> int:
    path.write_bytes(b"")
    return 1


def with_an_unknown_field(path: Path) -> int:
    whole = lines(path)
    whole[0] = whole[0].replace(b'{"schema":1', b'{"schema":1,"more":1', 1)
    path.write_bytes(b"".join(whole))
    return 1


def of_another_schema(path: Path) -> int:
    whole = lines(path)
    whole[0] = whole[0].replace(b'{"schema":1', b'{"schema":9', 1)
    path.write_bytes(b"".join(whole))
    return 1


def opened_twice(path: Path) -> int:
    whole = lines(path)
    path.write_bytes(b"".join([whole[0], whole[0]]))
    return 2


@pytest.mark.parametrize(
    "tamper",
    [
        edited,
        last_edited,
        without_a_line,
        swapped,
        cut_within_a_line,
        without_its_last_two_lines,
        emptied,
        with_an_unknown_field,
        of_another_schema,
        opened_twice,
    ],
)
def test_a_log_that_is_not_as_it_was_written_is_refused_at_its_line_and_left_alone(tmp_path: Path, tamper) -> None:
    path = tmp_path / "log"
    filled(path)
    line = tamper(path)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=rf"log:{line}: "), opened(path, ASKED):
        pytest.fail("it was opened")
    assert path.read_bytes() == before


def test_a_log_whose_note_of_its_end_is_gone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log"
    filled(path)
    (tmp_path / "log.head").unlink()
    with pytest.raises(StoreError, match=r"log\.head: missing"):
        read(path)


def test_being_killed_between_a_line_and_the_note_of_it_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log"
    filled(path, 1)
    before = (tmp_path / "log.head").read_bytes()
    with opened(path, ASKED) as log:
        log.begin(Begun("shop/down", "treated-2", TREATED, 2))
    (tmp_path / "log.head").write_bytes(before)
    with opened(path, ASKED) as log:
        assert len(log.begun) == 2
        log.end(record(number=2))
    assert len(read(path)[0]) == 5


def test_two_gates_cannot_write_one_log(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with (
        opened(path, ASKED),
        pytest.raises(StoreError, match="another gate is writing it"),
        opened(path, ASKED),
    ):
        pytest.fail("it was opened twice")


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"), opened(tmp_path, ASKED):
        pytest.fail("a folder was opened")
