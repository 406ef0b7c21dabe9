"""A container as testcontainers starts it, from what compose is told of it: made by either, it is the same."""

from collections.abc import Mapping
from contextlib import suppress

from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from harness.substrates.containers.compose import Definition
from harness.substrates.containers.daemon import GoneError, do
from harness.substrates.containers.yard import Yard


async def described(  # noqa: PLR0913 - each is a part of what it is to be
    yard: Yard,
    name: str,
    definition: Definition,
    *,
    number: int = 1,
    hash_: str = "",
    more: Mapping[str, str] | None = None,
) -> DockerContainer:
    """Container `number` of the service of that name, not started yet; `more` variables are those of its environment file.
    `hash_` is compose's of the definition. SubstrateError if its image is not there."""
    image = await do(f"the image {definition.image}", lambda: yard.daemon.images.get(definition.image))
    made = DockerContainer(definition.image)
    made.with_name(yard.container_name(name, number))
    made.with_envs(**{**definition.environment, **(more or {})})
    made.with_network(_network(yard))
    made.with_network_aliases(*definition.aliases)
    made.with_kwargs(
        labels=yard.labelled(name, number, hash_=hash_, image=str(image.id)),
        detach=True,
        hostname=name,
        shm_size=definition.shm_size or None,
        extra_hosts=dict(each.split(":", 1) for each in definition.extra_hosts),
    )
    if definition.command:
        made.with_command(list(definition.command))
    for volume in definition.volumes:
        source, _, mount = volume.partition(":")
        made.with_volume_mapping(source, mount, "rw")
    for path in definition.tmpfs:
        made.with_tmpfs_mount(path)
    host, outer, inner = definition.ports.split(":")
    made.ports = {inner: (host, int(outer) if outer.isdigit() else outer)}  # type: ignore[dict-item]  # as docker-py has them
    return made


async def forget(made: DockerContainer) -> None:
    """Remove what was made and did not start."""
    with suppress(GoneError):
        await do("a container that did not start", lambda: made.get_wrapped_container().remove(force=True))


def _network(yard: Yard) -> Network:
    """The environment's network as testcontainers wants it."""
    named = Network()
    named.name = yard.project
    return named
