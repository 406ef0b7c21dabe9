import pytest

from harness.errors import InputError
from harness.model.runbook import Procedure
from harness.runbooks import find
from tests.runbooks.reading import read

TEXT = """# Book

## Issues

### Issue 1: Down

**Diagnosis**:
```bash
# Look
kubectl get pods
# or
docker ps
```

**Resolution**:

**If out of memory**:
```bash
# Check memory
kubectl top pods

# Scale up
kubectl set resources deploy/x --limits=memory=4Gi

# Or scale out
kubectl scale deploy/x --replicas=5
```

**Immediate**:
```bash
# Clean
docker system df
```

**Long-term**:
```bash
# Grow
df -h
```

### Issue 2: Slow

```bash
# Backup database
pg_dump x > x.sql

# Restore database
psql x < x.sql
```
"""


def procedure(query: str = "issue 1") -> Procedure:
    return find.procedure(read(TEXT), query)


def followed(*follow: str, query: str = "issue 1") -> list[str]:
    return [step.title for step in find.select(procedure(query), follow)]


@pytest.mark.parametrize("query", ["Issue 1: Down", "issue 1: down", "down", "DOWN issue", "1", "issues down"])
def test_a_procedure_is_found_by_its_title_or_by_words_of_it_or_of_its_path(query: str) -> None:
    assert procedure(query).title == "Issue 1: Down"


def test_a_heading_that_only_holds_procedures_is_made_of_theirs() -> None:
    assert [section.title for section in procedure("Issues").sections] == ["Diagnosis", "Resolution", "Issue 2: Slow"]
    assert followed("issue 2 > backup", query="Issues") == ["Backup database"]


def test_a_title_is_found_without_the_picture_that_it_begins_with() -> None:
    text = "# Book\n\n## \U0001f4be Backup & Recovery\n\n### Backup\n\n```bash\nls\n```\n\n### Restore\n\n```bash\npwd\n```\n"
    found = find.procedure(read(text), "backup & recovery")
    assert [section.title for section in found.sections] == ["Backup", "Restore"]


def test_advice_is_no_procedure_and_is_found_where_nothing_else_fits() -> None:
    book = read(
        "# Book\n\n## API abuse\n\n- Watch the traffic\n- Block odd addresses\n\n## Kinds of abuse\n\n- Scrapers\n- Bots\n"
    )
    assert (book.procedures, [one.title for one in book.advice]) == ((), ["API abuse"])
    assert [step.title for step in find.select(find.procedure(book, "abuse"), ())] == [
        "Watch the traffic",
        "Block odd addresses",
    ]


def test_no_procedure_or_several_are_refused_with_titles_and_lines() -> None:
    with pytest.raises(
        InputError, match=r'fits 2 procedures: .*"Book > Issues > Issue 1: Down" \(line 5\).*\(line 41\)'
    ):
        procedure("issue")
    with pytest.raises(InputError, match=r'no procedure is called "Isue 2"[\s\S]*"Issue 2: Slow" \(line 41\)'):
        procedure("Isue 2")
    with pytest.raises(InputError, match="the runbook has no procedures"):
        find.procedure(read("nothing\n"), "x")


@pytest.mark.parametrize(
    ("follow", "expected"),
    [
        ((), ["Look", "Clean", "Grow"]),
        (("diagnosis",), ["Look"]),
        (("diagnosis > docker",), ["or"]),
        (("resolution",), ["Clean", "Grow"]),
        (("resolution > immediate",), ["Clean"]),
        (("resolution > if out of memory",), ["Check memory", "Scale up"]),
        (("resolution > out of memory > scale out",), ["Check memory", "Or scale out"]),
        (("resolution > memory > check",), ["Check memory"]),
        (("resolution > clean", "diagnosis"), ["Look", "Clean"]),
        (("if out of memory",), ["Check memory", "Scale up"]),
    ],
)
def test_a_path_brings_what_is_always_done_and_what_it_names_in_the_texts_order(
    follow: tuple[str, ...], expected: list[str]
) -> None:
    assert followed(*follow) == expected


def test_steps_of_one_fence_are_named_by_their_comments() -> None:
    assert followed("restore", "backup", query="issue 2") == ["Backup database", "Restore database"]


def test_an_unknown_part_is_refused_with_what_there_is() -> None:
    with pytest.raises(
        InputError, match=r'fits "none"[\s\S]*"resolution" \(line 15\).*"resolution > If out of memory" \(line 17\)'
    ):
        followed("none")
    with pytest.raises(InputError, match=r'fits "nowhere"[\s\S]*"Immediate" \(line 29\)'):
        followed("resolution > nowhere")
    with pytest.raises(InputError) as both:
        followed("one", "two")
    assert len(both.value.problems) == 2


def test_a_part_that_fits_twice_is_refused() -> None:
    book = read("# a\n\n```bash\n# Check pods\nkubectl get pods\n\n# Check nodes\nkubectl get nodes\n```\n")
    with pytest.raises(
        InputError, match=r'"check" fits several parts: "Check pods" \(line 4\); "Check nodes" \(line 7\)'
    ):
        find.select(book.procedures[0], ("check",))
