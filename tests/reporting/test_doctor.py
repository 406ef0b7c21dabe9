"""What a machine can run: told as a table with a remedy for each thing that is missing, and as JSON."""

import io
import json

from rich.console import Console

from harness.model.machine import Ability, Presence, Thing
from harness.reporting import doctor

THINGS = (
    Thing("Docker", Presence.THERE, "27.1.0", "containers", "install it"),
    Thing("kind", Presence.MISSING, "–", "clusters", "install kind"),
    Thing("memory available", Presence.SCARCE, "1 GiB", "nodes", "have at least 4 GiB"),
)
ABILITIES = (
    Ability("local", ("PostgreSQL", "a contained shell"), ("no cluster here — rundrill kubernetes get",)),
    Ability("kind", (), ("there is no program `kind` — install kind",)),
)


def told() -> str:
    console = Console(width=120, file=io.StringIO())
    console.print(doctor.render(THINGS, ABILITIES))
    return console.file.getvalue()


def test_the_remedy_stands_beside_what_is_missing_or_scarce_and_nowhere_else() -> None:
    text = told()
    assert "install kind" in text
    assert "have at least 4 GiB" in text
    assert "install it" not in text


def test_a_substrate_that_can_do_something_says_what_and_what_not() -> None:
    text = told()
    assert "✓ local: PostgreSQL, a contained shell" in text
    assert "without: no cluster here — rundrill kubernetes get" in text


def test_a_substrate_that_can_do_nothing_says_why() -> None:
    assert "✗ kind: nothing can be drilled on it here\n    there is no program `kind` — install kind" in told()


def test_the_json_says_the_same() -> None:
    found = json.loads(doctor.encode(THINGS, ABILITIES))
    assert found["schema"] == 1
    assert [thing["presence"] for thing in found["things"]] == ["there", "missing", "scarce"]
    assert found["substrates"][1] == {
        "substrate": "kind",
        "able": [],
        "reasons": ["there is no program `kind` — install kind"],
    }
