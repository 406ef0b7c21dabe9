"""A real API server, and nothing else of a cluster, for a test in namespaces: etcd and kube-apiserver."""

import asyncio
import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from harness.substrates.inside import kernel
from harness.substrates.local.kubernetes import binaries, control_plane, identities, places
from harness.substrates.network import api, links
from harness.substrates.network.api import Api

OFFLINE = Path(__file__).parents[4] / "shared/offline/control-plane"
KUBECONFIG = Path(identities.HARNESS)
START_S = 40


@functools.cache
def programs() -> Mapping[str, Path]:
    """Kubernetes' programs: this machine's, or those of the folder that is shared with other projects."""
    found = binaries.find()
    if not isinstance(found, str):
        return found.programs
    if not OFFLINE.exists():
        pytest.skip(f"Kubernetes' programs: {found}")
    folder = Path(tempfile.gettempdir(), f"rundrill-tests-kubernetes-{os.getuid()}")
    subprocess.run((sys.executable, OFFLINE, folder), check=True, stdout=subprocess.DEVNULL)
    return {name: folder / name for name in ("etcd", "kube-apiserver", "kubectl")}


@asynccontextmanager
async def api_server() -> AsyncIterator[Api]:
    """One that is ready, as an administrator asks it; in namespaces, whose /var/lib is taken for it."""
    links.prepare()
    kernel.add_address("10.0.0.1")
    kernel.mount("tmpfs", "/var/lib", "tmpfs")
    _write_keys()
    for argv in (control_plane.etcd(), control_plane.api_server()):
        _start(argv)
    try:
        async with api.connected(KUBECONFIG) as server:
            await _until_ready(server)
            yield server
    finally:
        for name in tuple(_STARTED):
            _kill(name)


_STARTED: "dict[str, subprocess.Popen[bytes]]" = {}


def kill_api_server() -> None:
    _kill("kube-apiserver")


async def restart_api_server(server: Api) -> None:
    _start(control_plane.api_server())
    await _until_ready(server)


async def _until_ready(server: Api) -> None:
    async with asyncio.timeout(START_S):
        while not await _ready(server):
            assert all(one.poll() is None for one in _STARTED.values()), "a program has ended"
            await asyncio.sleep(0.05)


def _kill(name: str) -> None:
    one = _STARTED.pop(name)
    one.kill()
    one.wait()


def _write_keys() -> None:
    for path, text in identities.files(identities.Roots.make(), places.nodes(0)).items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)


DIE_WITH_ME = ("setpriv", "--pdeathsig", "KILL")
"""For what is started by tests: it ends with its test, however that ends."""


def _start(argv: Sequence[str]) -> None:
    name = Path(argv[0]).name
    with Path(places.STATE, f"{name}.log").open("ab") as log:
        command = (*DIE_WITH_ME, programs()[name], *argv[1:])
        _STARTED[name] = subprocess.Popen(command, stdout=log, stderr=log)


async def _ready(server: Api) -> bool:
    with suppress(aiohttp.ClientError, OSError, TimeoutError):
        return (await server.request("GET", "/readyz"))[0] == 200
    return False


async def create(server: Api, path: str, thing: Mapping[str, Any]) -> dict[str, Any]:
    status, body = await server.request("POST", path, body=msgspec.json.encode(thing))
    assert status == 201, body
    return msgspec.json.decode(body)


async def change(server: Api, path: str, patch: Mapping[str, Any]) -> None:
    status, body = await server.request(
        "PATCH", path, body=msgspec.json.encode(patch), kind="application/merge-patch+json"
    )
    assert status == 200, body


async def set_status(server: Api, path: str, status: Mapping[str, Any]) -> None:
    await change(server, f"{path}/status", {"status": status})


async def delete(server: Api, path: str) -> None:
    status, body = await server.request("DELETE", path)
    assert status in {200, 202}, body
