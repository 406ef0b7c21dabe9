"""The explicit table of what is chosen by name: substrates. Others add theirs by the entry-point group `rundrill.substrates`;
an extension that does not load stops the load."""

from collections.abc import Callable
from importlib.metadata import entry_points

from harness.errors import InputError, Problem
from harness.ports import Substrate

SUBSTRATE_GROUP = "rundrill.substrates"


def _local() -> Substrate:
    from harness.substrates.local import Local  # noqa: PLC0415 - what is not used is not imported

    return Local()


_SUBSTRATES: dict[str, Callable[[], Substrate]] = {"local": _local}


def substrate(name: str) -> Substrate:
    """The substrate of that name; InputError naming those there are."""
    makers: dict[str, Callable[[], Substrate]] = _SUBSTRATES | {
        point.name: point.load() for point in entry_points(group=SUBSTRATE_GROUP)
    }
    if name not in makers:
        raise InputError(
            Problem(f"there is no substrate `{name}`", None, f"choose one of: {', '.join(sorted(makers))}")
        )
    return makers[name]()
