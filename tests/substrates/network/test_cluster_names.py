import asyncio
import socket

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.substrates.network import name_server, names
from harness.substrates.network.objects import World
from tests.substrates.network.things import endpoint, endpoints, namespace, service

HOSTS = """
127.0.0.1 localhost rundrill
10.0.1.1  orders-db.prod.svc db.prod.internal  # PostgreSQL
10.0.1.2  DB.prod.internal
fd00::1   six.internal
"""

WORLD = World(
    namespaces=(namespace("prod"), namespace("empty")),
    services=(
        service(
            "api", "10.96.1.1", ports=[{"name": "http", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}]
        ),
        service("idle", "10.96.1.2"),
        service("db", "None", ports=[{"name": "pg", "port": 5432}]),
        service("nobody", "None"),
        service("payments", "", type="ExternalName", externalName="api.stripe.example"),
        service("orders", "", type="ExternalName", externalName="db.prod.internal."),
        service("alias", "", type="ExternalName", externalName="api.prod.svc.cluster.local"),
    ),
    slices=(
        endpoints("api", endpoint("10.244.0.5"), ports=[{"name": "http", "port": 8000, "protocol": "TCP"}]),
        endpoints(
            "db",
            endpoint("10.244.0.7", hostname="db-0"),
            endpoint("10.244.0.8", hostname="db-1"),
            endpoint("10.244.0.9"),
            endpoint("10.244.0.10", ready=False, hostname="db-2"),
            ports=[{"name": "pg", "port": 5432, "protocol": "TCP"}],
        ),
        endpoints("nobody"),
    ),
)
NAMES = names.of(WORLD, domain="cluster.local", server="10.96.0.10", hosts=names.hosts(HOSTS))


def ask(name: str, kind: str = "A", **more: object) -> dns.message.Message:
    query = dns.message.make_query(name, kind, **more)
    said = name_server.answer(query.to_wire(), NAMES, datagram=True)
    assert said is not None
    response = dns.message.from_wire(said)
    assert query.is_response(response)
    return response


def said(name: str, kind: str = "A") -> object:
    """The answers' texts; NXDOMAIN where there is no such name."""
    response = ask(name, kind)
    if response.rcode() != dns.rcode.NOERROR:
        return dns.rcode.to_text(response.rcode())
    return sorted(f"{dns.rdatatype.to_text(one.rdtype)} {item}" for one in response.answer for item in one)


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("api.prod.svc.cluster.local", "A", ["A 10.96.1.1"]),
        ("API.Prod.SVC.cluster.local", "A", ["A 10.96.1.1"]),
        ("api.prod.svc.cluster.local", "AAAA", []),
        ("api.prod.svc.cluster.local", "TXT", []),
        ("idle.prod.svc.cluster.local", "A", ["A 10.96.1.2"]),
        ("gone.prod.svc.cluster.local", "A", "NXDOMAIN"),
        ("api.gone.svc.cluster.local", "A", "NXDOMAIN"),
        ("api.prod.cluster.local", "A", "NXDOMAIN"),
        ("api", "A", "NXDOMAIN"),
        ("prod.svc.cluster.local", "A", []),
        ("gone.svc.cluster.local", "A", "NXDOMAIN"),
        ("svc.cluster.local", "A", []),
        ("cluster.local", "A", []),
        ("dns.cluster.local", "A", "NXDOMAIN"),
        ("alias.prod.svc.cluster.local", "AAAA", []),
        ("alias.prod.svc.cluster.local", "MX", []),
        ("a.b.alias.prod.svc.cluster.local", "A", "NXDOMAIN"),
        ("x.10-244-0-9.prod.pod.cluster.local", "A", ["A 10.244.0.9"]),
        ("ns.dns.cluster.local", "A", ["A 10.96.0.10"]),
        ("db.prod.svc.cluster.local", "A", ["A 10.244.0.7", "A 10.244.0.8", "A 10.244.0.9"]),
        ("db-0.db.prod.svc.cluster.local", "A", ["A 10.244.0.7"]),
        ("db-2.db.prod.svc.cluster.local", "A", "NXDOMAIN"),
        ("10-244-0-9.db.prod.svc.cluster.local", "A", ["A 10.244.0.9"]),
        ("nobody.prod.svc.cluster.local", "A", "NXDOMAIN"),
        ("10-244-0-9.prod.pod.cluster.local", "A", ["A 10.244.0.9"]),
        ("10-244-0-999.prod.pod.cluster.local", "A", "NXDOMAIN"),
        ("10-244-0-9.gone.pod.cluster.local", "A", "NXDOMAIN"),
        ("_http._tcp.api.prod.svc.cluster.local", "SRV", ["SRV 0 100 80 api.prod.svc.cluster.local."]),
        ("_dns._udp.api.prod.svc.cluster.local", "SRV", ["SRV 0 100 53 api.prod.svc.cluster.local."]),
        ("_dns._tcp.api.prod.svc.cluster.local", "SRV", "NXDOMAIN"),
        ("_http._tcp.api.prod.svc.cluster.local", "A", ["A 10.96.1.1"]),
        (
            "_pg._tcp.db.prod.svc.cluster.local",
            "SRV",
            [
                "SRV 0 33 5432 10-244-0-9.db.prod.svc.cluster.local.",
                "SRV 0 33 5432 db-0.db.prod.svc.cluster.local.",
                "SRV 0 33 5432 db-1.db.prod.svc.cluster.local.",
            ],
        ),
        ("payments.prod.svc.cluster.local", "A", ["CNAME api.stripe.example."]),
        ("payments.prod.svc.cluster.local", "CNAME", ["CNAME api.stripe.example."]),
        ("orders.prod.svc.cluster.local", "A", ["A 10.0.1.1", "A 10.0.1.2", "CNAME db.prod.internal."]),
        ("alias.prod.svc.cluster.local", "A", ["A 10.96.1.1", "CNAME api.prod.svc.cluster.local."]),
        ("orders-db.prod.svc", "A", ["A 10.0.1.1"]),
        ("orders-db.prod.svc", "AAAA", []),
        ("localhost", "A", "NXDOMAIN"),
        ("six.internal", "A", "NXDOMAIN"),
        ("example.com", "A", "NXDOMAIN"),
        ("1.1.96.10.in-addr.arpa", "PTR", ["PTR api.prod.svc.cluster.local."]),
        ("7.0.244.10.in-addr.arpa", "PTR", ["PTR db-0.db.prod.svc.cluster.local."]),
        ("1.1.0.10.in-addr.arpa", "PTR", ["PTR db.prod.internal.", "PTR orders-db.prod.svc."]),
        ("9.9.9.9.in-addr.arpa", "PTR", "NXDOMAIN"),
        ("244.10.in-addr.arpa", "PTR", "NXDOMAIN"),
    ],
)
def test_a_name_leads_where_it_does_in_a_cluster(name: str, kind: str, expected: object) -> None:
    assert said(name, kind) == expected


