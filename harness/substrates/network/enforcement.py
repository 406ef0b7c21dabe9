"""NetworkPolicies as rules of the root namespace, which everything between pods passes after it was led to its endpoint.

What is not allowed is dropped, as usual network plugins do: who asks waits until its patience ends. Rules know no connections: a
policy holds for open ones at once. Only what goes to a server's port (plan.SERVERS) can be told from an answer and dropped.
"""

from collections.abc import Iterator
from ipaddress import IPv4Network

from harness.substrates.network import plan, rules
from harness.substrates.network.objects import World
from harness.substrates.network.policy import EVERYWHERE, PROTOCOLS, Allowed, Isolation, isolations
from harness.substrates.network.rules import Action, Rule

REFUSED = (
    f"ports from {plan.SERVERS.stop} on are clients' in a local cluster: no policy can be enforced for a server there"
)


def of(world: World, *, dns: str) -> frozenset[Rule]:
    """The rules by which the policies of a cluster are kept."""
    return frozenset(rule for one in isolations(world, dns=dns) for rule in _rules(one))


def _rules(one: Isolation) -> Iterator[Rule]:
    own = IPv4Network(f"{one.address}/32")
    sends = one.direction == "Egress"
    for allowed in one.allowed:
        for protocol, ports in _numbers(allowed):
            yield Rule(
                rules.EGRESS_ALLOWED if sends else rules.INGRESS_ALLOWED,
                Action.GOTO,
                rules.EGRESS_DONE if sends else rules.DONE,
                source=own if sends else allowed.network,
                target=allowed.network if sends else own,
                protocol=protocol,
                ports=ports,
            )
    for protocol in PROTOCOLS.values():
        yield Rule(
            rules.EGRESS_DENIED if sends else rules.INGRESS_DENIED,
            Action.DROP,
            source=own if sends else EVERYWHERE,
            target=EVERYWHERE if sends else own,
            protocol=protocol,
            ports=plan.SERVERS,
        )


def _numbers(allowed: Allowed) -> Iterator[tuple[int, range]]:
    """Protocol and ports as a rule has them: ports only with a protocol, and none that is not a server's."""
    ports = range(allowed.ports.start, min(allowed.ports.stop, plan.SERVERS.stop))
    if not allowed.ports:
        yield (PROTOCOLS[allowed.protocol] if allowed.protocol else 0), range(0)
    elif ports:
        yield PROTOCOLS[allowed.protocol], ports
