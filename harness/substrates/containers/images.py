"""Images of workloads, built from their folder's Dockerfile once per content. Not what runs of them."""

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path

import docker
import docker.errors

from harness.errors import SubstrateError
from harness.substrates.containers import daemon as way
from harness.substrates.local import template
from harness.telling import tell

KEPT = 20
"""How many lines of a build's log an error shows."""

_LEFT_OUT = frozenset({"__pycache__", ".pytest_cache", ".ruff_cache"})


async def built(daemon: docker.DockerClient, folder: Path, *, python: str) -> str:
    """The tag of the image that `folder`/Dockerfile makes on `python`. SubstrateError with the end of the log if it fails."""
    if not (folder / "Dockerfile").is_file():
        raise SubstrateError(f"{folder}: expected a Dockerfile\n    add one: the containers substrate runs images")
    base = await way.image(daemon, python, "python")
    tag = f"rundrill/{folder.name}:{_digest(folder, str(base.id))}"
    if await _is_there(daemon, tag):
        return tag
    async with template.locked(template.cache() / f"image-{folder.name}.lock"):
        if not await _is_there(daemon, tag):
            tell(f"building {tag}")
            await _build(daemon, folder, tag=tag, python=python)
    return tag


async def _is_there(daemon: docker.DockerClient, tag: str) -> bool:
    try:
        await way.do(f"the image {tag}", lambda: daemon.images.get(tag))
    except way.GoneError:
        return False
    return True


def _digest(folder: Path, base: str) -> str:
    """What the image depends on: every file of its folder, by name and content, and what it is built on."""
    found = hashlib.sha256(base.encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not _LEFT_OUT & set(path.parts):
            found.update(f"{path.relative_to(folder)}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return found.hexdigest()[:16]


async def _build(daemon: docker.DockerClient, folder: Path, *, tag: str, python: str) -> None:
    """Build it; cancelled, the connection is let go of, for which the daemon gives it up."""
    lines: list[str] = []
    given_up = asyncio.Event()

    def build() -> str:
        stream = daemon.api.build(
            path=str(folder),
            tag=tag,
            rm=True,
            forcerm=True,
            decode=True,
            buildargs={"PYTHON": python},
            labels={"rundrill.image": folder.name},
        )
        for said in _spoken(stream):
            lines.append(said[1])
            if said[0] or given_up.is_set():
                return said[1]
        return ""

    task = asyncio.ensure_future(way.do(f"building {tag}", build))
    try:
        trouble = await asyncio.shield(task)
    except asyncio.CancelledError:
        given_up.set()
        await asyncio.wait((task,))
        raise
    except SubstrateError as error:
        raise SubstrateError(f"{error}\n{''.join(lines[-KEPT:])}") from error
    if trouble:
        log = "".join(lines[-KEPT:]).rstrip()
        raise SubstrateError(f"{folder / 'Dockerfile'}: building {tag} failed: {trouble.strip()}\n{log}")


def _spoken(stream: Iterator[dict[str, object]]) -> Iterator[tuple[bool, str]]:
    """What a build says, and whether it is what ended it."""
    for message in stream:
        if "error" in message:
            yield True, str(message["error"])
        elif "stream" in message:
            yield False, str(message["stream"])
