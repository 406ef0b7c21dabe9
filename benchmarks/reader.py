"""How long reading takes, by size: a mixture of real runbooks, and texts made to be slow. Run it on a quiet machine:
`python benchmarks/reader.py FOLDER` from the repository's root, FOLDER holding runbooks."""  # noqa: INP001 - a program

import sys
import time
from pathlib import Path

from harness import runbooks

SIZES = (125_000, 250_000, 500_000, 1_000_000)
ROUNDS = 3
HOSTILE = {
    "unclosed quotes in a block": ("```bash", 'echo "a'),
    "loops without an end": ("```bash", "for i in a; do"),
    "here-documents without an end": ("```bash", "cat <<E"),
    "SQL with an open quote": ("```bash", "SELECT 'a FROM t;"),
    "unclosed fences": ("# a", "## b\n\n```bash\nls\n"),
    "nested quotations": ("# a", "> > > x"),
    "labels after lists": ("# a", "**If x**:\n- y"),
}


def mixture(folder: Path, size: int) -> str:
    """`size` characters of every file in `folder`, one after the other, repeated where they are too few."""
    text = "\n\n".join(path.read_text(encoding="utf-8", errors="replace") for path in sorted(folder.iterdir()))
    return (text * (size // len(text) + 1))[:size]


def hostile(opening: str, line: str, size: int) -> str:
    """`size` characters of one line again and again."""
    return (f"{opening}\n" + f"{line}\n" * (size // len(line)))[:size]


def took(text: str) -> float:
    """Processor seconds to read `text`: the least of several times, since the machine can only add to it."""
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        runbooks.parse(text, "x.md")
        times.append(time.process_time() - began)
    return min(times)


def row(name: str, times: list[float]) -> str:
    """One line of the table."""
    return f"{name:32}" + "".join(f"{seconds:10.2f} s" for seconds in times) + "\n"


def main() -> None:
    """Print the curve."""
    folder = Path(sys.argv[1])
    sys.stdout.write(f"{'':32}" + "".join(f"{size // 1000:9} kB" for size in SIZES) + "\n")
    sys.stdout.write(row("real runbooks", [took(mixture(folder, size)) for size in SIZES]))
    for name, (opening, line) in HOSTILE.items():
        sys.stdout.write(row(name, [took(hostile(opening, line, size)) for size in SIZES]))


if __name__ == "__main__":
    main()
