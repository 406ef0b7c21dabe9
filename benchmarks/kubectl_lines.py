"""Every kubectl line of runbooks, one after the other, in a system brought up for them: what each ended with and said.

    python benchmarks/kubectl_lines.py SUBSTRATE OUT.json RUNBOOK=SCENARIO.py…    runs them
    python benchmarks/kubectl_lines.py ONE.json OTHER.json                         both side by side, as a Markdown table

A placeholder stands for the first thing of its kind that is there when its line's turn comes. Nothing else is changed: what
cannot work fails, and that is what the table is about. Run it from the repository's root."""  # noqa: INP001 - a program

import asyncio
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from harness import clock, extensions, runbooks
from harness.model.runbook import Command
from harness.model.topology import Topology
from harness.model.units import Ns, seconds
from harness.ports import Environment
from harness.running.loading import load

LIMIT: Ns = seconds(15)
SETTLED: Ns = seconds(20)
SETUP = 'first() { kubectl get "$1" -o name 2>/dev/null | head -n 1 | cut -d / -f 2; }; '
STANDS_FOR: Mapping[str, str] = {
    "pod-name": "$(first pods)",
    "service-name": "$(first deployments)",
    "service-config": "$(first configmaps)",
    "container-name": "$(kubectl get pod $(first pods) -o jsonpath='{.spec.containers[0].name}')",
    "culprit": "report",
    "new-secret": "whsec_of_april",
    "name": "$(first deployments)",
    "profile": "2",
    "tag": "v1",
}
"""What a placeholder between angle brackets stands for."""


class Line(msgspec.Struct, frozen=True):
    """One command line: where it is written, what was run, and what came of it (`status` None: it was ended at its limit)."""

    place: str
    text: str
    status: int | None
    said: str


def lines(path: Path) -> Iterable[Command]:
    """The commands of a runbook in which the operator calls kubectl, in order."""
    runbook = runbooks.parse(path.read_text(encoding="utf-8", errors="replace"), path.name)
    for command in runbook.commands():
        if any(each.program == "kubectl" and each.where == "operator" for each in command.invocations):
            yield command


def bound(text: str) -> str:
    """The text with its placeholders replaced."""
    return re.sub(r"<([a-z-]+)>", lambda found: STANDS_FOR.get(found[1], found[0]), text)


def first_words(text: str) -> str:
    """The first line that says something, without what differs from cluster to cluster."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    line = re.sub(r"-[a-z0-9]{6,10}-[bcdfghjklmnpqrstvwxz2456789]{5}\b", "-…", line)
    return re.sub(r"\s+", " ", re.sub(r"\b\d+(\.\d+)?(m?s|m|h|d)\b|\d{4}-\d\d-\d\dT\S+|\b\d+(\.\d+){3}\b", "…", line))[
        :100
    ]


async def settled(environment: Environment) -> None:
    """Wait until every Deployment has what it wants, or it does not come."""
    script = (
        "kubectl get deployments -o jsonpath='{range .items[*]}{.status.observedGeneration}={.metadata.generation}"
        '={.spec.replicas}={.status.readyReplicas}={.status.replicas}{"\\n"}{end}\''
    )

    async def at_rest() -> bool | None:
        said = (await environment.operate(("bash", "-c", script), timeout=LIMIT)).stdout
        rows = [[number or "0" for number in row.split("=")] for row in said.splitlines()]
        return all(row[0] == row[1] and row[2] == row[3] == row[4] for row in rows) or None

    await clock.until(at_rest, deadline=clock.now() + SETTLED, every=seconds(1))


async def run(substrate: str, path: Path, topology: Topology) -> list[Line]:
    """Every line of one runbook, in a system of its own."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        async with extensions.substrate(substrate).environment(topology, run="lines", folder=Path(folder)) as there:
            for command in lines(path):
                text = bound(command.text)
                done = await there.operate(("bash", "-c", SETUP + text), timeout=LIMIT)
                said = first_words(done.stderr if done.status else done.stdout or done.stderr)
                found.append(Line(f"{path.name.partition('_')[0]}:{command.source.line}", text, done.status, said))
                sys.stderr.write(f"{found[-1].place} {done.status} {text[:90]!r}: {said}\n")
                await settled(there)
    return found


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def table(one: Sequence[Line], other: Sequence[Line], names: tuple[str, str]) -> str:
    """Both side by side; what differs is marked."""
    rows = [f"| line | command | {names[0]} | {names[1]} | |", "|---|---|---|---|---|"]
    for mine, theirs in zip(one, other, strict=True):
        cells = [f"{'at its limit' if each.status is None else each.status}: {each.said}" for each in (mine, theirs)]
        differs = "" if cells[0] == cells[1] else "status" if mine.status != theirs.status else "words"
        row = (mine.place, f"`{mine.text}`", *cells, differs)
        rows.append(f"| {' | '.join(map(_cell, row))} |")
    same = sum(mine.status == theirs.status for mine, theirs in zip(one, other, strict=True))
    return "\n".join([*rows, "", f"{same} of {len(one)} with the same status."]) + "\n"


def main(arguments: Sequence[str]) -> None:
    """See the top of the file."""
    if all(each.endswith(".json") for each in arguments):
        one, other = (msgspec.json.decode(Path(each).read_bytes(), type=list[Line]) for each in arguments)
        sys.stdout.write(table(one, other, (Path(arguments[0]).stem, Path(arguments[1]).stem)))
        return
    substrate, out, *pairs = arguments
    found: list[Line] = []
    for pair in pairs:
        path, _, scenario = pair.partition("=")
        found += asyncio.run(run(substrate, Path(path), load([scenario])[0].scenario.topology))
        Path(out).write_bytes(msgspec.json.format(msgspec.json.encode(found)))


if __name__ == "__main__":
    main(sys.argv[1:])
