"""HTML and SVG by construction: whatever is not already markup is escaped, so that no text can become markup."""

import html
from collections.abc import Iterable
from typing import Final

from harness.reporting.wording import visible

_VOID: Final = frozenset({"meta", "link", "br", "hr"})


class Html(str):
    """Text that is markup already. Made by `el` and `join` only."""

    __slots__ = ()


Child = str | None
"""What may stand in an element: markup as it is, text to be escaped, or nothing."""


def el(tag: str, *children: Child, **attributes: str | float | None) -> Html:
    """An element. Attribute names are written with underscores for hyphens and one at the end where Python has the word
    (`class_`, `aria_label`); those that are None are left out."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{_number(value) if isinstance(value, float) else escaped(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Html(f"<{tag}{written}>")
    return Html(f"<{tag}{written}>{join(children)}</{tag}>")


def join(children: Iterable[Child]) -> Html:
    """Children one after the other."""
    return Html("".join(escaped(child) for child in children if child is not None))


def escaped(text: str) -> Html:
    """`text` as markup that shows it: escaped, and made visible (wording.visible), unless it is markup."""
    return text if isinstance(text, Html) else Html(html.escape(visible(text)))


def raw(text: str) -> Html:
    """`text` of ours (a style sheet, a script) as it is."""
    return Html(text)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
