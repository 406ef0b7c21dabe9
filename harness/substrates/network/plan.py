"""Which addresses and ports mean what in the network of a cluster. Values only.

Nobody keeps track of connections in the kernel here: what is a reply is told by the port it goes to. Clients connect from
CLIENTS, connections that were led to a Service's endpoint come from TRANSLATED, and what goes to a port below is a request.
"""

LOCAL = "10.0.0.0/16"
"""Nodes (10.0.0.n), databases and workloads of the topology: all in the root namespace."""

NODES = "10.0.0.0/24"
SERVICES = "10.96.0.0/16"
PODS = "10.244.0.0/16"
API_NODE = "10.0.0.1"

SERVERS = range(1, 52000)
"""Ports where servers are expected: NetworkPolicies hold for these."""

CLIENTS = range(52000, 58767)
CLIENT_PORTS = f"{CLIENTS.start} {CLIENTS.stop - 1}"
"""As the kernel is told (ip-sysctl, ip_local_port_range), before anybody connects: a connection from a port of TRANSLATED would
go on only until answers to there are led elsewhere."""

TRANSLATED = range(58767, 65534)
"""As many as CLIENTS, so that each port of a client has one of its own here: a server that still remembers the last connection
from a port (TIME-WAIT) lets it connect again because the client's kernel has counted on (RFC 6191)."""

NODE_PORTS = range(30000, 32768)


def node(address: bytes) -> int | None:
    """The index of the node that an address (four bytes) is of or on; None for what is outside the cluster."""
    match tuple(address):
        case (10, 244, index, _):
            return index
        case (10, 0, 0, number):
            return number - 1
        case _:
            return None
