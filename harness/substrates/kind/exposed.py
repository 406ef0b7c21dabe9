"""Services of a drill as the machine outside reaches them: a NodePort Service of ours beside each, which follows what becomes of
its selector and ports. Not the way from there to where probes ask.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from harness import execution
from harness.errors import SubstrateError
from harness.model.topology import Cluster, Exposed
from harness.model.units import SECOND, Ns
from harness.substrates.kind import docker
from harness.substrates.kind.kubectl import Kubectl
from harness.substrates.kind.objects import Port, Service

PREFIX = "rundrill-"
POLL_S = 0.05
ENDING: Ns = 2 * SECOND
NOBODY = {"rundrill.nobody": "matches"}
"""A selector that no pod has: of a Service that is gone nobody answers."""


def beside(exposed: Exposed, service: Service | None, marks: Mapping[str, str]) -> dict[str, object]:
    """The Service beside one: same pods, same port, at a port of the nodes. SubstrateError where the Service has no such port."""
    port = _port(exposed, service) if service else Port(port=exposed.port)
    spec = {
        "type": "NodePort",
        "selector": service.spec.selector if service else NOBODY,
        "ports": [{"name": "exposed", "port": exposed.port, "targetPort": port.target_port or port.port}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": PREFIX + exposed.name, "labels": dict(marks)},
        "spec": spec,
    }


def _port(exposed: Exposed, service: Service) -> Port:
    found = next((port for port in service.spec.ports if port.port == exposed.port), None)
    if found is None:
        known = ", ".join(str(port.port) for port in service.spec.ports) or "none"
        raise SubstrateError(
            f"service/{service.metadata.name}: expected a port {exposed.port}, which is exposed; it has: {known}"
        )
    if not service.spec.selector:
        raise SubstrateError(f"service/{service.metadata.name}: expected a selector, since it is exposed; it has none")
    return found


async def expose(kubectl: Kubectl, cluster: Cluster, marks: Mapping[str, str]) -> Mapping[str, int]:
    """Make the Services beside; the port of the nodes at which each exposed one is found, by name."""
    ports: dict[str, int] = {}
    for each in cluster.exposed:
        service = await kubectl.get(Service, "service", each.service or each.name)
        made = await kubectl.done(
            "create", "-f", "-", "-o", "json", stdin=msgspec.json.encode(beside(each, service, marks)).decode()
        )
        ports[each.name] = msgspec.json.decode(made, type=Service).spec.ports[0].node_port
    return ports


@asynccontextmanager
async def following(kubectl: Kubectl, cluster: Cluster, folder: Path) -> AsyncIterator[None]:
    """While it lasts, what is done to an exposed Service is done to the one beside it, within a tenth of a second or two."""
    if not cluster.exposed:
        yield
        return
    stream = folder / "services.jsonl"
    argv = (
        *(kubectl.path, f"--kubeconfig={kubectl.kubeconfig}", "get", "services"),
        *("-n", cluster.namespace, "-o", "json", "--watch", "--output-watch-events"),
    )
    async with execution.start(argv, env=docker.environment(), stdout=stream, stderr=folder / "services.log"):
        task = asyncio.create_task(_follow(kubectl, cluster, stream))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    for path in (stream, folder / "services.log"):
        path.unlink(missing_ok=True)


class _Seen(msgspec.Struct):
    """One event of a watch."""

    type: str
    object: Service


async def _follow(kubectl: Kubectl, cluster: Cluster, stream: Path) -> None:
    known: dict[str, dict[str, object]] = {}
    with stream.open(encoding="utf-8") as file:
        text = ""
        while True:
            text += file.read()
            events, text = parted(text)
            for event in events:
                for each in cluster.exposed:
                    if event.object.metadata.name == (each.service or each.name):
                        await _match(kubectl, each, None if event.type == "DELETED" else event.object, known)
            await asyncio.sleep(POLL_S)


async def _match(kubectl: Kubectl, each: Exposed, service: Service | None, known: dict[str, dict[str, object]]) -> None:
    """Let the Service beside be as the Service is now; one that is exposed no more has nobody."""
    try:
        made = beside(each, service, {})
    except SubstrateError:
        made = beside(each, None, {})
    if known.get(each.name) == made:
        return
    patch = [{"op": "replace", "path": f"/spec/{key}", "value": value} for key, value in _changing(made["spec"])]
    patched = await kubectl.run("patch", "service", PREFIX + each.name, "--type=json", "-p", json.dumps(patch))
    if patched.ok:
        known[each.name] = made


def _changing(spec: object) -> Sequence[tuple[str, object]]:
    """What of a specification can change, by its path."""
    assert isinstance(spec, dict)  # noqa: S101 - made by `beside`
    return [("selector", spec["selector"]), ("ports/0/targetPort", spec["ports"][0]["targetPort"])]


def parted(text: str) -> tuple[Sequence[_Seen], str]:
    """The whole events at the beginning of a stream of JSON objects, and what is left of it."""
    decoder = json.JSONDecoder()
    found: list[_Seen] = []
    while text := text.lstrip():
        try:
            value, end = decoder.raw_decode(text)
        except ValueError:
            break
        found.append(msgspec.convert(value, _Seen))
        text = text[end:]
    return found, text
