"""Wheels put where every user can read them, for servers that another user than root runs. Not for namespaces."""

import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

from harness.errors import SubstrateError
from harness.substrates.local import template

FOLDER = Path("/var/cache/rundrill")
_LEFT_OUT = ("include", "__pycache__")


async def published(name: str, parts: Mapping[str, Path]) -> Path:
    """FOLDER/`name`, holding each part (a folder or file) under its key, for all to read; made once per machine.

    SubstrateError if it cannot be made, or belongs to somebody whose programs root must not have run.
    """
    folder = FOLDER / name
    try:
        _room()
        async with template.locked(FOLDER / f"{name}.lock"):
            _make(folder, parts)
        _trusted(folder)
    except OSError as error:
        raise SubstrateError(
            f"{folder}: expected to keep there what user nobody has to read: {error}\n"
            "    install rundrill where every user can read it, or do not run it as root"
        ) from error
    return folder


def _room() -> None:
    if not os.path.lexists(FOLDER):
        FOLDER.mkdir(parents=True, exist_ok=True)
        FOLDER.chmod(0o755)  # whatever the umask is
    _trusted(FOLDER)


def _make(folder: Path, parts: Mapping[str, Path]) -> None:
    """Never half a one: it is moved to its name when it is whole."""
    if os.path.lexists(folder):
        return
    for stale in folder.parent.glob(f"{folder.name}.*.new"):
        shutil.rmtree(stale)
    unfinished = folder.with_name(f"{folder.name}.{os.getpid()}.new")
    unfinished.mkdir()
    for key, source in parts.items():
        target = unfinished / key
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        else:
            shutil.copy(source, target)
    for path in (unfinished, *unfinished.rglob("*")):
        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    unfinished.replace(folder)


def _trusted(folder: Path) -> None:
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise SubstrateError(
            f"{folder}: expected a folder that only uid {os.getuid()} can write; found "
            f"{stat.filemode(status.st_mode)} of uid {status.st_uid}\n    remove it"
        )
