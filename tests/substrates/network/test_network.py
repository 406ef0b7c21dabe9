import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import msgspec
import pytest

from harness.clock import now, until
from harness.errors import SubstrateError
from harness.model.units import SECOND
from harness.substrates.network import enforcement
from harness.substrates.network.api import Api
from harness.substrates.network.program import Settings, network
from tests.substrates.network.control_plane import KUBECONFIG, api_server, change, create, delete, programs, set_status
from tests.substrates.network.stage import in_namespaces, pod
from tests.substrates.network.test_links import asked, server_in
from tests.substrates.network.things import endpoint, meta

NAMESPACE = "/api/v1/namespaces/prod"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/prod/endpointslices"


@asynccontextmanager
async def up(hosts: Path) -> AsyncIterator[Api]:
    programs()
    settings = Settings(kubeconfig=KUBECONFIG, cluster_dns="10.96.0.10", domain="cluster.local", hosts=hosts)
    async with api_server() as server:
        await create(server, "/api/v1/namespaces", {"metadata": {"name": "prod"}})
        await create(server, f"{NAMESPACE}/serviceaccounts", {"metadata": {"name": "default"}})
        async with network(settings) as failing:
            yield server
            assert not failing.done()


async def serve(server: Api, name: str, *addresses: str, ready: bool = True, **spec: object) -> str:
    """A Service and its endpoints, as the controllers would have made them; its address."""
    ports = [{"port": 80, "targetPort": 8000}]
    made = await create(server, f"{NAMESPACE}/services", {"metadata": {"name": name}, "spec": {"ports": ports, **spec}})
    await create(server, SLICES, endpoints_of(name, *addresses, ready=ready))
    return made["spec"].get("clusterIP", "")


def endpoints_of(name: str, *addresses: str, ready: bool = True) -> dict[str, object]:
    return {
        "metadata": {**meta(f"{name}-1"), "labels": {"kubernetes.io/service-name": name}, "resourceVersion": ""},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 8000, "protocol": "TCP"}],
        "endpoints": [endpoint(address, ready=ready) for address in addresses],
    }


def resolved(name: str) -> str:
    """The address of a name, or why there is none, asked from where the caller's thread is."""
    response = dns.query.udp(dns.message.make_query(name, "A"), "10.96.0.10", timeout=2)
    return response.answer[-1][0].to_text() if response.answer else dns.rcode.to_text(response.rcode())


