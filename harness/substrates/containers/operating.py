"""What the operator of an environment in containers has: `service`, `docker` through a filter, and a docker-compose.yml."""

import shlex
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from harness.substrates.containers import compose, tools
from harness.substrates.containers import daemon as way
from harness.substrates.containers.compose import Definition
from harness.substrates.containers.database import ContainerDatabase
from harness.substrates.containers.desk import SOCKET, Ask, Desk
from harness.substrates.containers.housed import Housed
from harness.substrates.containers.service import ContainerService
from harness.substrates.containers.stores import ContainerStore
from harness.substrates.containers.yard import Yard
from harness.substrates.docker_proxy.serving import serve
from harness.substrates.local import layout as places
from harness.substrates.local.site import Site

DOCKER_SOCKET = "/run/docker.sock"


def variables(yard: Yard, site: Site) -> Mapping[str, str]:
    """By which the operator's docker and compose find what is theirs."""
    return {
        "DOCKER_HOST": f"unix://{site.layout.path(DOCKER_SOCKET)}",
        "COMPOSE_PROJECT_NAME": yard.project,
        "COMPOSE_FILE": site.layout.path(compose.FILE),
    }


async def equip(stack: AsyncExitStack, yard: Yard, site: Site) -> None:
    """Give the operator docker, while the stack lasts."""
    if tools.docker():
        socket = site.layout.seen(DOCKER_SOCKET)
        filtered = serve(
            socket, docker=Path(way.endpoint()), environment=yard.name, project=yard.project, network=yard.project
        )
        await stack.enter_async_context(filtered)
        tools.provide(site)


async def define(
    yard: Yard, site: Site, servers: Sequence[Housed], services: Mapping[str, ContainerService]
) -> Mapping[str, str]:
    """Write the environment's docker-compose.yml; compose's hash of each service in it, where the operator has compose."""
    ours = {server.name: server.definition for server in servers}
    described = {**ours, **{name: service.definition for name, service in services.items()}}
    site.own_file(compose.FILE, compose.text(described, network=yard.project), site.users.operator)
    return await _hashes(yard, site, {**ours, **{name: await service.resolved() for name, service in services.items()}})


async def _hashes(yard: Yard, site: Site, services: Mapping[str, Definition]) -> Mapping[str, str]:
    if not tools.has_compose():
        return {}
    return await compose.hashes(site, variables(yard, site), services, network=yard.project)


def open_desk(
    stack: AsyncExitStack,
    yard: Yard,
    site: Site,
    servers: Sequence[ContainerDatabase | ContainerStore],
    services: Mapping[str, ContainerService],
) -> None:
    """Let the operator's `service` and `systemctl` be answered; the supervisor knows of no service here."""
    known: dict[str, Ask] = {}
    for server in servers:
        known |= dict.fromkeys((server.name, *site.known_as(server.spec)), partial(_server, server))
    for name, service in services.items():
        known |= dict.fromkeys((name, *service.spec.aliases), partial(_service, service, yard, site))
    desk = Desk(site.layout.seen(SOCKET), known)
    stack.push_async_callback(desk.close)
    for name in ("service", "systemctl"):
        tool = f"{places.TOOLS}/{name}"
        text = site.layout.seen(tool).read_text(encoding="utf-8")
        ours = text.replace(shlex.quote(site.layout.path(places.CONTROL)), shlex.quote(site.layout.path(SOCKET)))
        site.own_file(tool, ours, site.users.ours, mode=0o755)


async def _server(server: ContainerDatabase | ContainerStore, verb: str) -> tuple[int, str]:
    match verb:
        case "start":
            await server.start()
        case "stop":
            await server.stop()
        case "restart":
            await server.stop()
            await server.start()
        case "status":
            up = await server.up()
            return (0 if up else 3), f"{server.name}: {'active (running)' if up else 'inactive (dead)'}"
        case _:
            return 1, f"{verb}: not one of start, stop, restart, status"
    return 0, ""


async def _service(service: ContainerService, yard: Yard, site: Site, verb: str) -> tuple[int, str]:
    match verb:
        case "start":
            await service.start()
        case "stop":
            await service.stop()
        case "restart":
            hashes = await _hashes(yard, site, {service.spec.name: await service.resolved()})
            await service.restart(hashes.get(service.spec.name, ""))
        case "status":
            up = await service.running()
            state = "active (running)" if up else "inactive (dead)"
            return (
                0 if up else 3
            ), f"{service.spec.name}: {state}, containers {', '.join(str(one.name) for one in up)}"
        case _:
            return 1, f"{verb}: not one of start, stop, restart, status"
    return 0, ""