def test_the_names_that_a_pod_tries_on_the_way_to_a_host_outside_are_all_unknown_at_once() -> None:
    for search in ("prod.svc.cluster.local", "svc.cluster.local", "cluster.local"):
        assert said(f"orders-db.prod.svc.{search}") == "NXDOMAIN"
        assert said(f"db.prod.internal.{search}") == "NXDOMAIN"
    assert said("db.prod.internal") == ["A 10.0.1.1", "A 10.0.1.2"]


def test_negative_answers_about_the_cluster_say_for_how_long_they_hold() -> None:
    for name, kind in (("gone.prod.svc.cluster.local", "A"), ("api.prod.svc.cluster.local", "AAAA")):
        authority = ask(name, kind).authority
        assert [(one.name.to_text(), one.rdtype, one.ttl) for one in authority] == [
            ("cluster.local.", dns.rdatatype.SOA, 30)
        ]
    assert not ask("example.com").authority


def test_servers_come_with_their_addresses() -> None:
    more = ask("_pg._tcp.db.prod.svc.cluster.local", "SRV").additional
    assert {(one.name.to_text(), one[0].to_text()) for one in more} == {
        ("db-0.db.prod.svc.cluster.local.", "10.244.0.7"),
        ("db-1.db.prod.svc.cluster.local.", "10.244.0.8"),
        ("10-244-0-9.db.prod.svc.cluster.local.", "10.244.0.9"),
    }


def test_an_alias_that_leads_to_itself_ends() -> None:
    one = service("loop", "", type="ExternalName", externalName="loop.prod.svc.cluster.local")
    found = names.of(
        World(namespaces=(namespace("prod"),), services=(one,)), domain="cluster.local", server="10.96.0.10", hosts={}
    )
    query = dns.message.make_query("loop.prod.svc.cluster.local", "A")
    assert name_server.answer(query.to_wire(), found, datagram=True)


def crowd() -> names.Names:
    many = endpoints("many", *(endpoint(f"10.244.{n // 250}.{n % 250 + 1}") for n in range(600)))
    world = World(namespaces=(namespace("prod"),), services=(service("many", "None"),), slices=(many,))
    return names.of(world, domain="cluster.local", server="10.96.0.10", hosts={})


def test_what_does_not_fit_into_a_datagram_is_told_over_tcp() -> None:
    query = dns.message.make_query("many.prod.svc.cluster.local", "A", use_edns=False).to_wire()
    small, large = (name_server.answer(query, crowd(), datagram=datagram) for datagram in (True, False))
    assert small
    assert large
    assert len(small) <= 512
    assert dns.message.from_wire(small, ignore_trailing=True).flags & dns.flags.TC
    assert len(dns.message.from_wire(large).answer[0]) == 600


@given(st.binary(max_size=80))
def test_nothing_that_anybody_sends_stops_the_server(data: bytes) -> None:
    said = name_server.answer(data, NAMES, datagram=True)
    assert said is None or said[:2] == data[:2]


async def test_the_server_answers_over_both_protocols_from_its_own_address() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with name_server.serving("127.0.0.1", crowd, port=port):
        query = dns.message.make_query("many.prod.svc.cluster.local", "A", use_edns=False)
        udp = await dns.asyncquery.udp(query, "127.0.0.1", port=port, timeout=2)
        assert udp.flags & dns.flags.TC
        tcp = await dns.asyncquery.tcp(query, "127.0.0.1", port=port, timeout=2)
        assert len(tcp.answer[0]) == 600
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x00")
        writer.close()
    with pytest.raises(ConnectionRefusedError):
        await dns.asyncquery.tcp(query, "127.0.0.1", port=port, timeout=1)
