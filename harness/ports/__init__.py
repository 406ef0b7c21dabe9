"""The seams to the outside, as Protocols, and the capabilities that are asked for by name. No behaviour."""

from harness.ports.faults import Fault, Injection, Load, Stage
from harness.ports.parts import Cluster, Container, ContainerState, Database, Link, NodeState, Peer, Service, Store
from harness.ports.programs import Completed, Process, Room, Seen
from harness.ports.systems import Capability, Environment, Instrument, Substrate
from harness.ports.watching import Reporter

__all__ = [
    "Capability",
    "Cluster",
    "Completed",
    "Container",
    "ContainerState",
    "Database",
    "Environment",
    "Fault",
    "Injection",
    "Instrument",
    "Link",
    "Load",
    "NodeState",
    "Peer",
    "Process",
    "Reporter",
    "Room",
    "Seen",
    "Service",
    "Stage",
    "Store",
    "Substrate",
]
