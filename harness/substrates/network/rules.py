"""Policy routing of the root namespace (rtnetlink(7), ip-rule(8)) as values, and what is in force of it. Not why.

A packet meets the rules in the order of their priorities:
    1 to 99      what is for a Service, or comes back from its endpoint, goes to the translation, unless it comes from there
    1000, 2000   may the pod that sends it? what a NetworkPolicy allows goes on at 2999, what is left for isolated pods is dropped
    3000, 4000   may the pod that gets it? the same
    30000        the local table, from its usual place before everything
"""

import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import IntEnum
from ipaddress import IPv4Network

from harness.substrates.network import netlink, plan
from harness.substrates.network.netlink import Netlink, Request, attribute

TRANSLATION = "nat0"
TRANSLATION_TABLE = 100

HOST_PORTS = 50
POLICIES = 999
EGRESS_ALLOWED, EGRESS_DENIED = 1000, 2000
EGRESS_DONE = 2999
INGRESS_ALLOWED, INGRESS_DENIED = 3000, 4000
DONE = 29999
LOCAL = 30000


class Action(IntEnum):
    """What happens to what a rule matches (FR_ACT_…, linux/fib_rules.h)."""

    LOOKUP = 1
    GOTO = 2
    NOTHING = 3
    DROP = 6


_ANY = IPv4Network("0.0.0.0/0")
_FRA_DST, _FRA_SRC, _FRA_IIFNAME, _FRA_GOTO, _FRA_PRIORITY, _FRA_TABLE = 1, 2, 3, 4, 6, 15
_FRA_IP_PROTO, _FRA_DPORT_RANGE = 22, 24
_EXCL_CREATE = 0x600


@dataclass(frozen=True, slots=True)
class Rule:
    """Matches by networks, incoming link ("lo" is what is sent from here), protocol (0: any) and destination ports.

    `to` is the table of a LOOKUP and the priority of a GOTO.
    """

    priority: int
    action: Action
    to: int = 0
    source: IPv4Network = _ANY
    target: IPv4Network = _ANY
    link: str = ""
    protocol: int = 0
    ports: range = range(0)

    def request(self, kind: int) -> Request:
        """Adding (RTM_NEWRULE) or deleting (RTM_DELRULE) it."""
        table = self.to if self.action is Action.LOOKUP else 0
        body = struct.pack(
            "=BBBBBBBBI", socket.AF_INET, self.target.prefixlen, self.source.prefixlen, 0, table, 0, 0, self.action, 0
        )
        body += attribute(_FRA_PRIORITY, struct.pack("=I", self.priority))
        for number, network in ((_FRA_SRC, self.source), (_FRA_DST, self.target)):
            body += attribute(number, network.network_address.packed) if network.prefixlen else b""
        body += attribute(_FRA_IIFNAME, self.link.encode() + b"\0") if self.link else b""
        body += attribute(_FRA_GOTO, struct.pack("=I", self.to)) if self.action is Action.GOTO else b""
        body += attribute(_FRA_IP_PROTO, bytes((self.protocol,))) if self.protocol else b""
        if self.ports:
            body += attribute(_FRA_DPORT_RANGE, struct.pack("=HH", self.ports.start, self.ports.stop - 1))
        return Request(kind, _EXCL_CREATE if kind == netlink.RTM_NEWRULE else 0, body, f"rule {self.priority}")


def standing(dns: str) -> Iterator[Rule]:
    """What is in force as long as there is a cluster. The name server's address is served here and needs no translation."""
    yield Rule(1, Action.GOTO, POLICIES, link=TRANSLATION)
    yield Rule(2, Action.GOTO, POLICIES, target=IPv4Network(f"{dns}/32"))
    for priority, protocol in enumerate((socket.IPPROTO_TCP, socket.IPPROTO_UDP), 10):
        there = Rule(priority, Action.LOOKUP, TRANSLATION_TABLE, protocol=protocol)
        yield replace(there, target=IPv4Network(plan.SERVICES))
        yield replace(there, priority=priority + 10, ports=plan.TRANSLATED)
        yield replace(there, priority=priority + 20, target=IPv4Network(plan.NODES), ports=plan.NODE_PORTS)
    for priority, network in enumerate((plan.PODS, plan.NODES), 40):  # errors about what was translated
        icmp = socket.IPPROTO_ICMP
        yield Rule(priority, Action.LOOKUP, TRANSLATION_TABLE, target=IPv4Network(network), protocol=icmp)
    yield Rule(POLICIES - 1, Action.GOTO, DONE, link="lo")
    yield Rule(POLICIES, Action.GOTO, DONE, source=IPv4Network(plan.NODES))
    yield Rule(EGRESS_DONE, Action.NOTHING)
    yield Rule(DONE, Action.NOTHING)
    yield Rule(LOCAL, Action.LOOKUP, netlink.TABLE_LOCAL)


class Rules:
    """The rules of a namespace that its owner has put in force."""

    def __init__(self, link: Netlink) -> None:
        self._link = link
        self._standing: list[Rule] = []
        self._changing: frozenset[Rule] = frozenset()

    def stand(self, rules: Iterable[Rule]) -> None:
        """Put these in force, and let the local table wait for its turn."""
        for rule in sorted(rules, key=lambda rule: -rule.priority):
            self._link.ask(rule.request(netlink.RTM_NEWRULE))
            self._standing.append(rule)
        self._link.ask(_FIRST.request(netlink.RTM_DELRULE))

    def change(self, rules: Iterable[Rule]) -> None:
        """Have exactly these be in force besides. What allows is put in force before what denies, and goes after it, so that
        nothing that is allowed before and after is lost in between."""
        wanted = frozenset(rules)
        for rule in sorted(wanted - self._changing, key=_strictness):
            self._link.ask(rule.request(netlink.RTM_NEWRULE))
            self._changing |= {rule}
        for rule in sorted(self._changing - wanted, key=_strictness, reverse=True):
            self._link.ask(rule.request(netlink.RTM_DELRULE))
            self._changing -= {rule}

    def withdraw(self) -> None:
        """Leave the namespace as it was."""
        with suppress(FileExistsError):
            self._link.ask(_FIRST.request(netlink.RTM_NEWRULE))
        self.change(())
        while self._standing:
            self._link.ask(self._standing.pop().request(netlink.RTM_DELRULE))


_FIRST = Rule(0, Action.LOOKUP, netlink.TABLE_LOCAL)


def _strictness(rule: Rule) -> tuple[bool, int]:
    return (rule.action is Action.DROP, rule.priority)


@contextmanager
def in_force(link: Netlink, rules: Iterable[Rule]) -> Iterator[Rules]:
    """Rules that stand while the scope lasts."""
    made = Rules(link)
    try:
        made.stand(rules)
        yield made
    finally:
        made.withdraw()
