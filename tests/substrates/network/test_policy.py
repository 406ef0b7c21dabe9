"""Policies on paper, held to the documentation's examples, to a second reading of the specification, and to their rules."""

import ipaddress
from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.substrates.network import enforcement, plan, rules
from harness.substrates.network.objects import NetworkPolicy, Pod, Selector, World
from harness.substrates.network.policy import is_allowed
from harness.substrates.network.rules import Action, Rule
from tests.substrates.network.things import namespace, node, pod, policy

DNS = "10.96.0.10"
WEB, DB, OTHER, OUTSIDE, NODE = "10.244.0.2", "10.244.0.3", "10.244.0.4", "10.0.1.7", "10.0.0.1"
PODS = (
    pod("web", WEB, app="web"),
    pod("db", DB, app="db", ports=[{"name": "pg", "containerPort": 5432, "protocol": "TCP"}]),
    pod("other", OTHER, namespace="dev", app="web"),
)


def world(*policies: NetworkPolicy, pods: Iterable[Pod] = PODS) -> World:
    spaces = (namespace("prod", env="live"), namespace("dev", env="test"), namespace("kube-system"))
    return World(pods=tuple(pods), policies=policies, namespaces=spaces, nodes=(node(NODE),))


def may(client: str, server: str, port: int, *policies: NetworkPolicy, protocol: str = "TCP") -> bool:
    return is_allowed(world(*policies), client=client, server=server, port=port, protocol=protocol, dns=DNS)


APP_DB = {"matchLabels": {"app": "db"}}
APP_WEB = {"matchLabels": {"app": "web"}}
DENY_ALL = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_without_policies_everything_is_allowed() -> None:
    assert may(WEB, DB, 5432)
    assert may(OUTSIDE, WEB, 80, protocol="SCTP")


def test_a_policy_isolates_only_what_it_selects_and_only_in_its_directions() -> None:
    closed = policy("closed", podSelector=APP_DB, policyTypes=["Ingress"])
    assert not may(WEB, DB, 5432, closed)
    assert may(DB, WEB, 80, closed)
    assert may(OTHER, WEB, 80, closed)
    silent = policy("silent", podSelector=APP_DB, policyTypes=["Egress"])
    assert not may(DB, WEB, 80, silent)
    assert may(WEB, DB, 5432, silent)


def test_the_same_policy_in_another_namespace_does_not_matter() -> None:
    assert may(WEB, DB, 5432, policy("closed", namespace="dev", podSelector={}, policyTypes=["Ingress", "Egress"]))


def test_directions_that_are_not_said_follow_from_the_rules() -> None:
    assert may(DB, WEB, 80, policy("p", podSelector=APP_DB))
    assert not may(WEB, DB, 80, policy("p", podSelector=APP_DB))
    assert not may(DB, WEB, 80, policy("p", podSelector=APP_DB, egress=[{"ports": [{"port": 53}]}]))


def test_policies_add_up() -> None:
    by_web = policy("by-web", podSelector=APP_DB, ingress=[{"from": [{"podSelector": APP_WEB}]}])
    assert may(WEB, DB, 5432, policy("deny", **DENY_ALL | {"policyTypes": ["Ingress"]}), by_web)
    assert not may(OTHER, DB, 5432, by_web)


def test_both_ends_must_allow() -> None:
    out = policy("out", podSelector=APP_WEB, policyTypes=["Egress"], egress=[{"to": [{"podSelector": APP_DB}]}])
    into = policy("into", podSelector=APP_DB, ingress=[{"from": [{"podSelector": APP_WEB}]}])
    deny = policy("deny", **DENY_ALL)
    assert may(WEB, DB, 5432, deny, out, into)
    assert not may(WEB, DB, 5432, deny, out)
    assert not may(WEB, DB, 5432, deny, into)


def test_selectors_in_one_peer_must_both_hold_and_in_two_peers_one_of_them() -> None:
    live, web = {"namespaceSelector": {"matchLabels": {"env": "live"}}}, {"podSelector": APP_WEB}
    test = {"namespaceSelector": {"matchLabels": {"env": "test"}}}
    both = policy("p", podSelector=APP_DB, ingress=[{"from": [test | web]}])
    assert may(OTHER, DB, 1, both)
    assert not may(WEB, DB, 1, both)
    either = policy("p", podSelector=APP_DB, ingress=[{"from": [test, web]}])
    assert may(OTHER, DB, 1, either)
    assert may(WEB, DB, 1, either)
    assert not may(OTHER, DB, 1, policy("p", podSelector=APP_DB, ingress=[{"from": [live]}]))
    everywhere = policy("p", podSelector=APP_DB, ingress=[{"from": [{"namespaceSelector": {}}]}])
    assert may(OTHER, DB, 1, everywhere)
    assert not may(OUTSIDE, DB, 1, everywhere)


