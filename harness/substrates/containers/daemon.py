"""The way to Docker: one client with time limits, its calls in threads, and what can go wrong in words. Not what is asked."""

import asyncio
import functools
import io
import os
import socket
import tarfile
import urllib.parse
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import docker
import docker.errors
import requests
from docker.models.containers import Container
from docker.models.images import Image

from harness.errors import SubstrateError
from harness.model.units import SECOND, Ns
from harness.substrates.local.layout import SYSTEM_PATH
from harness.telling import tell

SILENCE: Ns = 30 * SECOND
"""How long the daemon may say nothing to a request."""

KNOCK: Ns = 3 * SECOND

Result = TypeVar("Result")


class PortTakenError(SubstrateError):
    """Somebody else listens at the port that was to be published."""


class GoneError(SubstrateError):
    """There is no container, network, volume or image of that name (any more)."""


def client(*, silence: Ns = SILENCE) -> docker.DockerClient:
    """A client of the daemon that DOCKER_HOST or the Docker context names. SubstrateError where there is none."""
    _settle()
    try:
        return docker.from_env(timeout=silence // SECOND)
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise explained("Docker", error) from error


def _settle() -> None:
    """Let DOCKER_HOST say what the Docker context says, for all that ask after us."""
    from testcontainers.core.docker_client import get_docker_host  # noqa: PLC0415 - half a second, needed once

    host = get_docker_host()
    if host:
        os.environ["DOCKER_HOST"] = host


@functools.cache
def trouble() -> str:
    """Why Docker cannot be used here, "" if it can. Asked once, for a few seconds at most; it blocks."""
    _settle()
    where = urllib.parse.urlparse(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
    if where.scheme != "unix":
        return f"expected a daemon of this machine, by a Unix socket; DOCKER_HOST is {where.geturl()}"
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(KNOCK / SECOND)
            sock.connect(where.path)
            sock.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            head = sock.recv(4096).decode("latin-1").lower()
    except OSError as error:
        return str(explained(where.path, error))
    if "ostype: linux" not in head:
        return f"{where.path}: expected a daemon that runs Linux containers; it answers {head.splitlines()[:1]}"
    return ""


def root(daemon: docker.DockerClient) -> str:
    """The folder in which the daemon keeps everything, as the daemon sees it; "" where it does not say. It blocks."""
    return str(daemon.info().get("DockerRootDir") or "")


def endpoint() -> str:
    """The path of the daemon's socket."""
    return urllib.parse.urlparse(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock").path


async def whole(work: Coroutine[object, object, Result]) -> Result:
    """Its result. Cancelled, it is awaited to its end nevertheless: it has to be known what was made, to be removed."""
    task = asyncio.ensure_future(work)
    interruption: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            interruption = error
    if interruption is not None:
        task.exception()
        raise interruption
    return task.result()


async def do(what: str, call: Callable[[], Result]) -> Result:
    """The result of a call of the client, made in a thread. SubstrateError says what was tried and what was wrong.

    Cancelled, it waits for the call's end, to which the client has a time limit.
    """
    try:
        return await whole(asyncio.to_thread(call))
    except (docker.errors.DockerException, requests.RequestException, OSError) as failure:
        raise explained(what, failure) from failure


def explained(what: str, error: BaseException) -> SubstrateError:
    """What went wrong, as the daemon says it or as it shows, and the remedy."""
    text = _said(error)
    match error:
        case _ if isinstance(error, (requests.ReadTimeout, socket.timeout)) or "timed out" in text:
            return SubstrateError(
                f"{what}: the Docker daemon is silent: {text}\n"
                "    look at its log (journalctl -u docker), or restart it"
            )
        case docker.errors.ImageNotFound() | docker.errors.NotFound():
            return GoneError(f"{what}: {text}")
        case _ if "port is already allocated" in text or "address already in use" in text:
            return PortTakenError(f"{what}: {text}\n    end what listens there")
        case _ if "no space left on device" in text.lower():
            return SubstrateError(
                f"{what}: Docker's disk is full: {text}\n    make room: docker system df shows by what"
            )
        case _ if "address pools" in text or "address pool" in text:
            return SubstrateError(
                f"{what}: {text}\n    Docker has no addresses left for another network: rundrill reap, docker network prune, "
                "or more default-address-pools in daemon.json"
            )
        case docker.errors.APIError():
            return SubstrateError(f"{what}: {text}")
        case _ if "Permission denied" in text:
            return SubstrateError(f"{what}: {text}\n    let this user use Docker: usermod -aG docker, and log in again")
        case _:
            return SubstrateError(f"{what}: no Docker daemon answers: {text}\n    start Docker, or set DOCKER_HOST")


def _said(error: BaseException) -> str:
    if isinstance(error, docker.errors.APIError):
        return str(error.explanation or error).strip()
    return str(error).strip() or type(error).__name__


def has(daemon: docker.DockerClient, name: str) -> bool:
    """Whether the daemon has an image of that name; it blocks."""
    return _known(daemon, name) is not None


def _known(daemon: docker.DockerClient, name: str) -> Image | None:
    try:
        return daemon.images.get(name)
    except docker.errors.ImageNotFound:
        return None


async def image(daemon: docker.DockerClient, name: str, setting: str) -> Image:
    """The image of that name, pulled if it is not there. SubstrateError if it cannot be had."""
    what = f"the image {name}"
    try:
        if found := await do(what, lambda: _known(daemon, name)):
            return found
        tell(f"pulling {name}")
        return await do(what, lambda: daemon.images.pull(name))  # one, since the name has a tag
    except SubstrateError as error:
        raise SubstrateError(
            f"the image {name} is not there and cannot be pulled: {error}\n"
            f"    docker pull {name}, or name another: [images] {setting} in rundrill.toml, "
            f"RUNDRILL_IMAGES_{setting.upper()}"
        ) from error


async def inside(  # noqa: PLR0913 - each is a part of how a program runs
    container: Container,
    argv: tuple[str, ...],
    *,
    env: Mapping[str, str] | None = None,
    user: str = "0",
    stdout: bool = True,
    check: bool = True,
) -> str:
    """What a program says that is run in a container, to its end. SubstrateError if it fails, unless told not to `check`."""

    def run() -> tuple[int, bytes]:
        status, output = container.exec_run(list(argv), environment=dict(env or {}), user=user, stdout=stdout)
        return status or 0, output if isinstance(output, bytes) else b"".join(output)

    status, output = await do(f"{container.name}: {argv[0]}", run)
    text = output.decode("utf-8", "replace")
    if status and check:
        raise SubstrateError(
            f"{container.name}: {' '.join(argv)[:200]} ended with status {status}: {text.strip()[-1000:]}"
        )
    return text


def tail(container: Container, lines: int = 20) -> str:
    """The last lines of a container's log; it blocks."""
    try:
        return container.logs(tail=lines).decode("utf-8", "replace").rstrip()
    except (docker.errors.DockerException, requests.RequestException) as error:
        return f"(its log cannot be read: {_said(error)})"


@contextmanager
def at(path: str) -> Iterator[None]:
    """Let the daemon be that of the socket there, "" for the usual one."""
    before = os.environ.get("DOCKER_HOST")
    if path:
        os.environ["DOCKER_HOST"] = f"unix://{path}"
    try:
        yield
    finally:
        os.environ.pop("DOCKER_HOST", None)
        if before is not None:
            os.environ["DOCKER_HOST"] = before


def variables() -> Mapping[str, str]:
    """What another process needs to find the same daemon."""
    return {"PATH": SYSTEM_PATH, "HOME": str(Path.home()), "DOCKER_HOST": f"unix://{endpoint()}"}


def tar(files: Mapping[str, bytes]) -> bytes:
    """An archive of these files, which everybody may read and execute."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()
