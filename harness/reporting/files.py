"""The files every run leaves beside its histories: report.html, junit.xml, assessment.json."""

from collections.abc import Sequence
from pathlib import Path

from harness.reporting import assessment_json, html, junit
from harness.reporting.drill import Drill


def write(drills: Sequence[Drill], folder: Path) -> tuple[Path, ...]:
    """Write the three reports into `folder`; their paths."""
    contents = {
        "report.html": html.render(drills, title=f"Drills {folder.name}").encode(),
        "junit.xml": junit.render(drills),
        "assessment.json": assessment_json.render(drills),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return tuple(folder / name for name in contents)