def test_a_rule_without_peers_is_for_all_and_no_rule_for_none() -> None:
    assert may(OUTSIDE, DB, 1, policy("p", podSelector=APP_DB, ingress=[{}]))
    assert may(OUTSIDE, DB, 5432, policy("p", podSelector=APP_DB, ingress=[{"ports": [{"port": 5432}]}]))
    assert not may(OUTSIDE, DB, 1, policy("p", podSelector=APP_DB, ingress=[{"ports": [{"port": 5432}]}]))
    assert not may(OUTSIDE, DB, 1, policy("p", podSelector=APP_DB, ingress=[]))


@pytest.mark.parametrize(
    ("port", "reached"),
    [
        ({"port": 80}, {("TCP", 80)}),
        ({"port": 80, "protocol": "UDP"}, {("UDP", 80)}),
        ({"protocol": "UDP"}, {("UDP", 80), ("UDP", 90), ("UDP", 5432)}),
        ({"port": 80, "endPort": 90}, {("TCP", 80), ("TCP", 90)}),
        ({"port": "pg"}, {("TCP", 5432)}),
        ({"port": "pg", "protocol": "UDP"}, set()),
        ({"port": "nothing"}, set()),
    ],
)
def test_ports_are_said_by_number_range_or_name(port: dict[str, Any], reached: set[tuple[str, int]]) -> None:
    asked = {(protocol, number) for protocol in ("TCP", "UDP") for number in (80, 90, 5432)}
    into = policy("p", podSelector=APP_DB, ingress=[{"ports": [port]}])
    assert {one for one in asked if may(WEB, DB, one[1], into, protocol=one[0])} == reached
    out = policy("p", podSelector=APP_WEB, policyTypes=["Egress"], egress=[{"ports": [port]}])
    assert {one for one in asked if may(WEB, DB, one[1], out, protocol=one[0])} == reached
    out = policy(
        "p", podSelector=APP_WEB, policyTypes=["Egress"], egress=[{"to": [{"podSelector": {}}], "ports": [port]}]
    )
    assert {one for one in asked if may(WEB, DB, one[1], out, protocol=one[0])} == reached


def test_blocks_of_addresses_leave_out_their_exceptions() -> None:
    block = {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.1.0/24", "10.244.0.3/32"]}}
    out = policy("p", podSelector=APP_WEB, policyTypes=["Egress"], egress=[{"to": [block]}])
    assert not may(WEB, OUTSIDE, 5432, out)
    assert may(WEB, "10.0.2.7", 5432, out)
    assert not may(WEB, DB, 5432, out)
    assert may(WEB, OTHER, 80, out)
    assert not may(WEB, "192.0.2.1", 80, out)
    assert not may(
        WEB, "10.0.2.7", 1, policy("p", podSelector=APP_WEB, egress=[{"to": [{"ipBlock": {"cidr": "::/0"}}]}])
    )


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ({"key": "app", "operator": "In", "values": ["web", "api"]}, True),
        ({"key": "app", "operator": "NotIn", "values": ["web"]}, False),
        ({"key": "tier", "operator": "NotIn", "values": ["web"]}, True),
        ({"key": "app", "operator": "Exists"}, True),
        ({"key": "tier", "operator": "Exists"}, False),
        ({"key": "tier", "operator": "DoesNotExist"}, True),
        ({"key": "tier", "operator": "In", "values": ["x"]}, False),
    ],
)
def test_expressions_select_as_they_do_everywhere(expression: dict[str, Any], holds: bool) -> None:
    into = policy("p", podSelector=APP_DB, ingress=[{"from": [{"podSelector": {"matchExpressions": [expression]}}]}])
    assert may(WEB, DB, 5432, into) is holds


def test_nodes_may_always_ask_and_pods_their_own_node() -> None:
    deny = policy("deny", **DENY_ALL)
    assert may(NODE, DB, 5432, deny)
    mine = pod("mine", "10.244.0.9")
    placed = Pod(metadata=mine.metadata, spec=type(mine.spec)(node_name=NODE), status=mine.status)
    found = world(deny, pods=(placed,))
    assert is_allowed(found, client="10.244.0.9", server=NODE, port=6443, dns=DNS)
    assert not is_allowed(found, client="10.244.0.9", server="10.0.0.2", port=6443, dns=DNS)
    assert not is_allowed(found, client="10.244.0.9", server=OUTSIDE, port=5432, dns=DNS)


