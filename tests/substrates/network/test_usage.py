import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from harness.substrates.local.kubernetes import control_plane, places
from harness.substrates.network import metrics, selecting
from harness.substrates.network.objects import World
from harness.substrates.network.policy import selects
from harness.substrates.network.usage import History, Sample, Subject, read
from tests.substrates.network.control_plane import create, set_status
from tests.substrates.network.stage import in_namespaces
from tests.substrates.network.test_network import soon, up
from tests.substrates.network.things import namespace, node, pod

ANSWER = """\
# HELP container_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the container in core-seconds
# TYPE container_cpu_usage_seconds_total counter
container_cpu_usage_seconds_total{container="app",namespace="prod",pod="api-1"} %s 1795269562713
container_cpu_usage_seconds_total{container="sidecar",namespace="prod",pod="api-1"} 0.5 1795269562714
# HELP container_memory_working_set_bytes [STABLE] Current working set of the container in bytes
# TYPE container_memory_working_set_bytes gauge
container_memory_working_set_bytes{container="app",namespace="prod",pod="api-1"} 1.048576e+06 1795269562713
container_memory_working_set_bytes{container="sidecar",namespace="prod",pod="api-1"} 2048 1795269562714
# TYPE container_start_time_seconds gauge
container_start_time_seconds{container="app",namespace="prod",pod="api-1"} 1.7952695460539768e+09
# TYPE node_cpu_usage_seconds_total counter
node_cpu_usage_seconds_total 5586.916096998 1795269558898
# TYPE node_memory_working_set_bytes gauge
node_memory_working_set_bytes 5.513138176e+09 1795269558898
# TYPE pod_cpu_usage_seconds_total counter
pod_cpu_usage_seconds_total{namespace="prod",pod="api-1"} 0.57 1795269562713
# TYPE resource_scrape_error gauge
resource_scrape_error 0
"""

APP = Subject("n", "prod", "api-1", "app")


def test_a_kubelets_answer_is_read() -> None:
    found = read(ANSWER % "0.07", "n")
    assert found == {
        APP: Sample(1795269562.713, 0.07, 1048576),
        Subject("n", "prod", "api-1", "sidecar"): Sample(1795269562.714, 0.5, 2048),
        Subject("n"): Sample(1795269558.898, 5586.916096998, 5513138176),
    }


@pytest.mark.parametrize("text", ["container_cpu_usage_seconds_total{", "node_cpu_usage_seconds_total one"])
def test_what_is_no_answer_is_told_apart(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(text, "n")


def taken(*samples: tuple[float, float], history: History | None = None) -> History:
    history = history or History()
    for at, cpu in samples:
        history.take("n", {APP: Sample(at, cpu, 1000)})
    return history


def test_use_is_known_from_the_second_sample_on() -> None:
    assert taken((100, 1)).usage(APP) is None
    assert taken((100, 1), (100, 1)).usage(APP) is None
    assert taken((100, 1), (100.5, 1)).usage(APP) is None
    usage = taken((100, 1), (104, 2)).usage(APP)
    assert usage
    assert (usage.cpu, usage.window, usage.at) == (0.25, 4, 104)
    assert usage.quantities == {"cpu": "250000000n", "memory": "1Ki"}


def test_use_is_that_of_the_last_quarter_of_a_minute() -> None:
    usage = taken(*((100 + 3 * n, 0) for n in range(20)), (160, 3), (163, 6), (166, 9), (169, 12), (172, 15)).usage(APP)
    assert usage
    assert (usage.cpu, usage.window) == (1.0, 15)


def test_a_container_that_was_started_anew_begins_anew() -> None:
    history = taken((100, 50), (103, 53), (106, 0.1))
    assert history.usage(APP) is None
    assert taken((109, 3.1), history=history).usage(APP).cpu == pytest.approx(1.0)


def test_what_a_node_is_silent_of_is_forgotten_and_so_are_nodes_that_are_gone() -> None:
    history = taken((100, 1), (103, 1))
    other = Subject("m", "prod", "b", "app")
    for at in (100, 103):
        history.take("m", {other: Sample(at, 1, 1)})
    history.take("n", {})
    assert history.usage(APP) is None
    assert history.usage(other)
    history.forget(["n"])
    assert history.usage(other) is None


def test_a_pod_is_known_once_all_of_its_containers_are() -> None:
    history, sidecar = History(), Subject("n", "prod", "api-1", "sidecar")
    history.take("n", {APP: Sample(100, 1, 1)})
    history.take("n", {APP: Sample(103, 1, 1), sidecar: Sample(103, 1, 1)})
    assert not list(history.pods())
    history.take("n", {APP: Sample(106, 1, 1), sidecar: Sample(106, 1, 1)})
    ((space, name, containers),) = history.pods()
    assert (space, name, sorted(containers)) == ("prod", "api-1", ["app", "sidecar"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {"web", "db", "bare"}),
        ("app=web", {"web"}),
        ("app==web,tier=front", {"web"}),
        ("app!=web", {"db", "bare"}),
        ("app", {"web", "db"}),
        ("!app", {"bare"}),
        ("app in (web, db),tier notin (front)", {"db"}),
        ("app in (web),tier", {"web"}),
        ("tier=", set()),
    ],
)
def test_label_selectors_of_requests_select_as_in_kubernetes(text: str, found: set[str]) -> None:
    things = {"web": {"app": "web", "tier": "front"}, "db": {"app": "db"}, "bare": {}}
    assert {name for name, labels in things.items() if selects(selecting.labels(text), labels)} == found


