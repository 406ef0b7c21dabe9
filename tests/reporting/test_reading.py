import io

from rich.console import Console, RenderableType

from harness import runbooks
from harness.reporting import reading
from harness.runbooks import score


def printed(shown: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=120, color_system=None)
    console.print(shown)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


TEXT = """# Book [red]

RTO: 5 min

## Disk full

**Resolution**:

**If slow**:
```bash
# Clean [up]
rm -rf /data/<dir>
psql
SELECT 1;
# Look at the dashboard
```

| Metric | Warning |
|--|--|
| CPU | > 80% |

```yaml
a: [b]
```
"""


def test_a_reading_shows_every_part_with_its_line_and_its_markup_is_text() -> None:
    shown = printed(reading.render(runbooks.parse(TEXT, "book.md")))
    for part in (
        "Book [red]  book.md",
        "Disk full  :5",
        "resolution",
        "only if slow  :9",
        "Clean [up]  :11",
        "12 bash   rm -rf /data/<dir>  [destructive]",
        "psql  [needs a person]",
        "SELECT 1;",
        "in psql",
        "by hand: Look at the dashboard  :15",
        "RTO",
        "5 min",
        "> 80%",
        "a block of yaml without commands",
        "a: [b]",
    ):
        assert part in shown, shown


def test_scores_show_shares_and_every_difference() -> None:
    truth = score.Truth(targets=(score.TrueTarget("rto", 6, "min", 3),))
    shown = printed(reading.render_scores(score.check(runbooks.parse(TEXT, "book.md"), truth)))
    assert "targets                0.000   0.000" in shown
    assert "missed   targets  3: rto" in shown
    assert "made up  commands  12: bash" in shown
