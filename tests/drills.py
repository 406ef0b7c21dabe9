"""The page docs/drills.md: every scenario, what it expects, and what it came to when it was drilled last.
`python -m tests.drills [RUN…]` takes what those runs' assessments say into docs/drilled.json, and writes the page anew."""

import sys
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path

import msgspec

from harness.model.units import in_seconds
from harness.model.verdict import Interval, Word
from harness.reporting.wording import between
from harness.running.loading import Loaded, load

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/drills.md"
DRILLED = ROOT / "docs/drilled.json"
OURS = ("runbook.md", "containers.md")
LOADED = load([str(ROOT / "scenarios")])
HEAD = """# The drills

Every scenario of `scenarios/`, what it expects, and what it came to when it was drilled last, or most often: the verdict, the
recovery time actual (RTA) of the treated trials and of the control's, from the first instant at which users could have noticed,
and how many trials of each arm there were. **On ours** is the runbook in this repository; **on the original** is the public text
that it carries the facts of. On kind, a system without a cluster is one of containers. One trial an arm says what happened once:
`rundrill gate` says what may be claimed.

A scenario whose runbook has a defect expects another word than effective, and says why; it passes if it comes to that word.
"""
FOOT = """Where `webservice/abuse` was drilled on kind the network kept no NetworkPolicies ([kind.md](kind.md#known-limits)):
nobody was contained by one.

`python -m tests.drills RUN…` takes finished runs into this page; a test holds it against the scenarios.
"""


class Drilled(msgspec.Struct, frozen=True, order=True):
    """What one scenario came to: on which text and where, the word, the trials of each arm; RTA and RPA as they are printed
    ("" if there are none)."""

    scenario: str
    text: str
    substrate: str
    word: str
    trials: int
    treated: str
    control: str
    rpa: str


def known(file: Path) -> list[Drilled]:
    """What was taken before."""
    return msgspec.json.decode(file.read_bytes(), type=list[Drilled])


def rows(assessment: Path) -> Iterable[Drilled]:
    """What an assessment.json says of each of its scenarios."""
    for cell in msgspec.json.decode(assessment.read_bytes())["cells"]:
        arms = {arm: [trial for trial in cell["trials"] if trial["arm"] == arm] for arm in ("treated", "control")}
        rpa = cell["rpa"]
        yield Drilled(
            scenario=cell["scenario"],
            text="ours" if Path(cell["runbook"]["path"]).name in OURS else "original",
            substrate=" ".join(cell["substrate"]).split(",")[0].split()[0],
            word=cell["verdict"],
            trials=max(len(trials) for trials in arms.values()),
            treated=recovered(arms["treated"]),
            control=recovered(arms["control"]),
            rpa=between(Interval(**rpa)) if rpa and rpa["hi"] else "",
        )


def recovered(trials: Iterable[Mapping[str, Mapping[str, Mapping[str, int | None]]]]) -> str:
    """The trials' RTA together, in seconds: "[1.20, 1.30] s", or how long nothing recovered; "" without one."""
    found = [trial["rta"]["fault"] for trial in trials if trial["rta"]]
    lows = [each["lo"] for each in found if each["lo"] is not None]
    highs = [each["hi"] for each in found]
    if not lows:
        return ""
    ends = [high for high in highs if high is not None]
    if not ends:
        return f"none in {in_seconds(min(lows)):.0f} s"
    missed = f", {len(highs) - len(ends)} never" if len(ends) < len(highs) else ""
    return f"{between(Interval(min(lows), max(ends)))}{missed}"


def cell(of: Iterable[Drilled], expected: str) -> str:
    """What is said of the drills of a scenario on one text, substrate by substrate."""
    said = []
    for each in of:
        times = [each.treated, f"control {each.control}" if each.control else "", f"RPA {each.rpa}" if each.rpa else ""]
        told = "; ".join(time for time in times if time)
        word = f"**{each.word}**" if each.word == expected else f"**{each.word}, not {expected}**"
        said.append(f"{each.substrate}: {word}{' ' + told if told else ''} (n={each.trials})")
    return "<br>".join(said)


def row(loaded: Loaded, drilled: Iterable[Drilled]) -> str:
    """A scenario's line."""
    scenario, mine = loaded.scenario, [each for each in drilled if each.scenario == loaded.name]
    word = scenario.expect.word if scenario.expect else Word.EFFECTIVE
    expected = f"{word}: {scenario.expect.because}" if scenario.expect else word
    cells = (
        f"`{loaded.name.partition('/')[2]}`",
        f"{scenario.title} ({scenario.fault})",
        scenario.procedure,
        expected,
        *(cell([each for each in mine if each.text == text], word) for text in ("ours", "original")),
    )
    return "| " + " | ".join(" ".join(text.split()).replace("|", "\\|") for text in cells) + " |"


def page() -> str:
    """The whole page, one table a runbook."""
    drilled = known(DRILLED)
    parts = [HEAD]
    for folder, each in groupby(LOADED, key=lambda loaded: loaded.path.parent.name):
        lines = [row(loaded, drilled) for loaded in each]
        heads = ("drill", "what breaks", "procedure", "expected", "on ours", "on the original")
        parts += [f"## {folder}\n", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|", *lines, ""]
    return "\n".join([*parts, FOOT])


def take(runs: Iterable[Path]) -> None:
    """Take what the runs' assessments say in place of what was known of the same scenario, text and substrate, unless that came
    to the same word in more trials."""
    latest = {(each.scenario, each.text, each.substrate): each for each in known(DRILLED)}
    for run in runs:
        for assessment in sorted(run.rglob("assessment.json")):
            for each in rows(assessment):
                before = latest.get(key := (each.scenario, each.text, each.substrate))
                if not before or before.word != each.word or before.trials <= each.trials:
                    latest[key] = each
    DRILLED.write_bytes(msgspec.json.format(msgspec.json.encode(sorted(latest.values())), indent=1) + b"\n")


if __name__ == "__main__":
    take(Path(run) for run in sys.argv[1:])
    PAGE.write_text(page(), encoding="utf-8")