@pytest.mark.parametrize("text", ["app in web", "a=b=c", "=x", "app in (x", ",", "a b"])
def test_what_is_no_selector_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="unable to parse"):
        selecting.labels(text)


WORLD = World(
    pods=(
        pod("api-1", "10.244.0.2", app="api"),
        pod("new", "10.244.0.3", app="api"),
        pod("done", "10.244.0.4", phase="Succeeded"),
        pod("api-1", "10.244.0.5", namespace="dev", app="api"),
    ),
    namespaces=(namespace("prod"), namespace("dev")),
    nodes=(node("one"), node("two")),
)


def known() -> History:
    history = History()
    for at, cpu in ((100.0, 1.0), (110.0, 2.5)):
        containers = {
            Subject("one", space, name, container): Sample(at, cpu, 2048 * 1024)
            for space, name, container in (
                *(("prod", "api-1", "app"), ("prod", "api-1", "sidecar")),
                *(("prod", "done", "app"), ("dev", "api-1", "app")),
            )
        }
        history.take("one", containers | {Subject("one"): Sample(at, 10 * cpu, 1 << 30)})
    return history


@asynccontextmanager
async def asked() -> AsyncIterator[Any]:
    async with TestClient(TestServer(metrics.Service(lambda: WORLD, known()).application())) as client:

        async def ask(path: str, *, table: bool = False, **query: str) -> Any:
            accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json" if table else "application/json"
            async with client.get(metrics.ROOT + path, params=query, headers={"Accept": accept}) as response:
                return {"status": response.status, **json.loads(await response.read())}

        yield ask


def names(answer: Any) -> list[str]:
    return [f"{one['metadata'].get('namespace', '')}/{one['metadata']['name']}" for one in answer["items"]]


async def test_pods_that_run_are_listed_with_what_their_containers_use() -> None:
    async with asked() as ask:
        answer = await ask("/pods")
        assert answer["kind"] == "PodMetricsList"
        assert names(answer) == ["dev/api-1", "prod/api-1"]
        one = answer["items"][1]
        assert set(one) == {"metadata", "timestamp", "window", "containers"}
        assert one["timestamp"] == "1970-01-01T00:01:50Z"
        assert one["window"] == "10s"
        assert one["containers"] == [
            {"name": name, "usage": {"cpu": "150000000n", "memory": "2048Ki"}} for name in ("app", "sidecar")
        ]
        assert names(await ask("/namespaces/prod/pods")) == ["prod/api-1"]
        assert names(await ask("/namespaces/nowhere/pods")) == []
        assert names(await ask("/pods", labelSelector="app=other")) == []
        assert names(await ask("/pods", fieldSelector="metadata.namespace!=dev")) == ["prod/api-1"]
        alone = await ask("/namespaces/prod/pods/api-1")
        assert (alone["kind"], alone["containers"]) == ("PodMetrics", one["containers"])


