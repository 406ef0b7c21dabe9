"""A set of Kubernetes' programs put into the cache: whole, of the right version, or not at all. Not where it comes from."""

import lzma
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import InputError, Problem
from harness.substrates.local.kubernetes import binaries
from harness.substrates.local.kubernetes.control_plane import NEEDED

UNFINISHED = ".unfinished-"


@contextmanager
def room() -> Iterator[Path]:
    """A folder beside the one in the cache, gone afterwards; what a killed one left there is removed."""
    base = binaries.cache().parent
    base.mkdir(parents=True, exist_ok=True)
    for stale in base.glob(f"{UNFINISHED}*"):
        if not Path(f"/proc/{stale.name.rpartition('-')[2]}").exists():
            shutil.rmtree(stale, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=UNFINISHED, suffix=f"-{os.getpid()}", dir=base))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def install(programs: Path, *, source: str = "") -> Path:
    """Make the folder `programs` (in the cache's file system) the cache's, and return that. InputError if it does not do, with
    where they come from: `source`, else that folder."""
    told = source or str(programs)
    for name in NEEDED:
        if (programs / name).is_file():
            (programs / name).chmod(0o755)
    found = binaries.of(programs, source=told)
    if isinstance(found, str):
        raise InputError(
            Problem(
                found.replace(str(programs), told),
                remedy=f"give the programs of Kubernetes v{binaries.VERSION} for this machine",
            )
        )
    if found.version != binaries.VERSION:
        raise InputError(
            Problem(f"{told}: expected Kubernetes v{binaries.VERSION}; found v{found.version}",
                    remedy=f"put them where {binaries.ASSETS} or the PATH leads: other versions are used from there")
        )  # fmt: skip
    target = binaries.cache()
    old = programs.with_name(f"{UNFINISHED}old-{os.getpid()}")
    if target.exists():
        target.rename(old)
    programs.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    return target


def copied(source: Path, folder: Path) -> Path:
    """The programs of a folder or of a tar archive, copied to a folder in `folder`. InputError if it is neither."""
    target = folder / "programs"
    target.mkdir()
    if source.is_dir():
        _copy(source, target)
    else:
        _extract(source, target)
    return target


def _copy(source: Path, target: Path) -> None:
    """One file for several names stays one."""
    copies: dict[Path, str] = {}
    for name in NEEDED:
        path = source / name
        if not path.is_file():
            continue  # what is missing is told of all at once
        first = copies.setdefault(path.resolve(), name)
        if first == name:
            shutil.copyfile(path, target / name)
        else:
            (target / name).symlink_to(first)


def _extract(source: Path, target: Path) -> None:
    """By the last part of their names, wherever they are in it: official archives have folders of their own."""
    try:
        with tarfile.open(source) as tar:
            for member in tar:
                name = member.name.rpartition("/")[2]
                if name in NEEDED and member.isfile() and (file := tar.extractfile(member)):
                    with (target / name).open("wb") as out:
                        shutil.copyfileobj(file, out)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError) as error:
        # What tarfile says where nothing fits are several lines, one for each kind of archive there is.
        why = str(error).splitlines()[0].rstrip(":")
        raise InputError(
            Problem(
                f"{source}: expected a folder or a whole tar archive of the programs; found something else: {why}",
                remedy="if it is one, it was cut short or changed on its way: copy it once more",
            )
        ) from error
