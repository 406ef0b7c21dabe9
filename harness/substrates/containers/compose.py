"""The environment's services as a docker-compose.yml: what the operator finds, and what a container is made anew from.

Values to text, and the hashes that compose itself gives the services of that text. Not compose's commands.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.model.units import SECOND, Ns
from harness.substrates.local.layout import HOME, TOOLS
from harness.substrates.local.site import Site

FILE = f"{HOME}/docker-compose.yml"
_RESOLVED = "/run/rundrill/docker-compose.yml"
HASHING: Ns = 20 * SECOND

Value = str | int | Sequence["Value"] | Mapping[str, "Value"]


@dataclass(frozen=True, slots=True)
class Definition:
    """A service as compose has it. `ports` is what is published, as `-p` takes it; `volumes` are `name:path`, `tmpfs`
    paths; `command` is what the image is started with, if not its own."""

    image: str
    environment: Mapping[str, str]
    ports: str
    aliases: Sequence[str]
    env_file: str = ""
    volumes: Sequence[str] = ()
    extra_hosts: Sequence[str] = ()
    scale: int = 1
    shm_size: str = ""
    command: Sequence[str] = ()
    tmpfs: Sequence[str] = ()


def text(services: Mapping[str, Definition], *, network: str) -> str:
    """The file. The network, and every volume, is there already."""
    volumes = {volume.partition(":")[0] for each in services.values() for volume in each.volumes}
    whole: Mapping[str, Value] = {
        "version": "2.4",
        "services": {name: _service(name, each) for name, each in services.items()},
        "networks": {"default": {"external": {"name": network}}},
        "volumes": {name: {"external": {"name": name}} for name in sorted(volumes)},
    }
    return "\n".join(_lines(whole)) + "\n"


def _service(name: str, each: Definition) -> Mapping[str, Value]:
    found: dict[str, Value] = {
        "image": each.image,
        "command": list(each.command),
        "hostname": name,
        "ports": [each.ports],
        "environment": {key: value.replace("$", "$$") for key, value in each.environment.items()},
        "env_file": each.env_file,
        "networks": {"default": {"aliases": list(each.aliases)}},
        "volumes": list(each.volumes),
        "tmpfs": list(each.tmpfs),
        "extra_hosts": list(each.extra_hosts),
        "shm_size": each.shm_size,
        "scale": each.scale,
    }
    return {key: value for key, value in found.items() if value}


def _lines(value: Value, indent: str = "") -> list[str]:
    """YAML of it: a scalar is written as JSON writes it, which YAML reads the same (YAML 1.2, 1.3)."""
    match value:
        case str() | int():
            return [f"{indent}{json.dumps(value)}"]
        case Mapping():
            lines = []
            for key, each in value.items():
                inner = _lines(each, f"{indent}  ")
                one = isinstance(each, str | int)
                lines += [f"{indent}{key}: {inner[0].strip()}"] if one else [f"{indent}{key}:", *inner]
            return lines
        case _:
            return [f"{indent}- {_lines(each)[0]}" for each in value]


async def hashes(
    site: Site, env: Mapping[str, str], services: Mapping[str, Definition], *, network: str
) -> Mapping[str, str]:
    """By which compose, which the operator has, recognises what it (or we) made from these services. Their environment files
    have to be resolved: compose does so before it compares, and v2 not when it is asked for a hash."""
    site.own_file(_RESOLVED, text(services, network=network), site.users.operator)
    argv = ("docker-compose", "-f", site.layout.path(_RESOLVED), "config", "--hash=*")
    given = {**site.base_environment(), **env, "PATH": f"{site.layout.path(TOOLS)}:{site.base_environment()['PATH']}"}
    done = await site.complete(
        argv, env=given, identity=site.users.operator, timeout=HASHING, cwd=site.layout.path(HOME)
    )
    found = [line.split() for line in done.stdout.splitlines()] if done.ok else []
    return {words[0]: words[1] for words in found if len(words) == 2}
