import hashlib

import pytest

from harness import runbooks
from harness.errors import InputError
from harness.runbooks import text


def test_utf8_read_as_windows_text_and_written_again_is_repaired_line_by_line() -> None:
    loaded = text.load("# a\n\nâœ… done\nplain\n", "x.md")
    assert loaded.lines[2] == "✅ done"
    assert loaded.repaired
    assert len(loaded.lines) == 5


def test_utf8_read_as_mac_os_roman_is_repaired_if_the_whole_document_is() -> None:
    loaded = text.load("RPO ‚â§ 12h\nRTO ‚â§ 30m\n", "x.md")
    assert loaded.lines[:2] == ("RPO ≤ 12h", "RTO ≤ 30m")


def test_text_that_is_what_it_seems_is_left_alone() -> None:
    loaded = text.load("café « été » – naïve 30–60 min ┌──┐\n", "x.md")
    assert loaded.lines[0] == "café « été » – naïve 30–60 min ┌──┐"
    assert not loaded.repaired


def test_bytes_that_are_no_utf8_are_read_as_windows_text() -> None:
    assert text.load("caf\xe9\n".encode("latin-1"), "x.md").lines[0] == "café"


@pytest.mark.parametrize("ends", ["\r\n", "\r", "\n"])
def test_every_line_end_counts_as_one(ends: str) -> None:
    book = runbooks.parse(ends.join(["# a", "", "```bash", "ls -l", "```", ""]), "x.md")
    assert [command.source.line for command in book.commands()] == [4]


def test_other_separators_do_not_count_as_lines() -> None:
    book = runbooks.parse("# a\n\nb\u2028c\x0cd\x85e\n\n```bash\nls -l\n```\n", "x.md")
    assert [command.source.line for command in book.commands()] == [6]


@pytest.mark.parametrize(
    ("data", "line", "said"),
    [
        (b"", 1, "empty"),
        (b" \n\n", 1, "empty"),
        (b"# a\n\x00\x01", 2, "binary"),
        (b"\x01\x02\x03\x04" * 50, 1, "binary"),
    ],
)
def test_what_is_no_text_is_refused_with_its_line(data: bytes, line: int, said: str) -> None:
    with pytest.raises(InputError) as refused:
        runbooks.parse(data, "x.md")
    (problem,) = refused.value.problems
    assert problem.source is not None
    assert (problem.source.line, said in problem.message) == (line, True)


def test_a_missing_file_and_a_folder_are_refused_by_name(tmp_path) -> None:
    for path in (tmp_path / "none.md", tmp_path):
        with pytest.raises(InputError, match=str(path)):
            runbooks.read(path)


def test_the_digest_is_that_of_the_files_bytes(tmp_path) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(b"\xef\xbb\xbf# a\r\n")
    assert runbooks.read(path).digest == hashlib.sha256(b"\xef\xbb\xbf# a\r\n").hexdigest()
