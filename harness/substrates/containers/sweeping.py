"""Everything that bears an environment's label is removed from Docker: at its end, by the watchdog, by `rundrill reap`.

It blocks, and imports nothing of an environment: whoever removes may know no more of it than its name.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import docker
import docker.errors
import requests
from docker.models.containers import Container

from harness.errors import SubstrateError
from harness.substrates import labels
from harness.substrates.containers import daemon as way

QUIET_S = 1.5
"""How long nothing new has to turn up: a daemon finishes what a killed client had asked for."""

PATIENCE_S = 60.0
STEP_S = 0.25
BACK_S = 60.0
"""How long a daemon that died may take to be back."""


def sweep(daemon: docker.DockerClient, environment: str) -> Sequence[str]:
    """Remove its containers, then its networks and volumes; a sentence for each. What is already being removed is left."""
    wanted: dict[str, str | list[str] | bool] = {"label": f"{labels.ENVIRONMENT}={environment}"}
    hidden: dict[str, str | list[str] | bool] = {"label": f"{labels.HIDDEN}={environment}"}
    containers = [
        one
        for each in (wanted, hidden)
        for one in daemon.containers.list(all=True, filters=each, ignore_removed=True, sparse=True)
    ]
    done: list[str] = []
    if containers:
        with ThreadPoolExecutor(max_workers=8) as pool:
            done += [name for name in pool.map(_container, containers) if name]
    for kind, found in (
        ("network", daemon.networks.list(filters=wanted)),
        ("volume", daemon.volumes.list(filters=wanted)),
    ):
        for one in found:
            if _gone(one.remove):
                done.append(f"removed the {kind} {one.name}")
    return done


def sweep_whole(daemon: docker.DockerClient, environment: str) -> None:
    """Remove until there is nothing left, for at most PATIENCE_S: a network goes only after its last container has."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            if not sweep(daemon, environment):
                return
        except docker.errors.APIError:
            if time.monotonic() > end:
                raise
            threading.Event().wait(STEP_S)


def sweep_dead(daemon: docker.DockerClient, environment: str) -> Sequence[str]:
    """The same for an environment whose harness is dead, until nothing turns up any more."""
    done: list[str] = []
    end = time.monotonic() + PATIENCE_S
    quiet = time.monotonic() + QUIET_S
    while time.monotonic() < min(end, quiet):
        with contextlib.suppress(docker.errors.APIError):  # a network that has a container still, for an instant
            found = sweep(daemon, environment)
            if found:
                done.extend(found)
                quiet = time.monotonic() + QUIET_S
        threading.Event().wait(STEP_S)
    return done


def sweep_when_up(environment: str) -> Sequence[str]:
    """The same at the daemon that DOCKER_HOST names, as soon as it answers: one that died takes a while to be back, and has kept
    what it was asked to make. SubstrateError, or what Docker's library raises, if it does not answer for BACK_S."""
    end = time.monotonic() + BACK_S
    while True:
        try:
            daemon = way.client()
            try:
                return sweep_dead(daemon, environment)
            finally:
                daemon.close()
        except (SubstrateError, docker.errors.DockerException, requests.RequestException, OSError):
            if time.monotonic() > end:
                raise
            threading.Event().wait(STEP_S)


def sweep_at(socket: str, environment: str) -> Sequence[str]:
    """The same, at the daemon of that socket ("": the usual one). SubstrateError if it does not answer."""
    with way.at(socket):
        daemon = way.client()
    try:
        return sweep_dead(daemon, environment)
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise way.explained(f"removing {environment}", error) from error
    finally:
        daemon.close()


def _container(container: Container) -> str:
    removed = _gone(lambda: container.remove(force=True, v=True))
    return f"removed the container {str(container.id)[:12]}" if removed else ""


def _gone(remove: Callable[[], object]) -> bool:
    """Whether that removed it; not where it was gone already, or is going."""
    try:
        remove()
    except docker.errors.NotFound:
        return False
    except docker.errors.APIError as error:
        if error.status_code != requests.codes.conflict or "in progress" not in str(error):
            raise
        return False
    return True