async def soon(answer, expected: object, *, within: float = 5) -> float:
    """Seconds until it is given."""
    begun = now()

    async def given() -> bool | None:
        return True if await answer() == expected else None

    assert await until(given, deadline=begun + round(within * SECOND), every=SECOND // 100), await answer()
    return (now() - begun) / SECOND


@in_namespaces
async def test_pods_find_a_service_by_its_name_and_it_follows_its_endpoints(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("10.0.1.1 db.prod.internal\n")
    async with up(hosts) as server:
        with pod("10.244.0.2") as one, pod("10.244.0.3") as other, pod("10.244.0.4") as client:
            server_in(one, 8000, "one sees ")
            server_in(other, 8000, "other sees ")

            def through() -> str:
                address = resolved("api.prod.svc.cluster.local")
                return asked(address, 80) if address[0].isdigit() else address

            async def now_asked() -> str:
                return await client.running(through)

            address = await serve(server, "api", "10.244.0.2")
            await soon(now_asked, "one sees 10.244.0.4")
            assert await client.running(lambda: resolved("api.prod.svc.cluster.local")) == address
            assert await client.running(lambda: resolved("db.prod.internal")) == "10.0.1.1"
            assert await client.running(lambda: resolved("example.com")) == "NXDOMAIN"

            await change(server, f"{SLICES}/api-1", endpoints_of("api", "10.244.0.3"))
            assert await soon(now_asked, "other sees 10.244.0.4") < 1
            await change(server, f"{SLICES}/api-1", endpoints_of("api", "10.244.0.3", ready=False))
            assert await soon(now_asked, "ECONNREFUSED") < 1
            await change(server, f"{SLICES}/api-1", endpoints_of("api", "10.244.0.3"))
            assert await soon(now_asked, "other sees 10.244.0.4") < 1
            await delete(server, f"{NAMESPACE}/services/api")
            assert await soon(lambda: client.running(lambda: resolved("api.prod.svc.cluster.local")), "NXDOMAIN") < 1
            assert await client.running(lambda: asked(address, 80)) == "ECONNREFUSED"

            hosts.write_text("10.0.1.2 db.prod.internal\n")
            assert await client.running(lambda: resolved("db.prod.internal")) == "10.0.1.2"


@in_namespaces
async def test_the_api_server_is_reached_from_pods_by_its_service(tmp_path: Path) -> None:
    async with up(tmp_path / "none"):
        with pod("10.244.0.2") as client:

            def reached() -> str:
                address = resolved("kubernetes.default.svc.cluster.local")
                if address != "10.96.0.1":
                    return address
                try:
                    with socket.create_connection((address, 443), timeout=1):
                        return "reached"
                except OSError as error:
                    return str(error)

            await soon(lambda: client.running(reached), "reached")


@in_namespaces
async def test_a_headless_service_leads_to_its_pods_by_their_names(tmp_path: Path) -> None:
    async with up(tmp_path / "none") as server:
        await serve(server, "db", clusterIP="None")
        made = endpoints_of("db")
        made["endpoints"] = [endpoint("10.244.0.7", hostname="db-0"), endpoint("10.244.0.8", hostname="db-1")]
        await change(server, f"{SLICES}/db-1", made)
        await soon(lambda: asyncio.to_thread(resolved, "db-1.db.prod.svc.cluster.local"), "10.244.0.8")
        assert await asyncio.to_thread(resolved, "db-2.db.prod.svc.cluster.local") == "NXDOMAIN"


@in_namespaces
async def test_a_kubeconfig_that_is_none_is_told_of_with_what_was_expected(tmp_path: Path) -> None:
    file = tmp_path / "config"
    for text in ("apiVersion: v1\n", "{}", '{"clusters": [], "users": [], "contexts": [], "current-context": "x"}'):
        file.write_text(text)
        settings = Settings(kubeconfig=file, cluster_dns="10.96.0.10", domain="cluster.local", hosts=file)
        with pytest.raises(SubstrateError, match=r"config: expected a kubeconfig in JSON.*client certificate"):
            async with network(settings):
                pass


@in_namespaces
async def test_policies_hold_for_pods_services_names_and_what_is_outside(tmp_path: Path) -> None:
    async with up(tmp_path / "none") as server:
        with pod("10.244.0.2") as web, pod("10.244.0.3") as trusted, pod("10.244.0.4") as stranger:
            server_in(web, 8000, "web sees ")
            server_in(web, 9000, "web sees ")
            server_in(stranger, 8000, "stranger sees ")
            database = await asyncio.to_thread(socket.create_server, ("10.0.1.7", 5432))
            address = await serve(server, "api", "10.244.0.2")
            await known(server, "web", "10.244.0.2", app="api")
            await known(server, "trusted", "10.244.0.3", role="trusted")
            await known(server, "stranger", "10.244.0.4")
            await soon(lambda: trusted.running(lambda: asked(address, 80)), "web sees 10.244.0.3")

            trusts = {"from": [{"podSelector": {"matchLabels": {"role": "trusted"}}}], "ports": [{"port": 8000}]}
            await restrict(server, "into", podSelector={"matchLabels": {"app": "api"}}, ingress=[trusts])
            await soon(lambda: stranger.running(lambda: asked(address, 80, 0.3)), "TimeoutError")
            assert await stranger.running(lambda: asked("10.244.0.2", 8000, 0.3)) == "TimeoutError"
            assert await trusted.running(lambda: asked(address, 80)) == "web sees 10.244.0.3"
            assert await trusted.running(lambda: asked("10.244.0.2", 8000)) == "web sees 10.244.0.3"
            assert await trusted.running(lambda: asked("10.244.0.2", 9000, 0.3)) == "TimeoutError"
            assert await asyncio.to_thread(asked, "10.244.0.2", 9000) == "web sees 10.0.0.1"
            assert await web.running(lambda: asked("10.244.0.4", 8000)) == "stranger sees 10.244.0.2"
            assert await web.running(lambda: asked(address, 80)) == "web sees 10.0.0.1"
            assert await web.running(lambda: resolved("api.prod.svc.cluster.local")) == address

            await restrict(server, "out", podSelector={"matchLabels": {"app": "api"}}, policyTypes=["Egress"])
            await soon(lambda: web.running(lambda: asked("10.244.0.4", 8000, 0.3)), "TimeoutError")
            assert await web.running(lambda: asked("10.0.1.7", 5432, 0.3)) == "TimeoutError"
            assert await web.running(unresolved) == "Timeout"
            assert await trusted.running(lambda: asked(address, 80)) == "web sees 10.244.0.3"

            for name in ("into", "out"):
                await delete(server, f"{POLICIES}/{name}")
            await soon(lambda: stranger.running(lambda: asked(address, 80, 0.3)), "web sees 10.244.0.4")
            assert await web.running(lambda: resolved("api.prod.svc.cluster.local")) == address
            database.close()


def unresolved() -> str:
    try:
        return dns.query.udp(
            dns.message.make_query("api.prod.svc.cluster.local", "A"), "10.96.0.10", timeout=0.3
        ).to_text()
    except dns.exception.Timeout:
        return "Timeout"


POLICIES = "/apis/networking.k8s.io/v1/namespaces/prod/networkpolicies"


async def restrict(server: Api, name: str, **spec: object) -> None:
    await create(server, POLICIES, {"metadata": {"name": name}, "spec": spec})


async def known(server: Api, name: str, address: str, **labels: str) -> None:
    """A pod of the API server's that has that address."""
    spec = {"containers": [{"name": "main", "image": "demo/app:1.0"}]}
    await create(server, f"{NAMESPACE}/pods", {"metadata": {"name": name, "labels": labels}, "spec": spec})
    await set_status(
        server, f"{NAMESPACE}/pods/{name}", {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
    )


@in_namespaces
async def test_a_policy_that_cannot_be_kept_is_refused_with_the_reason(tmp_path: Path) -> None:
    async with up(tmp_path / "none") as server:

        async def answer() -> str:
            ports = [{"ports": [{"port": 8000}, {"port": 52000}]}]
            thing = {"metadata": {"name": "p"}, "spec": {"podSelector": {}, "ingress": ports}}
            status, body = await server.request("POST", f"{POLICIES}?dryRun=All", body=msgspec.json.encode(thing))
            return f"{status} " + str(msgspec.json.decode(body).get("message", "")).rpartition("denied request: ")[2]

        await soon(answer, f"422 {enforcement.REFUSED}")
        for port in ({"port": 51999}, {"port": 1, "endPort": 65535}, {"port": "http"}, {}):
            await restrict(server, f"p{len(port)}{port.get('port', '')}", podSelector={}, egress=[{"ports": [port]}])


@in_namespaces
async def test_a_port_that_a_pod_has_on_its_node_leads_to_it(tmp_path: Path) -> None:
    async with up(tmp_path / "none") as server:
        with pod("10.244.0.2") as web, pod("10.244.0.3") as client:
            server_in(web, 8000, "web sees ")
            ports = [{"containerPort": 8000, "hostPort": 8080}]
            spec = {"containers": [{"name": "main", "image": "demo/app:1.0", "ports": ports}]}
            await create(server, f"{NAMESPACE}/pods", {"metadata": {"name": "web"}, "spec": spec})
            where = {
                "podIP": "10.244.0.2",
                "podIPs": [{"ip": "10.244.0.2"}],
                "hostIP": "10.0.0.1",
                "hostIPs": [{"ip": "10.0.0.1"}],
            }
            await set_status(server, f"{NAMESPACE}/pods/web", {"phase": "Running", **where})
            await soon(lambda: client.running(lambda: asked("10.0.0.1", 8080)), "web sees 10.244.0.3")
            await delete(server, f"{NAMESPACE}/pods/web?gracePeriodSeconds=0")
            assert await soon(lambda: client.running(lambda: asked("10.0.0.1", 8080)), "ECONNREFUSED") < 1
