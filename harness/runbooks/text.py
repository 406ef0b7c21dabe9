"""Bytes to lines: decoding, mojibake repair, refusal of what is no text. Line numbers are those of the file, always."""

import hashlib
import re
from dataclasses import dataclass

import ftfy
import ftfy.badness

from harness.errors import InputError, Problem
from harness.model.source import Source

_RUN = re.compile(r"[^\x00-\x7f]+")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_REMEDY = "give a Markdown file in UTF-8"


@dataclass(frozen=True, slots=True)
class Text:
    """A readable text: `lines` without their ends, the SHA-256 of the bytes, and whether its encoding had to be repaired."""

    path: str
    lines: tuple[str, ...]
    digest: str
    repaired: bool


def load(data: bytes | str, path: str) -> Text:
    """The lines of `data`. InputError, with a line, for what is empty or no text."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    text, repaired = _decode(raw) if isinstance(data, bytes) else (data, False)
    text = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    _refuse(text, path)
    lines = text.split("\n")
    mended = _mend(lines)
    return Text(path, tuple(mended), hashlib.sha256(raw).hexdigest(), repaired or mended != lines)


def _decode(raw: bytes) -> tuple[str, bool]:
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"), (b"", "utf-8")):
        if raw.startswith(mark):
            try:
                return raw.removeprefix(mark).decode(encoding), False
            except UnicodeDecodeError:
                continue
    # Every byte has a meaning in Latin-1, and cp1252 is what people had where the two differ.
    return raw.decode("cp1252", "replace"), True


def _refuse(text: str, path: str) -> None:
    if not text.strip():
        raise InputError(Problem("the runbook is empty; expected Markdown text", Source(path, 1), _REMEDY))
    marks = list(_CONTROL.finditer(text[:65536]))
    if "\x00" in text or len(marks) * 20 > len(text[:65536]):
        at = text.index("\x00") if "\x00" in text else marks[0].start()
        line = text.count("\n", 0, at) + 1
        message = f"expected Markdown text, found binary data (character {ord(text[at]):#04x})"
        raise InputError(Problem(message, Source(path, line), _REMEDY))


def _mend(lines: list[str]) -> list[str]:
    """Undo text that was read in the wrong encoding and written again, line by line so that line numbers stay."""
    mended = [_mend_line(line) for line in lines]
    runs = [run for line in mended for run in _RUN.findall(line)]
    repairable = [run for run in runs if _from_macintosh(run) != run]
    # ftfy does not suspect Mac OS Roman; one run may be chance, most of a document is not.
    if len(repairable) >= 2 and len(repairable) * 5 >= len(runs) * 4:
        return [_RUN.sub(lambda found: _from_macintosh(found.group()), line) for line in mended]
    return mended


def _mend_line(line: str) -> str:
    if line.isascii() or not ftfy.badness.is_bad(line):
        return line
    fixed = ftfy.fix_encoding(line)
    return re.sub(r"[\n\r]", " ", fixed)


def _from_macintosh(run: str) -> str:
    try:
        fixed = run.encode("mac_roman").decode("utf-8")
    except UnicodeError:
        return run
    return run if "\n" in fixed or "\r" in fixed else fixed