def test_the_name_server_is_asked_by_those_who_may_ask_its_pod() -> None:
    deny = policy("deny", **DENY_ALL)
    assert not may(WEB, DNS, 53, deny, protocol="UDP")
    system = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
    usual = system | {"podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}
    for port in ({"port": 53, "protocol": "UDP"}, {"port": "dns", "protocol": "UDP"}):
        out = policy("dns", podSelector={}, policyTypes=["Egress"], egress=[{"to": [usual], "ports": [port]}])
        assert may(WEB, DNS, 53, deny, out, protocol="UDP")
        assert not may(WEB, DNS, 53, deny, out)


def test_pods_of_the_nodes_network_and_pods_that_have_ended_are_not_isolated_and_not_meant() -> None:
    pods = (*PODS, pod("host", NODE, host=True, app="db"), pod("done", "10.244.0.8", phase="Succeeded", app="web"))
    found = world(policy("p", podSelector=APP_DB, ingress=[{"from": [{"podSelector": APP_WEB}]}]), pods=pods)
    assert is_allowed(found, client=WEB, server=NODE, port=80, dns=DNS)
    assert not is_allowed(found, client="10.244.0.8", server=DB, port=5432, dns=DNS)


LABELS = st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["1", "2"]), max_size=2)
EXPRESSIONS = st.builds(
    lambda key, operator, values: {"key": key, "operator": operator, **({"values": values} if "n" in operator else {})},
    st.sampled_from(["a", "b"]),
    st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]).filter(bool),
    st.lists(st.sampled_from(["1", "2"]), min_size=1, max_size=2),
).map(lambda one: {k: v for k, v in one.items() if k != "values" or one["operator"] in {"In", "NotIn"}})
SELECTORS = st.fixed_dictionaries(
    {}, optional={"matchLabels": LABELS, "matchExpressions": st.lists(EXPRESSIONS, max_size=2)}
)
SPACES = ("x", "y")
ADDRESSES = [f"10.244.0.{n}" for n in range(2, 7)]
STRANGERS = ["10.0.1.7", "10.0.1.9", "192.0.2.1"]
BLOCKS = st.sampled_from(
    [
        {"cidr": "0.0.0.0/0"},
        {"cidr": "10.244.0.0/24", "except": ["10.244.0.4/31"]},
        {"cidr": "10.0.0.0/8", "except": ["10.0.1.0/29", "10.244.0.2/32"]},
        {"cidr": "10.0.1.7/32"},
        {"cidr": "10.0.1.0/24", "except": ["10.0.0.0/16"]},
    ]
)
PEERS = st.one_of(
    st.fixed_dictionaries({"podSelector": SELECTORS}, optional={"namespaceSelector": SELECTORS}),
    st.fixed_dictionaries({"namespaceSelector": SELECTORS}),
    st.fixed_dictionaries({"ipBlock": BLOCKS}),
)
POLICY_PORTS = st.sampled_from(
    [
        {},
        {"port": 80},
        {"port": 80, "endPort": 5432},
        {"protocol": "UDP"},
        {"port": "web"},
        {"port": "web", "protocol": "UDP"},
    ]
)
ASKED = [("TCP", 80), ("TCP", 443), ("TCP", 5433), ("UDP", 80), ("SCTP", 80)]


def rules_of(peers: str) -> st.SearchStrategy[Any]:
    one = st.fixed_dictionaries(
        {}, optional={peers: st.lists(PEERS, max_size=2), "ports": st.lists(POLICY_PORTS, max_size=2)}
    )
    return st.lists(one, max_size=2)


POLICIES = st.builds(
    lambda space, spec: policy("p", namespace=space, **spec),
    st.sampled_from(SPACES),
    st.fixed_dictionaries(
        {
            "podSelector": SELECTORS,
            "policyTypes": st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]]),
            "ingress": rules_of("from"),
            "egress": rules_of("to"),
        }
    ),
)
PORTS = st.sampled_from([(), ({"name": "web", "containerPort": 80},), ({"name": "web", "containerPort": 443},)])


@st.composite
def worlds(draw: st.DrawFn) -> World:
    pods = [
        pod(f"p{n}", address, namespace=draw(st.sampled_from(SPACES)), ports=draw(PORTS), **draw(LABELS))
        for n, address in enumerate(ADDRESSES)
    ]
    spaces = tuple(namespace(space, **draw(LABELS)) for space in SPACES)
    return World(pods=tuple(pods), namespaces=spaces, policies=tuple(draw(st.lists(POLICIES, max_size=4))))


