import errno
import os
import socket
import time
from pathlib import Path

import pytest

from harness.substrates.inside import kernel
from harness.substrates.network import links
from tests.substrates.network.stage import bare, forked, in_namespaces, pod


def listening(host: str, port: int) -> socket.socket:
    server = socket.create_server((host, port))
    server.settimeout(5)
    return server


def asked(host: str, port: int, timeout: float = 2) -> str:
    """What a server says, as it sees its client; or what connecting ends with."""
    try:
        with socket.create_connection((host, port), timeout=timeout) as sock:
            return sock.recv(100).decode()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)


def server_in(one, port: int, say: str = "") -> int:
    """A process in that pod that tells each client its address (after `say`); its pid."""
    ready, told = os.pipe()
    space = os.open(f"/proc/{one.pid}/ns/net", os.O_RDONLY)
    pid = os.fork()
    if not pid:
        kernel.die_with_parent(9)
        kernel.enter(space, kernel.CLONE_NEWNET)
        server = socket.create_server(("0.0.0.0", port), backlog=128)
        os.write(told, b".")
        while True:
            client, (host, _) = server.accept()
            client.sendall(f"{say}{host}".encode())
            client.close()
    assert os.read(ready, 1)
    for fd in (ready, told, space):
        os.close(fd)
    return pid


@in_namespaces
def test_pods_reach_each_other_and_are_seen_under_their_own_addresses() -> None:
    links.prepare()
    with pod("10.244.0.2") as one, pod("10.244.1.3") as other:
        server_in(one, 80)
        assert other.run(lambda: asked("10.244.0.2", 80)) == "10.244.1.3"
        assert one.run(lambda: asked("10.244.0.2", 80)) == "10.244.0.2"


@in_namespaces
def test_a_pod_reaches_its_own_loopback() -> None:
    links.prepare()
    with pod("10.244.0.2") as one:
        server_in(one, 8080, "lo ")
        assert one.run(lambda: asked("127.0.0.1", 8080)) == "lo 127.0.0.1"


@in_namespaces
def test_the_root_reaches_pods_as_their_node_and_pods_reach_any_address_of_the_root() -> None:
    links.prepare()
    with pod("10.244.1.2") as one:
        server_in(one, 80)
        assert asked("10.244.1.2", 80) == "10.0.0.2"
        database = listening("10.0.1.7", 5432)

        def ask() -> str:
            with socket.create_connection(("10.0.1.7", 5432), timeout=2) as sock:
                return sock.getsockname()[0]

        assert one.run(ask) == "10.244.1.2"
        assert database.accept()[1][0] == "10.244.1.2"


@in_namespaces
def test_what_nobody_listens_at_is_refused_and_pods_that_are_not_there_are_unreachable_at_once() -> None:
    links.prepare()
    with pod("10.244.0.2") as one:
        begun = time.monotonic()
        assert one.run(lambda: asked("10.0.1.7", 5432)) == "ECONNREFUSED"
        assert one.run(lambda: asked("10.96.0.1", 443)) == "ECONNREFUSED"
        assert one.run(lambda: asked("10.244.0.9", 80)) == "EHOSTUNREACH"
        assert one.run(lambda: asked("192.0.2.1", 80)) == "ENETUNREACH"
        assert time.monotonic() - begun < 2


@in_namespaces
def test_a_link_that_was_taken_away_is_gone_and_may_be_taken_away_again() -> None:
    links.prepare()
    with bare("10.244.0.2") as one:
        links.connect(one.pid, address="10.244.0.2", name="cali1")
        assert "cali1" in {name for _, name in socket.if_nameindex()}
        links.disconnect("cali1")
        links.disconnect("cali1")
        assert "cali1" not in {name for _, name in socket.if_nameindex()}
        assert asked("10.244.0.2", 80) == "EHOSTUNREACH"


@in_namespaces
def test_a_name_that_is_taken_is_refused_and_the_other_pod_keeps_its_link() -> None:
    links.prepare()
    with pod("10.244.0.2") as one, bare("10.244.0.3") as other:
        server_in(one, 80)
        with pytest.raises(OSError, match="link veth2: File exists"):
            links.connect(other.pid, address="10.244.0.3", name="veth2")
        assert asked("10.244.0.2", 80) == "10.0.0.1"


@in_namespaces
def test_a_process_that_has_ended_cannot_be_linked() -> None:
    links.prepare()
    with bare("10.244.0.2") as one:
        gone = one.pid
    with pytest.raises(OSError, match="No such"):
        links.connect(gone, address="10.244.0.2", name="veth2")


@in_namespaces
def test_clients_in_pods_connect_from_the_ports_that_mark_them_and_servers_need_no_privilege_for_port_80() -> None:
    links.prepare()
    with pod("10.244.0.2") as one:
        server_in(one, 80)

        def port() -> int:
            with socket.create_connection(("10.244.0.2", 80)) as sock:
                return sock.getsockname()[1]

        assert 52000 <= one.run(port) < 58767

        def unprivileged() -> str:
            return Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text().strip()

        assert one.run(unprivileged) == "0"


@in_namespaces
def test_settings_of_the_namespace_are_written_where_proc_is_read_only() -> None:
    def restricted() -> None:
        kernel.unshare(kernel.CLONE_NEWPID)

        def inner() -> str:
            kernel.mount("none", "/", "", flags=kernel.MS_REC | kernel.MS_PRIVATE)
            kernel.mount("proc", "/proc", "proc")
            kernel.set_mount("/proc", kernel.MOUNT_ATTR_RDONLY)
            with pytest.raises(OSError, match="Read-only"):
                Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
            links.prepare()
            return Path("/proc/sys/net/ipv4/ip_forward").read_text().strip()

        assert forked(inner) == "1"

    forked(restricted)
