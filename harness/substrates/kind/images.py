"""Images of a cluster: built from their Dockerfiles, loaded into the nodes. Not databases' images, which no node runs."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from harness import execution
from harness.errors import Problem, SubstrateError
from harness.model.source import Source
from harness.model.units import SECOND, Ns
from harness.substrates.kind import docker
from harness.substrates.kind.room import Room
from harness.substrates.local.workloads import Image, images
from harness.telling import tell

BUILDING: Ns = 900 * SECOND
LOADING: Ns = 300 * SECOND
WORKLOAD = "rundrill.workload"
"""The label of images that we built; its value is the folder's name."""


def tables() -> Mapping[str, Path]:
    """Every image that we can build, with its folder. SubstrateError names the line that is wrong."""
    found: dict[str, Path] = {}
    for path in sorted(images().glob("*/image.toml")):
        found |= dict.fromkeys(_table(path), path.parent)
    return found


def _table(path: Path) -> Mapping[str, Image]:
    try:
        return msgspec.toml.decode(path.read_bytes(), type=dict[str, Image])
    except msgspec.DecodeError as error:
        raise SubstrateError(str(Problem(str(error), Source(str(path), 1, 1)))) from error


def wanted(named: Iterable[str], known: Iterable[str]) -> Sequence[str]:
    """What is to be loaded for manifests that name these images: them, and every other release that we can build of them."""
    releases = {name.partition(":")[0] for name in named}
    return tuple(dict.fromkeys((*named, *(name for name in known if name.partition(":")[0] in releases))))


async def provide(room: Room, named: Sequence[str], *, extra: Sequence[str] = (), kind: str) -> None:
    """Have the nodes of the room's cluster hold these images and their other releases, as they are now.

    What we cannot build and Docker does not have is left to the nodes to pull.
    """
    known = tables()
    every = wanted(named, known)
    built = [name for name in every if name in known]
    if first := [name for name in built if name not in room.notes().loaded]:
        tell(f"building {', '.join(first)}")
    await _built(built, known)
    ids = await _ids((*every, *extra))
    notes = room.notes()
    missing = [name for name, number in ids.items() if notes.loaded.get(name) != number]
    if missing:
        tell(f"loading {', '.join(missing)} into the nodes")
        argv = (kind, "load", "docker-image", "--name", room.name, *missing)
        done = await execution.run(argv, env=docker.environment(), timeout=LOADING)
        if not done.ok:
            raise SubstrateError(f"kind load docker-image {' '.join(missing)}: {done.stderr.strip() or done.stdout}")
        room.note(msgspec.structs.replace(notes, loaded={**notes.loaded, **ids}))


async def _built(names: Sequence[str], known: Mapping[str, Path]) -> None:
    """Build them, one folder after the other: what its images share is built once."""
    for folder in dict.fromkeys(known[name] for name in names):
        table = await asyncio.to_thread(_table, folder / "image.toml")
        for name in names:
            if name in table:
                await _build(name, table[name], folder)


async def _build(name: str, image: Image, folder: Path) -> None:
    arguments = [word for key, value in image.environment.items() for word in ("--build-arg", f"{key}={value}")]
    label = ("--label", f"{WORKLOAD}={folder.name}")
    done = await docker.docker("build", "--quiet", *label, *arguments, "--tag", name, str(folder), timeout=BUILDING)
    if not done.ok:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise SubstrateError(f"the image {name} cannot be built from {folder}/Dockerfile: {said}")


async def _ids(names: Sequence[str]) -> dict[str, str]:
    """The ids of those that Docker has."""
    found: dict[str, str] = {}
    for name in names:
        done = await docker.docker("image", "inspect", "--format", "{{.Id}}", name)
        if done.ok:
            found[name] = done.stdout.strip()
    return found