async def test_nodes_are_listed_with_what_they_use() -> None:
    async with asked() as ask:
        answer = await ask("/nodes")
        assert names(answer) == ["/one"]
        assert answer["items"][0]["usage"] == {"cpu": "1500000000n", "memory": "1048576Ki"}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/namespaces/prod/pods/missing", 'pods "missing" not found'),
        ("/namespaces/prod/pods/new", 'podmetrics.metrics.k8s.io "prod/new" not found'),
        ("/nodes/missing", 'nodes "missing" not found'),
        ("/nodes/two", 'nodemetrics.metrics.k8s.io "two" not found'),
    ],
)
async def test_what_is_not_there_is_told_apart_from_what_is_not_known_yet(path: str, message: str) -> None:
    async with asked() as ask:
        answer = await ask(path)
        assert (answer["code"], answer["reason"], answer["message"]) == (404, "NotFound", message)


async def test_tables_have_the_columns_that_metrics_server_gives() -> None:
    async with asked() as ask:
        answer = await ask("/namespaces/prod/pods", table=True)
        assert [column["name"] for column in answer["columnDefinitions"]] == ["Name", "cpu", "memory", "Window"]
        assert [row["cells"] for row in answer["rows"]] == [["api-1", "300000000n", "4096Ki", "10s"]]
        assert answer["rows"][0]["object"]["metadata"]["namespace"] == "prod"


async def test_a_selector_that_is_none_is_a_bad_request() -> None:
    async with asked() as ask:
        answer = await ask("/pods", labelSelector="a b c")
        assert (answer["code"], answer["reason"]) == (400, "BadRequest")
        assert (await ask("/pods", fieldSelector="x"))["code"] == 400


@asynccontextmanager
async def kubelet(address: str) -> AsyncIterator[None]:
    """What the API server takes for one: it shows a kubelet's certificate, and its containers use half a processor."""
    loop = asyncio.get_running_loop()
    begun = loop.time()

    async def resource(_: web.Request) -> web.Response:
        passed = loop.time() - begun
        text = ANSWER % f"{passed / 2}"
        for at in (1795269562713, 1795269562714, 1795269558898):
            text = text.replace(str(at), str(at + round(passed * 1000)))
        return web.Response(text=text)

    app = web.Application()
    app.router.add_get("/metrics/resource", resource)
    runner = web.AppRunner(app)
    await runner.setup()
    trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    folder = places.nodes(0)[0].root
    trust.load_cert_chain(f"{folder}/pki/kubelet.crt", f"{folder}/pki/kubelet.key")
    try:
        await web.TCPSite(runner, address, places.KUBELET_PORT, ssl_context=trust).start()
        yield
    finally:
        await runner.cleanup()


@in_namespaces
async def test_the_api_server_hands_on_what_kubelets_say(tmp_path: Path) -> None:
    one = places.nodes(0)[0]
    async with up(tmp_path / "none") as server, kubelet(one.address):
        await create(server, "/api/v1/nodes", control_plane.node_object(one))
        ends = {"kubeletEndpoint": {"Port": places.KUBELET_PORT}}
        addresses = [{"type": "InternalIP", "address": one.address}]
        await set_status(server, f"/api/v1/nodes/{one.name}", {"addresses": addresses, "daemonEndpoints": ends})
        made = {"containers": [{"name": name, "image": "demo/app:1.0"} for name in ("app", "sidecar")]}
        await create(server, "/api/v1/namespaces/prod/pods", {"metadata": {"name": "api-1"}, "spec": made})
        await set_status(server, "/api/v1/namespaces/prod/pods/api-1", {"phase": "Running", "podIP": "10.244.0.2"})

        async def listed(path: str) -> list[str]:
            status, body = await server.request("GET", f"{metrics.ROOT}{path}")
            return names(json.loads(body)) if status == 200 else []

        assert await soon(lambda: listed("/pods"), ["prod/api-1"], within=20) < 12
        status, body = await server.request("GET", f"{metrics.ROOT}/namespaces/prod/pods/api-1")
        assert status == 200
        app, sidecar = json.loads(body)["containers"]
        assert 450e6 < int(app["usage"]["cpu"].removesuffix("n")) < 550e6
        assert sidecar["usage"] == {"cpu": "0n", "memory": "2Ki"}
        assert await listed("/nodes") == [f"/{one.name}"]
        status, body = await server.request("GET", "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io")
        (condition,) = json.loads(body)["status"]["conditions"]
        assert (condition["type"], condition["status"]) == ("Available", "True")
