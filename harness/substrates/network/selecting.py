"""Selectors as they are written in requests (`app=web,tier in (a, b),!old`). What they select is `policy.selects`."""

import re
from collections.abc import Iterator, Mapping

from harness.substrates.network.objects import Requirement, Selector

_SET = re.compile(r"^\s*(\S+)\s+(in|notin)\s*\(([^)]*)\)\s*$")
_EQUAL = re.compile(r"^\s*([^=!\s]+)\s*(==|=|!=)\s*([^=!\s]*)\s*$")
_EXISTS = re.compile(r"^\s*(!?)\s*([^=!\s,()]+)\s*$")
_BETWEEN = re.compile(r",(?![^(]*\))")


def labels(text: str) -> Selector:
    """A label selector; "" selects everything. ValueError where it is none."""
    return (
        Selector(match_expressions=tuple(_requirement(part) for part in _BETWEEN.split(text)))
        if text.strip()
        else Selector()
    )


def _requirement(text: str) -> Requirement:
    if found := _SET.match(text):
        values = tuple(value.strip() for value in found[3].split(","))
        return Requirement(key=found[1], operator="In" if found[2] == "in" else "NotIn", values=values)
    if found := _EQUAL.match(text):
        return Requirement(key=found[1], operator="NotIn" if found[2] == "!=" else "In", values=(found[3],))
    if found := _EXISTS.match(text):
        return Requirement(key=found[2], operator="DoesNotExist" if found[1] else "Exists")
    raise ValueError(f"unable to parse requirement: {text!r}")


def fields(text: str) -> Mapping[str, tuple[bool, str]]:
    """A field selector: each field with whether it must be that value or must not. ValueError where it is none."""
    return dict(_fields(text)) if text.strip() else {}


def _fields(text: str) -> Iterator[tuple[str, tuple[bool, str]]]:
    for part in text.split(","):
        found = _EQUAL.match(part)
        if not found:
            raise ValueError(f"invalid field selector: {part!r}")
        yield found[1], (found[2] != "!=", found[3])
