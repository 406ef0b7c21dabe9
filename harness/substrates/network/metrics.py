"""The API metrics.k8s.io/v1beta1, as metrics-server serves it behind the API server's aggregation: `kubectl top`, autoscaling.

The API server has already decided who may ask; whoever asks here directly is inside the environment and may know as well.
"""

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp
import msgspec
from aiohttp import web

from harness.clock import wall
from harness.model.units import SECOND
from harness.substrates.local.kubernetes.certificates import Pair
from harness.substrates.network import selecting
from harness.substrates.network.api import Api
from harness.substrates.network.objects import Metadata, World
from harness.substrates.network.policy import selects
from harness.substrates.network.usage import History, Subject, Usage, read, stamp

EVERY_S = 3.0
"""How often the kubelets are asked: who asks about a new pod waits for two of their answers."""

PATIENCE_S = 10
GROUP = "metrics.k8s.io"
VERSION = f"{GROUP}/v1beta1"
ROOT = f"/apis/{VERSION}"


async def measure(api: Api, world: Callable[[], World], history: History) -> None:
    """Ask every node's kubelet, again and again, until cancelled."""
    while True:
        nodes = [node.metadata.name for node in world().nodes]
        history.forget(nodes)
        await asyncio.gather(*(_ask(api, node, history) for node in nodes))
        await asyncio.sleep(EVERY_S)


async def _ask(api: Api, node: str, history: History) -> None:
    with suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
        async with asyncio.timeout(PATIENCE_S):
            status, body = await api.request("GET", f"/api/v1/nodes/{node}/proxy/metrics/resource")
        if status == 200:
            history.take(node, read(body.decode(), node))


Thing = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Measured:
    """One answer: a node's or a pod's, with what it uses in all."""

    metadata: Metadata
    thing: Thing
    total: Usage


def nodes(world: World, history: History) -> Iterator[Measured]:
    """All nodes that have answered twice."""
    for node in world.nodes:
        usage = history.usage(Subject(node.metadata.name))
        if usage:
            yield Measured(
                node.metadata, {**_thing("NodeMetrics", node.metadata, usage), "usage": usage.quantities}, usage
            )


def pods(world: World, history: History) -> Iterator[Measured]:
    """All pods that run and were seen twice."""
    known = {(namespace, name): containers for namespace, name, containers in history.pods()}
    for pod in world.pods:
        containers = known.get((pod.metadata.namespace, pod.metadata.name))
        if containers and pod.status.phase == "Running":
            usages = containers.values()
            total = Usage(
                max(one.at for one in usages),
                max(one.window for one in usages),
                sum(one.cpu for one in usages),
                sum(one.memory for one in usages),
            )
            listed = [{"name": name, "usage": one.quantities} for name, one in sorted(containers.items())]
            yield Measured(pod.metadata, {**_thing("PodMetrics", pod.metadata, total), "containers": listed}, total)


def _thing(kind: str, metadata: Metadata, usage: Usage) -> dict[str, object]:
    about: dict[str, object] = {"name": metadata.name, "creationTimestamp": stamp(wall() / SECOND)}
    about |= {"namespace": metadata.namespace} if metadata.namespace else {}
    about |= {"labels": metadata.labels} if metadata.labels else {}
    return {
        "kind": kind,
        "apiVersion": VERSION,
        "metadata": about,
        "timestamp": stamp(usage.at),
        "window": _duration(usage.window),
    }


def _duration(seconds: float) -> str:
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"


_RESOURCES = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": VERSION,
    "resources": [
        {"name": name, "singularName": "", "namespaced": spaced, "kind": kind, "verbs": ["get", "list"]}
        for name, spaced, kind in (("nodes", False, "NodeMetrics"), ("pods", True, "PodMetrics"))
    ],
}
_VERSION = {"groupVersion": VERSION, "version": "v1beta1"}
_GROUP = {"name": GROUP, "versions": [_VERSION], "preferredVersion": _VERSION}
_FIXED: Mapping[str, object] = {
    ROOT: _RESOURCES,
    f"/apis/{GROUP}": {"kind": "APIGroup", "apiVersion": "v1", **_GROUP},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_GROUP]},
    "/openapi/v2": {"swagger": "2.0", "info": {"title": "metrics", "version": "v1beta1"}, "paths": {}},
    "/openapi/v3": {"paths": {}},
}


