import socket
from typing import Any

import pytest

from harness.model.units import SECOND
from harness.substrates.network import balancing
from harness.substrates.network.objects import World
from tests.substrates.network.things import endpoint, endpoints, node, pod, service

NODES = (node("10.0.0.1"), node("10.0.0.2"))


def led(*services: Any, slices: Any = ()) -> dict[str, list[str]]:
    """Where each frontend leads, all in words."""
    table = balancing.table(World(services=services, slices=tuple(slices), nodes=NODES))
    names = {number: name for name, number in balancing.PROTOCOLS.items()}
    return {
        f"{names[protocol]} {socket.inet_ntoa(address)}:{port}": [
            f"{socket.inet_ntoa(host)}:{number}" for host, number in target.backends
        ]
        for (protocol, address, port), target in table.items()
    }


def test_a_service_leads_to_its_ready_endpoints() -> None:
    found = endpoints("api", endpoint("10.244.0.5"), endpoint("10.244.0.6", ready=False), endpoint("10.244.0.7"))
    assert led(service("api"), slices=[found]) == {"TCP 10.96.1.1:80": ["10.244.0.5:8000", "10.244.0.7:8000"]}


def test_an_endpoint_of_which_nothing_is_known_counts_as_ready() -> None:
    unknown = endpoint("10.244.0.5", conditions={"ready": None, "serving": None, "terminating": None})
    assert led(service("api"), slices=[endpoints("api", unknown)]) == {"TCP 10.96.1.1:80": ["10.244.0.5:8000"]}


def test_where_none_is_ready_those_that_serve_to_their_end_are_asked_and_else_nobody() -> None:
    leaving = endpoint("10.244.0.5", ready=False, conditions={"serving": True, "terminating": True})
    gone = endpoint("10.244.0.6", ready=False, conditions={"serving": False, "terminating": True})
    assert led(service("api"), slices=[endpoints("api", leaving, gone)]) == {"TCP 10.96.1.1:80": ["10.244.0.5:8000"]}
    assert led(service("api"), slices=[endpoints("api", leaving, endpoint("10.244.0.7"))]) == {
        "TCP 10.96.1.1:80": ["10.244.0.7:8000"]
    }
    assert led(service("api"), slices=[endpoints("api", gone)]) == {}
    assert led(service("api"), slices=[endpoints("api")]) == {}
    assert led(service("api")) == {}


def test_ports_are_told_apart_by_their_names() -> None:
    ports = [{"name": "http", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "lost", "port": 1}]
    slices = [{"name": "dns", "port": 5353, "protocol": "UDP"}, {"name": "http", "port": 8080, "protocol": "TCP"}]
    assert led(service("api", ports=ports), slices=[endpoints("api", endpoint("10.244.0.5"), ports=slices)]) == {
        "TCP 10.96.1.1:80": ["10.244.0.5:8080"],
        "UDP 10.96.1.1:53": ["10.244.0.5:5353"],
    }


def test_the_slices_of_a_service_add_up_and_those_of_others_do_not() -> None:
    slices = [
        endpoints("api", endpoint("10.244.0.5")),
        endpoints("api", endpoint("10.244.0.5"), endpoint("10.244.0.6")),
        endpoints("api", endpoint("10.244.0.7"), namespace="dev"),
    ]
    assert led(service("api"), slices=slices) == {"TCP 10.96.1.1:80": ["10.244.0.5:8000", "10.244.0.6:8000"]}


def test_node_ports_are_on_every_node() -> None:
    one = service("api", type="NodePort", ports=[{"port": 80, "nodePort": 30080}])
    assert led(one, slices=[endpoints("api", endpoint("10.244.0.5"))]).keys() == {
        "TCP 10.96.1.1:80",
        "TCP 10.0.0.1:30080",
        "TCP 10.0.0.2:30080",
    }


@pytest.mark.parametrize(
    "one",
    [
        service("api", "None"),
        service("api", "", type="ExternalName", externalName="x.example"),
        service("api", ports=[{"port": 80, "protocol": "SCTP"}]),
    ],
)
def test_services_without_an_address_and_protocols_that_cannot_be_led_are_left_out(one: Any) -> None:
    ports = [{"name": "", "port": 8000, "protocol": "SCTP"}, {"name": "", "port": 8000, "protocol": "TCP"}]
    assert led(one, slices=[endpoints("api", endpoint("10.244.0.5"), ports=ports)]) == {}


@pytest.mark.parametrize(
    ("spec", "kept"),
    [
        ({}, 0),
        ({"sessionAffinity": "ClientIP"}, 10800 * SECOND),
        (
            {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}}},
            60 * SECOND,
        ),
    ],
)
def test_affinity_lasts_as_long_as_the_service_says(spec: dict[str, Any], kept: int) -> None:
    world = World(services=(service("api", **spec),), slices=(endpoints("api", endpoint("10.244.0.5")),))
    (target,) = balancing.table(world).values()
    assert target.affinity == kept


def test_ports_that_pods_have_on_their_nodes_lead_to_them_and_are_led_where_no_standing_rule_does() -> None:
    ports = [{"containerPort": 8000, "hostPort": port, "protocol": "TCP"} for port in (80, 30080)]
    made = pod("web", "10.244.0.5", ports=ports, host_address="10.0.0.2")
    table = balancing.table(World(pods=(made, pod("idle", "10.244.0.6"))))
    there = (socket.inet_aton("10.244.0.5"), 8000)
    node_ = socket.inet_aton("10.0.0.2")
    assert {frontend: target.backends for frontend, target in table.items()} == {
        (6, node_, 80): (there,),
        (6, node_, 30080): (there,),
    }
    (rule,) = balancing.rules_for(table)
    assert (str(rule.target), rule.protocol, rule.ports) == ("10.0.0.2/32", 6, range(80, 81))


def test_who_wishes_so_is_asked_only_from_the_same_node() -> None:
    slices = [endpoints("api", endpoint("10.244.0.5"), endpoint("10.244.1.6"))]
    ports = [{"port": 80, "nodePort": 30080}]
    outside = service("api", type="NodePort", ports=ports, externalTrafficPolicy="Local")
    assert led(outside, slices=slices) == {
        "TCP 10.96.1.1:80": ["10.244.0.5:8000", "10.244.1.6:8000"],
        "TCP 10.0.0.1:30080": ["10.244.0.5:8000"],
        "TCP 10.0.0.2:30080": ["10.244.1.6:8000"],
    }
    inside = service("api", internalTrafficPolicy="Local")
    (target,) = balancing.table(World(services=(inside,), slices=tuple(slices), nodes=NODES)).values()
    for client, expected in (("10.244.1.9", "10.244.1.6"), ("10.0.0.1", "10.244.0.5"), ("10.244.2.1", None)):
        found = [socket.inet_ntoa(host) for host, _ in target.backends_for(socket.inet_aton(client))]
        assert found == ([expected] if expected else [])
