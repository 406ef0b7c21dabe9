"""Where a thing was read: every parsed value carries one. Not for reading files."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """Lines `line` to `end_line` (1-based, inclusive) of the file at `path`; prints `path:line`."""

    path: str
    line: int
    end_line: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"

    @property
    def last(self) -> int:
        """The last line, also where only one was given."""
        return max(self.line, self.end_line)
