"""How pods are linked to the root network namespace of an environment: as Calico does it, a veth pair each, routed, no bridge.

A pod sees one interface, eth0, with its own address and nothing around it; whatever it sends goes through the root namespace's
routes, where Services and NetworkPolicies are kept. Hardware addresses are known beforehand, so that nobody has to ask.
"""

import errno
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from harness.substrates.inside import kernel
from harness.substrates.network import netlink, plan, sysctl
from harness.substrates.network.netlink import End, Netlink

GATEWAY = "169.254.1.1"
MTU = 1500
GSO = 16384
"""Bytes: packets are looked at by a program on their way to Services, and few large ones would overflow its queue."""

_HOST_MAC = bytes.fromhex("eeeeeeeeeeee")


def prepare() -> None:
    """Make the caller's network namespace the root of a cluster's network. Nothing where it is one already.

    OSError where the kernel does not allow it.
    """
    sysctl.write("net/ipv4/ip_forward", "1")
    _number_clients()
    sysctl.write("net/ipv4/ip_early_demux", "0")  # packets that a socket here was found for would not be led elsewhere
    for name in ("rp_filter", "send_redirects"):  # answers come back by another link than the one that was asked over
        for which in ("all", "default"):
            sysctl.write(f"net/ipv4/conf/{which}/{name}", "0")
    with Netlink() as ours:
        lo = socket.if_nametoindex("lo")
        ours.ask(netlink.up(lo), netlink.local(plan.LOCAL, lo), netlink.local(plan.SERVICES, lo))
        ours.ask(netlink.unreachable(plan.PODS))


def connect(pid: int, *, address: str, name: str) -> None:
    """Link the network namespace of process `pid` by a link called `name` (at most 15 characters, unique) at this end.

    The pod has `address`, its loopback is up, and it can be reached when this returns. It blocks for a few milliseconds, and
    can be called from any thread. OSError on failure, with nothing left of it.
    """
    space = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        pod = End("eth0", b"\x0a\x58" + socket.inet_aton(address), space)
        with Netlink() as ours:
            ours.ask(netlink.veth(End(name, _HOST_MAC), pod, mtu=MTU, gso=GSO))
            try:
                _within(space, lambda: _dress(address))
                index = socket.if_nametoindex(name)
                ours.ask(
                    netlink.up(index),
                    netlink.neighbour(index, address, pod.mac),
                    netlink.route(f"{address}/32", index, source=_node(address)),
                )
            except BaseException:
                with suppress(OSError):
                    ours.ask(netlink.delete_link(name))
                raise
    finally:
        os.close(space)


def disconnect(name: str) -> None:
    """Take a pod's link away, if it is still there: it goes by itself some time after the last process of its namespace."""
    with Netlink() as ours:
        try:
            ours.ask(netlink.delete_link(name))
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise


def _node(address: str) -> str:
    """The node of a pod, as whom the root namespace speaks to it: pods 10.244.n.0/24 are on the n-th, from 0."""
    return f"10.0.0.{int(address.split('.')[2]) + 1}"


def _dress(address: str) -> None:
    """In the pod's namespace: interfaces, routes, and the ports its clients connect from."""
    lo, eth0 = socket.if_nametoindex("lo"), socket.if_nametoindex("eth0")
    with Netlink() as pod:
        pod.ask(
            netlink.up(lo),
            netlink.address(eth0, address),
            netlink.up(eth0),
            netlink.neighbour(eth0, GATEWAY, _HOST_MAC),
            netlink.route(f"{GATEWAY}/32", eth0),
            netlink.route("0.0.0.0/0", eth0, gateway=GATEWAY),
        )
    _number_clients()
    sysctl.write("net/ipv4/ip_unprivileged_port_start", "0")  # as containerd has it: users of a container serve port 80


def _number_clients() -> None:
    sysctl.write("net/ipv4/ip_local_port_range", plan.CLIENT_PORTS)
    sysctl.write("net/ipv4/tcp_tw_reuse", "1")  # the range is small for clients that connect anew for every request


def _within(space: int, do: Callable[[], None]) -> None:
    """Do something in another network namespace, in a thread that ends with it: this one stays where it is."""
    trouble: list[OSError] = []

    def there() -> None:
        try:
            kernel.enter(space, kernel.CLONE_NEWNET)
            do()
        except OSError as error:
            trouble.append(error)

    thread = threading.Thread(target=there)
    thread.start()
    thread.join()
    if trouble:
        raise trouble[0]
