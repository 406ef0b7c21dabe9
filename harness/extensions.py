"""The explicit table of what is chosen by name: substrates. Others add theirs by the entry-point group `rundrill.substrates`,
or are named as `module:attribute`; an extension that does not load stops the load."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import cast

from harness.errors import InputError, Problem
from harness.ports import Capability, Substrate

SUBSTRATE_GROUP = "rundrill.substrates"


def _local() -> Substrate:
    from harness.substrates.local import Local  # noqa: PLC0415 - what is not used is not imported

    return Local()


def _containers() -> Substrate:
    from harness.substrates.containers import Containers  # noqa: PLC0415

    return Containers()


def _kind() -> Substrate:
    from harness.substrates.kind import Kind  # noqa: PLC0415

    return Kind()


_SUBSTRATES: dict[str, Callable[[], Substrate]] = {"local": _local, "containers": _containers, "kind": _kind}


def known() -> Mapping[str, Callable[[], Substrate]]:
    """The substrates of ours, by name."""
    return dict(_SUBSTRATES)


def substrate(name: str) -> Substrate:
    """The substrate of that name, or what calling `attribute` of a `module:attribute` gives. InputError naming those there
    are, or saying why it does not load."""
    if ":" in name:
        return _imported(name)()
    added = {point.name: point for point in entry_points(group=SUBSTRATE_GROUP)}
    if name not in _SUBSTRATES | added:
        names = ", ".join(sorted({*_SUBSTRATES, *added}))
        raise InputError(Problem(f"there is no substrate `{name}`", None, f"choose one of: {names}, or module:Class"))
    return _SUBSTRATES[name]() if name in _SUBSTRATES else _imported(f"{added[name].module}:{added[name].attr}")()


def _imported(place: str) -> Callable[[], Substrate]:
    """What `module:attribute` names: a class or function without parameters."""
    module, _, attribute = place.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except Exception as error:
        raise InputError(
            Problem(
                f"the substrate `{place}` does not load: {type(error).__name__}: {error}", None, "give module:Class"
            )
        ) from error
    return cast("Callable[[], Substrate]", found)


class Anywhere:
    """Ground (harness.planning) that has everything: to look for what else is wrong where the substrate is not known."""

    name = "any"
    provides = frozenset(Capability)

    def lacks(self, needs: frozenset[Capability]) -> Sequence[Problem]:  # noqa: ARG002 - planning.Ground
        """Nothing."""
        return ()

    def tool(self, program: str) -> bool:  # noqa: ARG002 - planning.Ground
        """Every program."""
        return True
