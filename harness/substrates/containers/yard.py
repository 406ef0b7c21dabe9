"""What all containers of one environment share: the client, names and labels, the network, and the volumes' keeper. Not what is
in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

import docker
from docker.models.containers import Container
from docker.models.networks import Network

from harness.substrates import labels
from harness.substrates.containers.daemon import do, inside
from harness.substrates.containers.settings import Images

VOLUMES = "/volumes"
"""Where the keeper has every volume, by the name of its server."""

_PROJECT = "com.docker.compose.project"
_SERVICE = "com.docker.compose.service"
_NUMBER = "com.docker.compose.container-number"
_ONE_OFF = "com.docker.compose.oneoff"
_VERSION = "com.docker.compose.version"
_HASH = "com.docker.compose.config-hash"
_IMAGE = "com.docker.compose.image"
"""Labels by which docker-compose knows containers of a project (docs.docker.com, "Compose SDK"; compose/const.py)."""


@dataclass(frozen=True, slots=True)
class Yard:
    """One environment's place in Docker. Everything in it is made with `labelled` and removed by that label."""

    daemon: docker.DockerClient
    name: str
    run: str
    images: Images

    @property
    def project(self) -> str:
        """The environment's name as Docker and compose allow it."""
        return self.name.lower()

    @staticmethod
    def number(container: Container) -> int:
        """Which of its service's containers that is."""
        return int(container.labels.get(_NUMBER, "1"))

    def container_name(self, service: str, number: int = 1) -> str:
        """What a container of a service is called: as compose would call it."""
        return f"{self.project}-{service}-{number}"

    @property
    def ours(self) -> Mapping[str, str]:
        """The labels of everything that is the environment's."""
        return {labels.RUN: self.run, labels.ENVIRONMENT: self.name}

    def labelled(self, service: str, number: int = 1, *, hash_: str = "", image: str = "") -> dict[str, str]:
        """Those of a container of a service. By `hash_`, compose's of its definition, and the `image`'s id compose knows what
        has changed (the second: compose v2)."""
        return {
            **({_HASH: hash_} if hash_ else {}),
            **({_IMAGE: image} if image else {}),
            **self.ours,
            _PROJECT: self.project,
            _SERVICE: service,
            _NUMBER: str(number),
            _ONE_OFF: "False",
            _VERSION: "2.0.0",
        }

    async def containers(self, service: str) -> list[Container]:
        """The containers of a service as they are now, by their numbers: others than ours, if the operator made them anew."""
        wanted: dict[str, str | list[str] | bool] = {
            "label": [f"{labels.ENVIRONMENT}={self.name}", f"{_SERVICE}={service}", f"{_ONE_OFF}=False"]
        }
        found = await do(
            f"the containers of {service}",
            lambda: self.daemon.containers.list(all=True, filters=wanted, ignore_removed=True),
        )
        return sorted(found, key=lambda one: int(one.labels.get(_NUMBER, "0")))

    async def network(self) -> Network:
        """Make the environment's network: what is in it reaches the others, this machine, and nobody else."""
        return await do(
            f"the network {self.project}",
            lambda: self.daemon.networks.create(
                self.project,
                driver="bridge",
                labels=dict(self.ours),
                options={"com.docker.network.bridge.enable_ip_masquerade": "false"},
                check_duplicate=True,
            ),
        )

    async def volume(self, server: str, mib: int) -> str:
        """Make a volume in memory of that size for a server; its name."""
        name = f"{self.project}-{server}"
        options = {"type": "tmpfs", "device": "tmpfs", "o": f"size={mib}m"}
        await do(
            f"the volume {name}",
            lambda: self.daemon.volumes.create(name, driver="local", driver_opts=options, labels=dict(self.ours)),
        )
        return name

    async def keeper(self, volumes: Mapping[str, str], *, image: str) -> "Keeper":
        """Start what keeps the volumes (by the server's name) in being while their servers are down; the image is there."""

        def run() -> Container:
            return self.daemon.containers.run(
                image,
                ["-f", "/dev/null"],
                entrypoint="tail",
                name=f"{self.project}-keeper",
                labels={labels.RUN: self.run, labels.HIDDEN: self.name},
                network=self.project,
                volumes={name: {"bind": f"{VOLUMES}/{server}", "mode": "rw"} for server, name in volumes.items()},
                detach=True,
            )

        return Keeper(await do("the volumes' keeper", run))


class Keeper:
    """A container that has every volume mounted and does nothing: a volume in memory lives as long as somebody has it."""

    def __init__(self, container: Container) -> None:
        self.container = container

    def place(self, server: str) -> str:
        """Where it has the volume of that server."""
        return f"{VOLUMES}/{server}"

    async def sh(self, script: str, *arguments: str, env: Mapping[str, str] | None = None) -> str:
        """What a script of ours prints that is run in it as root, with these arguments. SubstrateError if it fails."""
        return await inside(self.container, ("sh", "-c", script, "sh", *arguments), env=env)

    async def put(self, server: str, place: str, archive: "BinaryIO | bytes") -> None:
        """Unpack a tar archive, the files of that server, in a folder of it."""
        await do(f"{server}: its files", lambda: self.container.put_archive(place, archive))
