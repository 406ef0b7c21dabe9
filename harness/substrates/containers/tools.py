"""The programs docker and docker-compose that an operator is given: the machine's, whichever of compose's two shapes it has."""

import os
from pathlib import Path

from harness import execution
from harness.substrates.local import layout as places
from harness.substrates.local.site import Site

COMPOSE = "docker-compose"
_SEEN = ("/usr", "/bin", "/opt", "/sbin")
"""Where a program of the host's is in an environment as well."""

_PLUGINS = tuple(
    f"{folder}/docker/cli-plugins" for folder in ("/usr/local/lib", "/usr/local/libexec", "/usr/lib", "/usr/libexec")
)
"""Where Docker's client looks for its plugins (cli-plugins/manager of docker/cli)."""

_AS_PLUGIN = f"""#!/bin/sh
if [ "$1" = docker-cli-plugin-metadata ]; then
    echo '{{"SchemaVersion": "0.1.0", "Vendor": "the program {COMPOSE}", "Version": "0"}}'
else
    shift
    exec {COMPOSE} "$@"
fi
"""
"""The program as a plugin: it says what it is (cli-plugins/metadata of docker/cli), and is called `compose …` afterwards."""


def docker() -> str:
    """The path of a docker program that the operator can be given; "" if there is none."""
    found = execution.find("docker")
    return found if found and _is_seen(found) else ""


def _is_seen(path: str) -> bool:
    return any(Path(path).is_relative_to(place) and Path(path).resolve().is_relative_to(place) for place in _SEEN)


def has_compose() -> bool:
    """Whether the operator can be given compose: a program docker-compose of the machine's, or Docker's plugin `compose`."""
    return _program() or bool(_plugin())


def _program() -> bool:
    return execution.installed(COMPOSE, places.SYSTEM_PATH)


def _plugin() -> str:
    """The path of the plugin, which is the program docker-compose if called so; "" if there is none."""
    found = [f"{folder}/{COMPOSE}" for folder in _PLUGINS]
    return next((path for path in found if os.access(path, os.X_OK)), "")


def provide(site: Site) -> None:
    """Let `docker`, `docker-compose` and `docker compose` be there, as far as the machine has one of the last two."""
    given = {"docker": docker()}
    if not _program() and (plugin := _plugin()):
        given[COMPOSE] = plugin
    for name, path in given.items():
        tool = site.layout.seen(f"{places.TOOLS}/{name}")
        if not tool.is_symlink():
            tool.symlink_to(path)
    if _program() and not _plugin():
        site.own_file(f"{places.HOME}/.docker/cli-plugins/{COMPOSE}", _AS_PLUGIN, site.users.ours, mode=0o755)
