"""Settings of substrates: a table of rundrill.toml in the working directory, and environment variables over it. No meaning."""

import os
import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec

from harness.errors import InputError, Problem
from harness.model.source import Source

FILE = "rundrill.toml"

Table = TypeVar("Table", bound=msgspec.Struct)


def read(table: str, kind: type[Table], folder: Path | None = None) -> Table:
    """The table of that name, {} where there is no such file or table; RUNDRILL_<TABLE>_<NAME> goes before what it says.

    InputError with the file and what is wrong with it, or with the variable.
    """
    path = (folder or Path.cwd()) / FILE
    found = _table(path, table)
    names = {field.encode_name: f"RUNDRILL_{table}_{field.name}".upper() for field in msgspec.structs.fields(kind)}
    given = {name: os.environ[variable] for name, variable in names.items() if os.environ.get(variable)}
    try:
        return msgspec.convert({**found, **given}, type=kind, strict=False)
    except msgspec.ValidationError as error:
        variables = ", ".join(f"{names[name]}={value}" for name, value in given.items())
        problem = Problem(f"[{table}] {variables}: {error}".replace("] :", "]:"), Source(str(path), 1, 1))
        raise InputError(problem) from error


def _table(path: Path, table: str) -> dict[str, object]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    try:
        found = tomllib.loads(text).get(table, {})
    except tomllib.TOMLDecodeError as error:
        raise InputError(Problem(str(error), Source(str(path), 1, 1))) from error
    if not isinstance(found, dict):
        raise InputError(Problem(f"expected a table [{table}]; found {found!r}", Source(str(path), 1, 1)))
    return found
