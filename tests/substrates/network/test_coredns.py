"""Our name server and CoreDNS, asked the same about the same cluster: what they answer must be the same."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from harness.substrates.network.api import Api
from tests.substrates.network.control_plane import DIE_WITH_ME, KUBECONFIG, create, programs
from tests.substrates.network.stage import in_namespaces
from tests.substrates.network.test_network import NAMESPACE, SLICES, soon, up
from tests.substrates.network.things import endpoint, meta

PORT = 1053
COREFILE = """\
.:%d {
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        kubeconfig %s
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
}
"""

SERVICES: dict[str, dict[str, Any]] = {
    "api": {
        "clusterIP": "10.96.5.1",
        "ports": [{"name": "http", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}],
    },
    "idle": {"clusterIP": "10.96.5.2", "ports": [{"port": 80}]},
    "db": {"clusterIP": "None", "ports": [{"name": "pg", "port": 5432}]},
    "early": {"clusterIP": "None", "publishNotReadyAddresses": True, "ports": [{"port": 80}]},
    "nobody": {"clusterIP": "None", "ports": [{"port": 80}]},
    "bare": {"clusterIP": "None"},
    "payments": {"type": "ExternalName", "externalName": "api.stripe.example"},
    "alias": {"type": "ExternalName", "externalName": "api.prod.svc.cluster.local"},
}
ENDPOINTS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "api": (
        [endpoint("10.244.0.5"), endpoint("10.244.0.6")],
        [{"name": "http", "port": 8000, "protocol": "TCP"}, {"name": "dns", "port": 5353, "protocol": "UDP"}],
    ),
    "db": (
        [
            endpoint("10.244.0.7", hostname="db-0"),
            endpoint("10.244.0.8", hostname="db-1"),
            endpoint("10.244.0.9"),
            endpoint("10.244.0.10", ready=False, hostname="db-2"),
        ],
        [{"name": "pg", "port": 5432, "protocol": "TCP"}],
    ),
    "early": ([endpoint("10.244.0.11", hostname="early-0")], [{"name": "", "port": 80, "protocol": "TCP"}]),
    "bare": ([endpoint("10.244.0.12", hostname="bare-0")], []),
}

HERE = "prod.svc.cluster.local"
NAMES = (
    *(f"{name}.{HERE}" for name in (*SERVICES, "gone", "x.y.z.api", "a.b.api")),
    *(f"{name}.{HERE}" for name in ("db-0.db", "db-2.db", "10-244-0-9.db", "early-0.early", "bare-0.bare", "x.idle")),
    *(f"{name}.{HERE}" for name in ("10-244-0-5.api", "x.payments", "a.b.payments")),
    *(f"{name}.{HERE}" for name in ("_http._tcp.api", "_dns._udp.api", "_dns._tcp.api", "_pg._tcp.db", "http.tcp.api")),
    *(f"{name}.{HERE}" for name in ("_x._tcp.db", "_http._tcp.gone", "_http._tcp.idle")),
    *("cluster.local", "svc.cluster.local", "pod.cluster.local", "dns.cluster.local", "x.cluster.local"),
    *("prod.svc.cluster.local", "gone.svc.cluster.local", "api.gone.svc.cluster.local", "API.Prod.SVC.Cluster.Local"),
    *("10-244-0-9.prod.pod.cluster.local", "10-244-0-999.prod.pod.cluster.local", "10-244-0-9.gone.pod.cluster.local"),
    *(
        "prod.pod.cluster.local",
        "gone.pod.cluster.local",
        "x.prod.pod.cluster.local",
        "a.10-244-0-9.prod.pod.cluster.local",
    ),
    *(
        "kubernetes.default.svc.cluster.local",
        "api.prod.svc.prod.svc.cluster.local",
        "db.prod.internal.svc.cluster.local",
    ),
)
KINDS = ("A", "AAAA", "SRV", "CNAME", "MX")
"""Not those for which CoreDNS has oddities of its own: SOA (never NXDOMAIN), TXT (NXDOMAIN for namespaces), NS (of itself)."""

REVERSE = ("1.5.96.10", "7.0.244.10", "9.0.244.10", "12.0.244.10", "5.0.244.10")


def said(name: str, kind: str, server: str, port: int) -> object:
    """All that matters of an answer."""
    try:
        response = dns.query.udp(dns.message.make_query(name, kind), server, port=port, timeout=1)
    except (dns.exception.Timeout, OSError):
        return "no answer"

    def texts(section: Any) -> list[str]:
        both = [(one, item) for one in section for item in one]
        return sorted(f"{one.name} {one.ttl} {dns.rdatatype.to_text(one.rdtype)} {item}".lower() for one, item in both)

    authority = [(one.name.to_text(), one.ttl, dns.rdatatype.to_text(one.rdtype)) for one in response.authority]
    code = dns.rcode.to_text(response.rcode())
    aa = bool(response.flags & dns.flags.AA)
    return code, aa, texts(response.answer), authority, texts(response.additional)


@asynccontextmanager
async def coredns(folder: Path) -> AsyncIterator[None]:
    program = programs()["etcd"].with_name("coredns")
    if not program.exists():
        pytest.skip(f"{program}: no CoreDNS beside Kubernetes' programs")
    file = folder / "Corefile"
    file.write_text(COREFILE % (PORT, KUBECONFIG))
    with started((program, "-conf", file)) as process:
        try:
            await knows("127.0.0.1", PORT)
            yield
        finally:
            process.kill()


def started(argv: tuple[Path | str, ...]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen((*DIE_WITH_ME, *argv), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


async def knows(server: str, port: int) -> None:
    """Return when it has seen the last thing that was made."""

    async def seen() -> str:
        return str(await asyncio.to_thread(said, f"bare-0.bare.{HERE}", "A", server, port))[2:9]

    await soon(seen, "NOERROR", within=15)


async def furnish(server: Api) -> None:
    for name, spec in SERVICES.items():
        await create(server, f"{NAMESPACE}/services", {"metadata": {"name": name}, "spec": spec})
    for name, (found, ports) in ENDPOINTS.items():
        labels = {"kubernetes.io/service-name": name}
        labels |= {"service.kubernetes.io/headless": ""} if SERVICES[name]["clusterIP"] == "None" else {}
        metadata = {**meta(f"{name}-1"), "labels": labels, "resourceVersion": ""}
        await create(server, SLICES, {"metadata": metadata, "addressType": "IPv4", "ports": ports, "endpoints": found})


@in_namespaces
async def test_all_that_is_asked_of_both_is_answered_the_same(tmp_path: Path) -> None:
    async with up(tmp_path / "none") as server:
        await furnish(server)
        await knows("10.96.0.10", 53)
        async with coredns(tmp_path):

            def compare() -> list[str]:
                pods = "pod.cluster.local"  # SRV of a pod leads to port 0 there
                asked = [(name, kind) for name in NAMES for kind in KINDS if kind != "SRV" or not name.endswith(pods)]
                asked += [(f"{one}.in-addr.arpa", "PTR") for one in REVERSE]
                both = [(one, said(*one, "10.96.0.10", 53), said(*one, "127.0.0.1", PORT)) for one in asked]
                return [f"{one}: ours {ours}, CoreDNS's {theirs}" for one, ours, theirs in both if ours != theirs]

            different = await asyncio.to_thread(compare)
            assert not different, "\n".join(different)
