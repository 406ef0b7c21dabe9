"""Whether Docker's disk has room for what is about to be made on it: asked before anything is made, since a disk that fills up
meanwhile takes everybody's containers with it. Not the room on servers' volumes, which are in memory.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.errors import SubstrateError
from harness.substrates import settings

MIB = 1 << 20


class Disk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table [docker] of rundrill.toml; RUNDRILL_DOCKER_SPARE_MB.

    `spare_mb`: how many MiB of Docker's disk are to be free beyond what an environment needs of it.
    """

    spare_mb: int = 512


@dataclass(frozen=True, slots=True)
class Need:
    """What takes room, and how many MiB of it."""

    what: str
    mib: int


def must_hold(root: str, needs: Sequence[Need]) -> None:
    """SubstrateError unless the disk of Docker's folder `root` has room for all of that, and what is to be spared.

    A folder that is not seen from here, as where Docker runs in a machine of its own, is not asked about.
    """
    free = _free(root)
    if free is None:
        return
    wanted = (*needs, Need("to spare", settings.read("docker", Disk).spare_mb))
    need = sum(each.mib for each in wanted)
    if free < need:
        parts = ", ".join(f"{each.what} {each.mib}" for each in wanted if each.mib)
        raise SubstrateError(
            f"Docker's disk ({root}): expected {need} MiB free ({parts}); found {free}\n"
            "    make room: docker system df shows what takes it; or spare less: [docker] spare_mb in rundrill.toml, "
            "RUNDRILL_DOCKER_SPARE_MB"
        )


def _free(root: str) -> int | None:
    """How many MiB whoever is not root may still write there; None where the folder is not seen."""
    try:
        return shutil.disk_usage(Path(root)).free // MIB if root else None
    except OSError:
        return None
