"""The explicit table of what is chosen by name: substrates. Others add theirs by the entry-point group `rundrill.substrates`,
or are named as `module:attribute`; an extension that does not load stops the load."""

import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import Protocol, cast, runtime_checkable

from harness.errors import InputError, Problem
from harness.ports import Capability, Substrate

SUBSTRATE_GROUP = "rundrill.substrates"
KEEP_CLUSTERS = "RUNDRILL_KIND_KEEP"


@runtime_checkable
class Lasting(Protocol):
    """A substrate that has something up between environments."""

    def close(self) -> None:
        """Let go of it, and return when it is gone. It blocks."""
        ...


_OPEN: list[Lasting] = []


def keep_clusters() -> None:
    """Have substrates that are made from now on leave their clusters up at the end, for the next run."""
    os.environ[KEEP_CLUSTERS] = "1"


def close() -> None:
    """Let go of what the substrates that were made have up between environments."""
    while _OPEN:
        _OPEN.pop().close()


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
    are, or saying why it does not load. What it has up between environments lasts until `close`."""
    made = _made(name)
    if isinstance(made, Lasting):
        _OPEN.append(made)
    return made


def _made(name: str) -> Substrate:
    if ":" in name:
        return _imported(name)()
    added = {point.name: point for point in entry_points(group=SUBSTRATE_GROUP)}
    if name not in _SUBSTRATES | added:
        names = ", ".join(sorted({*_SUBSTRATES, *added}))
        raise InputError(Problem(f"there is no substrate `{name}`", None, f"choose one of: {names}, or module:Class"))
    if name not in _SUBSTRATES:
        return _imported(f"{added[name].module}:{added[name].attr}")()
    try:
        return _SUBSTRATES[name]()
    except ImportError as error:
        lack = Problem(
            f"the substrate `{name}` needs the package {error.name}", None, f"pip install 'rundrill[{name}]'"
        )
        raise InputError(lack) from error


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