def selected(selector: Selector | None, labels: Any) -> bool:
    held = [labels.get(key) == value for key, value in ((selector and selector.match_labels) or {}).items()]
    for one in (selector and selector.match_expressions) or ():
        value, values = labels.get(one.key), one.values or ()
        held.append(
            {"In": value in values, "NotIn": value not in values, "Exists": value is not None}.get(
                one.operator, value is None
            )
        )
    return all(held)


def second_reading(world: World, client: str, server: str, port: int, protocol: str) -> bool:
    """The specification once more, pair by pair and as directly as it can be said."""
    labels = {one.metadata.name: one.metadata.labels for one in world.namespaces}
    owner = {one.address: one for one in world.pods}

    def matches(peer: Any, home: str, address: str) -> bool:
        if peer.ip_block:
            inside = IPv4Address(address) in ipaddress.ip_network(peer.ip_block.cidr)
            return inside and not any(
                IPv4Address(address) in ipaddress.ip_network(gone) for gone in peer.ip_block.except_ or ()
            )
        there = owner.get(address)
        if there is None:
            return False
        space = there.metadata.namespace
        right = space == home if peer.namespace_selector is None else selected(peer.namespace_selector, labels[space])
        return right and selected(peer.pod_selector, there.metadata.labels)

    def at(one: Any, by_block: bool) -> bool:
        if (one.protocol or "TCP") != protocol:
            return False
        if isinstance(one.port, str):
            there = owner.get(server)
            return not by_block and any(
                (p.name, p.protocol, p.container_port) == (one.port, protocol, port)
                for container in (there.spec.containers if there else ())
                for p in container.ports
            )
        return one.port is None or one.port <= port <= (one.end_port or one.port)

    def one_way(mine: str, other: str, direction: str) -> bool:
        pod_ = owner.get(mine)
        here = [
            one
            for one in world.policies
            if pod_
            and direction in (one.spec.policy_types or ())
            and one.metadata.namespace == pod_.metadata.namespace
            and selected(one.spec.pod_selector, pod_.metadata.labels)
        ]
        if not here:
            return True
        for one in here:
            for rule in (one.spec.ingress if direction == "Ingress" else one.spec.egress) or ():
                peers = rule.from_ if direction == "Ingress" else rule.to
                for peer in peers or (None,):
                    by_block = direction == "Egress" and peer is not None and peer.ip_block is not None
                    if (peer is None or matches(peer, one.metadata.namespace, other)) and (
                        not rule.ports or any(at(p, by_block) for p in rule.ports)
                    ):
                        return True
        return False

    return client == server or (one_way(client, server, "Egress") and one_way(server, client, "Ingress"))


def dropped(found: Iterable[Rule], client: str, server: str, port: int, protocol: int) -> bool:
    """What the kernel does with a packet that comes in from a pod, by fib_rules_lookup()."""
    standing = [one for one in rules.standing(DNS) if one.priority >= rules.POLICIES]
    at = rules.POLICIES
    for rule in sorted((*standing, *found), key=lambda one: one.priority):
        if (
            rule.priority < at
            or rule.link
            or rule.protocol not in {0, protocol}
            or (rule.ports and port not in rule.ports)
        ):
            continue
        if IPv4Address(client) not in rule.source or IPv4Address(server) not in rule.target:
            continue
        match rule.action:
            case Action.DROP:
                return True
            case Action.GOTO:
                at = rule.to
            case Action.LOOKUP:
                return False
    return False


NUMBERS = {"TCP": 6, "UDP": 17, "SCTP": 132}


@given(worlds())
@settings(max_examples=60, deadline=None)
def test_both_readings_of_the_specification_agree_and_so_do_the_rules(world: World) -> None:
    found = enforcement.of(world, dns=DNS)
    for client in (*ADDRESSES, *STRANGERS):
        for server in (*ADDRESSES, *STRANGERS):
            for protocol, port in ASKED:
                expected = second_reading(world, client, server, port, protocol)
                assert (
                    is_allowed(world, client=client, server=server, port=port, protocol=protocol, dns=DNS) is expected
                )
                if client != server:
                    assert dropped(found, client, server, port, NUMBERS[protocol]) is not expected


@given(worlds())
def test_answers_are_never_dropped(world: World) -> None:
    found = enforcement.of(world, dns=DNS)
    for ports in (plan.CLIENTS, plan.TRANSLATED):
        assert not any(dropped(found, a, b, ports.start, 6) for a in ADDRESSES for b in (*ADDRESSES, *STRANGERS))