class Service:
    """Answers requests from what is known at each moment."""

    def __init__(self, world: Callable[[], World], history: History) -> None:
        self._world = world
        self._history = history

    def application(self) -> web.Application:
        """All paths."""
        made = web.Application()
        for path, thing in _FIXED.items():
            made.router.add_get(path, _always(thing))
        made.router.add_get(f"{ROOT}/nodes", self._list)
        made.router.add_get(f"{ROOT}/nodes/{{name}}", self._get)
        made.router.add_get(f"{ROOT}/pods", self._list)
        made.router.add_get(f"{ROOT}/namespaces/{{namespace}}/pods", self._list)
        made.router.add_get(f"{ROOT}/namespaces/{{namespace}}/pods/{{name}}", self._get)
        return made

    def _measured(self, request: web.Request) -> list[Measured]:
        """What a request is about, in the order of names."""
        namespace = request.match_info.get("namespace", "")
        found = nodes if _of_nodes(request) else pods
        chosen = (one for one in found(self._world(), self._history) if namespace in {"", one.metadata.namespace})
        return sorted(chosen, key=lambda one: (one.metadata.namespace, one.metadata.name))

    async def _list(self, request: web.Request) -> web.Response:
        try:
            selector = selecting.labels(request.query.get("labelSelector", ""))
            wanted = selecting.fields(request.query.get("fieldSelector", ""))
        except ValueError as error:
            return _json(_status(400, "BadRequest", str(error)), status=400)
        found = [
            one
            for one in self._measured(request)
            if selects(selector, one.metadata.labels) and _has(one.metadata, wanted)
        ]
        if _as_table(request):
            return _json(_table(found))
        kind = "NodeMetricsList" if _of_nodes(request) else "PodMetricsList"
        items = [{name: value for name, value in one.thing.items() if name not in _OF_ONE} for one in found]
        return _json({"kind": kind, "apiVersion": VERSION, "metadata": {}, "items": items})

    async def _get(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        found = [one for one in self._measured(request) if one.metadata.name == name]
        if found:
            return _json(_table(found) if _as_table(request) else found[0].thing)
        return _json(self._missing(request, name), status=404)

    def _missing(self, request: web.Request, name: str) -> Thing:
        """Whether there is no such thing, or nothing is known of it yet."""
        namespace = request.match_info.get("namespace", "")
        world = self._world()
        if _of_nodes(request):
            there = any(one.metadata.name == name for one in world.nodes)
            kind, subject = ("nodemetrics", name) if there else ("nodes", name)
        else:
            there = any((one.metadata.namespace, one.metadata.name) == (namespace, name) for one in world.pods)
            kind, subject = ("podmetrics", f"{namespace}/{name}") if there else ("pods", name)
        resource = f"{kind}.{GROUP}" if there else kind
        details = {"name": subject, "kind": kind, **({"group": GROUP} if there else {})}
        return _status(404, "NotFound", f'{resource} "{subject}" not found', details)


_OF_ONE = ("kind", "apiVersion")
"""What the items of a list do without: the list says it of all."""


def _of_nodes(request: web.Request) -> bool:
    return request.path.startswith(f"{ROOT}/nodes")


def _always(thing: object) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_: web.Request) -> web.StreamResponse:
        return _json(thing)

    return answer


def _json(thing: object, *, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(thing), content_type="application/json", status=status)


def _status(code: int, reason: str, message: str, details: Thing | None = None) -> Thing:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
        "details": details or {},
    }


def _has(metadata: Metadata, wanted: Mapping[str, tuple[bool, str]]) -> bool:
    values = {"metadata.name": metadata.name, "metadata.namespace": metadata.namespace}
    return all((values.get(field, "") == value) is must for field, (must, value) in wanted.items())


def _as_table(request: web.Request) -> bool:
    return "as=Table" in request.headers.get("Accept", "")


def _table(found: Sequence[Measured]) -> Thing:
    """What `kubectl get` prints of it: the columns that metrics-server gives."""
    columns = [
        {"name": "Name", "type": "string", "format": "name", "description": "Name of the resource", "priority": 0}
    ]
    columns += [
        {"name": name, "type": "string", "format": kind, "description": "", "priority": 0}
        for name, kind in (("cpu", "quantity"), ("memory", "quantity"), ("Window", "duration"))
    ]
    rows = [
        {
            "cells": [
                one.metadata.name,
                one.total.quantities["cpu"],
                one.total.quantities["memory"],
                _duration(one.total.window),
            ],
            "object": {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": one.thing["metadata"],
            },
        }
        for one in found
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": columns if rows else [],
        "rows": rows,
    }


@asynccontextmanager
async def serving(service: Service, pair: Pair, *, host: str, port: int) -> AsyncIterator[None]:
    """Serve over TLS. OSError if the address cannot be had."""
    runner = web.AppRunner(service.application(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=_showing(pair)).start()
        yield
    finally:
        await runner.cleanup()


def _showing(pair: Pair) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.NamedTemporaryFile("w") as file:  # the library takes a certificate from files only
        file.write(pair.certificate + pair.key)
        file.flush()
        context.load_cert_chain(file.name)
    return context
