"""The reports of the hand-written drill, as they are expected byte for byte. After a wanted change:
`python -m tests.reporting.golden` writes them anew; read the difference before committing it."""

import io
from pathlib import Path

from rich.console import Console

from harness.reporting import assessment_json, junit
from harness.reporting.summary import render_assessments
from tests.reporting.builder import drill, hostile

FOLDER = Path(__file__).parent / "expected"


def reports() -> dict[str, bytes]:
    """Each report by the name of its file."""
    drills = (drill(), hostile())
    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(render_assessments(drills))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return {
        "summary.txt": "".join(f"{line.rstrip()}\n" for line in lines).encode(),
        "junit.xml": junit.render(drills),
        "assessment.json": assessment_json.render(drills[:1]),
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, content in reports().items():
        (FOLDER / name).write_bytes(content)
