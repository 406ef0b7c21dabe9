"""What a machine can run, as a table for people and as JSON for programs. Values → text; nothing is asked here."""

from collections.abc import Sequence

import msgspec
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.model.machine import Ability, Presence, Thing

_SIGNS = {Presence.THERE: ("✓", "green"), Presence.SCARCE: ("!", "yellow"), Presence.MISSING: ("✗", "red")}


class _Findings(msgspec.Struct, frozen=True):
    schema: int
    things: tuple[Thing, ...]
    substrates: tuple[Ability, ...]


def render(things: Sequence[Thing], abilities: Sequence[Ability]) -> RenderableType:
    """A row a thing, with the remedy where there is something to remedy, and a line a substrate."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in ("", "thing", "found", "what it is for"):
        table.add_column(heading, overflow="fold")
    for thing in things:
        sign, colour = _SIGNS[thing.presence]
        purpose = Text(thing.purpose)
        if thing.presence is not Presence.THERE:
            purpose.append(f"\n{thing.remedy}", style=colour)
        table.add_row(Text(sign, style=colour), Text(thing.name), Text(thing.found), purpose)
    return Group(table, Text(), *(_line(ability) for ability in abilities))


def _line(ability: Ability) -> Text:
    sign, colour = _SIGNS[Presence.THERE if ability.able else Presence.MISSING]
    text = Text.assemble((f"{sign} ", colour), (ability.substrate, "bold"), ": ")
    text.append(", ".join(ability.able) if ability.able else "nothing can be drilled on it here")
    for reason in ability.reasons:
        text.append(f"\n    without: {reason}" if ability.able else f"\n    {reason}", style="yellow")
    return text


def encode(things: Sequence[Thing], abilities: Sequence[Ability]) -> bytes:
    """The same as JSON: `things` with name, presence, found, purpose, remedy; `substrates` with substrate, able, reasons."""
    return msgspec.json.format(msgspec.json.encode(_Findings(1, tuple(things), tuple(abilities))), indent=2)
