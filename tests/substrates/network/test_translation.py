import asyncio
import os
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from harness.model.units import SECOND
from harness.substrates.inside import kernel
from harness.substrates.network import links, netlink, packets, rules, wire
from harness.substrates.network.netlink import Netlink
from harness.substrates.network.translation import Frontend, Target, Translator
from tests.substrates.network.stage import Pod, in_namespaces, pod
from tests.substrates.network.test_links import asked, server_in

TCP, UDP = socket.IPPROTO_TCP, socket.IPPROTO_UDP
SERVICE = "10.96.1.1"


def frontend(address: str, port: int, protocol: int = TCP) -> Frontend:
    return (protocol, socket.inet_aton(address), port)


def to(*backends: tuple[str, int], affinity: int = 0) -> Target:
    return Target("prod/api:", tuple((socket.inet_aton(host), port) for host, port in backends), affinity)


@contextmanager
def leading(table: Mapping[Frontend, Target]) -> Iterator[Translator]:
    translator = Translator(seed=1)
    translator.lead_by(table)
    with Netlink() as link, wire.leading(translator), rules.in_force(link, rules.standing("10.96.0.10")):
        yield translator


@in_namespaces
async def test_a_service_leads_pods_and_the_root_to_all_of_its_endpoints_who_see_who_asks() -> None:
    links.prepare()
    with pod("10.244.0.2") as one, pod("10.244.0.3") as other, pod("10.244.1.4") as client:
        server_in(one, 8000, "one sees ")
        server_in(other, 8000, "other sees ")
        with leading({frontend(SERVICE, 80): to(("10.244.0.2", 8000), ("10.244.0.3", 8000))}):
            answers = await client.running(lambda: {asked(SERVICE, 80) for _ in range(40)})
            assert answers == {"one sees 10.244.1.4", "other sees 10.244.1.4"}
            answers = await asyncio.to_thread(lambda: {asked(SERVICE, 80) for _ in range(40)})
            assert answers == {"one sees 10.0.0.1", "other sees 10.0.0.1"}
            answers = await one.running(lambda: {asked(SERVICE, 80) for _ in range(40)})
            assert answers == {"one sees 10.0.0.1", "other sees 10.244.0.2"}


@in_namespaces
async def test_who_asks_a_service_that_nobody_serves_is_told_so_as_directly_as_by_the_endpoint() -> None:
    links.prepare()
    with pod("10.244.0.2"), pod("10.244.0.3") as client:
        table = {
            frontend(SERVICE, 80): to(("10.244.0.2", 8000)),
            frontend(SERVICE, 81): to(("10.244.0.9", 8000)),
            frontend(SERVICE, 82): to(),
        }
        with leading(table):
            for ask in (client.running, asyncio.to_thread):
                assert await ask(lambda: asked(SERVICE, 80)) == "ECONNREFUSED"
                assert await ask(lambda: asked(SERVICE, 81)) == "EHOSTUNREACH"
                assert await ask(lambda: asked(SERVICE, 82)) == "ECONNREFUSED"
                assert await ask(lambda: asked(SERVICE, 83)) == "ECONNREFUSED"


@in_namespaces
async def test_a_change_of_endpoints_holds_for_the_next_connection_and_spares_those_that_are_open() -> None:
    links.prepare()
    with pod("10.244.0.2") as old, pod("10.244.0.3") as new, pod("10.244.0.4") as client:
        echo_in(old)
        server_in(new, 8000, "new sees ")
        with leading({frontend(SERVICE, 80): to(("10.244.0.2", 8000))}) as translator:

            def talk(changed: threading.Event | None = None) -> bytes:
                with socket.create_connection((SERVICE, 80), timeout=5) as sock:
                    sock.sendall(b"before")
                    first = sock.recv(100)
                    os.write(told, b".")
                    os.read(go, 1)
                    sock.sendall(b"after")
                    return first + sock.recv(100)

            (seen, told), (go, went) = os.pipe(), os.pipe()
            talking = asyncio.create_task(client.running(talk))
            await asyncio.to_thread(os.read, seen, 1)
            translator.lead_by({frontend(SERVICE, 80): to(("10.244.0.3", 8000))})
            assert await client.running(lambda: asked(SERVICE, 80)) == "new sees 10.244.0.4"
            os.write(went, b".")
            assert await talking == b"beforeafter"
            translator.lead_by({})
            assert await client.running(lambda: asked(SERVICE, 80)) == "ECONNREFUSED"


def echo_in(one: Pod, port: int = 8000) -> None:
    """A server there that sends back what it gets, until its client has sent its last, and then says so."""
    ready, told = os.pipe()
    space = os.open(f"/proc/{one.pid}/ns/net", os.O_RDONLY)
    if not os.fork():
        kernel.die_with_parent(9)
        kernel.enter(space, kernel.CLONE_NEWNET)
        server = socket.create_server(("0.0.0.0", port))
        os.write(told, b".")
        while True:
            client, _ = server.accept()
            total = 0
            while data := client.recv(1 << 16):
                total += len(data)
                client.sendall(data)
            client.sendall(f"<end of {total}>".encode())
            client.close()
    assert os.read(ready, 1)


@in_namespaces
async def test_much_data_arrives_whole_and_one_side_may_end_before_the_other() -> None:
    links.prepare()
    with pod("10.244.0.2") as server, pod("10.244.0.3") as client:
        echo_in(server)
        with leading({frontend(SERVICE, 80): to(("10.244.0.2", 8000))}):

            def talk() -> bool:
                data = os.urandom(1 << 20) * 16
                with socket.create_connection((SERVICE, 80), timeout=20) as sock:

                    def send() -> None:
                        sock.sendall(data)
                        sock.shutdown(socket.SHUT_WR)

                    sending = threading.Thread(target=send)
                    sending.start()
                    got = b"".join(iter(lambda: sock.recv(1 << 20), b""))
                    sending.join()
                    return got == data + f"<end of {len(data)}>".encode()

            assert await client.running(talk)
            assert await asyncio.to_thread(talk)


@in_namespaces
async def test_datagrams_are_led_and_answered_and_follow_their_endpoints() -> None:
    links.prepare()

    def serve(one: Pod, word: bytes) -> None:
        ready, told = os.pipe()
        space = os.open(f"/proc/{one.pid}/ns/net", os.O_RDONLY)
        if not os.fork():
            kernel.die_with_parent(9)
            kernel.enter(space, kernel.CLONE_NEWNET)
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind(("0.0.0.0", 5300))
            os.write(told, b".")
            while True:
                data, client = sock.recvfrom(2000)
                sock.sendto(word + data, client)
        assert os.read(ready, 1)

    def exchange(times: int = 1, size: int = 5) -> list[bytes | str]:
        answers: list[bytes | str] = []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(2)
            sock.connect((SERVICE, 53))
            for _ in range(times):
                try:
                    sock.send(b"x" * size)
                    answers.append(sock.recv(2000)[:4])
                except OSError as error:
                    answers.append(type(error).__name__)
        return answers

    with pod("10.244.0.2") as one, pod("10.244.0.3") as other, pod("10.244.0.4") as client:
        serve(one, b"one ")
        serve(other, b"two ")
        with leading({frontend(SERVICE, 53, UDP): to(("10.244.0.2", 5300))}) as translator:
            assert await client.running(lambda: exchange(3)) == [b"one "] * 3
            assert await client.running(lambda: exchange(1, size=1400)) == [b"one "]
            translator.lead_by({frontend(SERVICE, 53, UDP): to(("10.244.0.3", 5300))})
            assert await client.running(lambda: exchange(3)) == [b"two "] * 3
            translator.lead_by({frontend(SERVICE, 53, UDP): to(("10.244.0.3", 5301))})
            assert await client.running(exchange) == ["ConnectionRefusedError"]
            translator.lead_by({})
            assert await client.running(exchange) == ["ConnectionRefusedError"]


@in_namespaces
async def test_a_client_that_is_to_keep_its_endpoint_does() -> None:
    links.prepare()
    with pod("10.244.0.2") as one, pod("10.244.0.3") as other, pod("10.244.0.4") as client:
        server_in(one, 8000, "one ")
        server_in(other, 8000, "other ")
        both = to(("10.244.0.2", 8000), ("10.244.0.3", 8000), affinity=60 * SECOND)
        with leading({frontend(SERVICE, 80): both}):
            assert len(await client.running(lambda: {asked(SERVICE, 80) for _ in range(20)})) == 1


@in_namespaces
async def test_a_node_port_is_served_on_the_nodes_addresses_and_others_of_its_range_are_as_ever() -> None:
    links.prepare()
    with pod("10.244.0.2") as one, pod("10.244.0.3") as client:
        server_in(one, 8000, "one sees ")
        with leading({frontend("10.0.0.1", 30080): to(("10.244.0.2", 8000))}):
            own = socket.create_server(("10.0.0.1", 30081))
            threading.Thread(target=lambda: own.accept()[0].send(b"the root"), daemon=True).start()
            assert await client.running(lambda: asked("10.0.0.1", 30080)) == "one sees 10.244.0.3"
            assert await asyncio.to_thread(asked, "10.0.0.1", 30080) == "one sees 10.0.0.1"
            assert await client.running(lambda: asked("10.0.0.1", 30081)) == "the root"
            assert await client.running(lambda: asked("10.0.0.1", 30082)) == "ECONNREFUSED"


@pytest.mark.slow
@in_namespaces
async def test_more_connections_than_there_are_ports_are_served_one_after_the_other() -> None:
    links.prepare()
    with pod("10.244.0.2") as one, pod("10.244.0.3") as client:
        server_in(one, 8000)
        with leading({frontend(SERVICE, 80): to(("10.244.0.2", 8000))}):

            def many() -> set[str]:
                return {asked(SERVICE, 80) for _ in range(8000)}

            assert await client.running(many) == {"10.244.0.3"}


@in_namespaces
async def test_when_it_ends_the_namespace_is_as_it_was() -> None:
    links.prepare()

    def state() -> tuple[object, ...]:
        """What each rule is (struct fib_rule_hdr), and the links."""
        everything = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0)
        with Netlink() as link:
            return sorted(rule[:12] for rule in link.dump(netlink.RTM_GETRULE, everything)), socket.if_nameindex()

    before = state()
    with leading({}):
        assert state() != before
    assert state() == before


def frame(one: packets.Tuple, *, flags: int = packets.SYN, payload: bytes = b"") -> bytearray:
    """A TCP segment with whole checksums, as a packet socket gives it."""
    tcp = struct.pack(">HHIIBBHHH", one.sport, one.dport, 1, 2, 0x50, flags, 100, 0, 0) + payload
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 7, 0, 64, 6, 0, one.source, one.target)
    made = bytearray(bytes(10) + b"\xee" * 12 + b"\x08\x00" + ip + tcp)
    packets._complete(made, packets.IP + 10, packets.IP, packets.L4)
    made[packets.L4 + 16 : packets.L4 + 18] = checksum(made).to_bytes(2, "big")
    return made


def checksum(made: bytearray) -> int:
    """What the TCP checksum of a frame must be (RFC 9293), from scratch."""
    copy = bytearray(made)
    copy[packets.L4 + 16 : packets.L4 + 18] = b"\0\0"
    data = bytes(copy[packets.L4 :])
    pseudo = bytes(copy[packets.IP + 12 : packets.IP + 20]) + struct.pack(">HH", 6, len(data))
    return 0xFFFF - packets._sum(pseudo + data)


def address(text: str) -> bytes:
    return socket.inet_aton(text)


@pytest.mark.parametrize("payload", [b"", b"x", b"GET / HTTP/1.1\r\n\r\n", bytes(range(256))])
def test_checksums_are_right_after_rewriting_where_they_are_whole(payload: bytes) -> None:
    before = packets.Tuple(6, address("10.244.0.2"), 56001, address(SERVICE), 80)
    after = packets.Tuple(6, address("10.244.0.2"), 60001, address("10.244.255.255"), 65534)
    made = frame(before, payload=payload)
    packets.Rewriting(before, after).apply(made)
    assert packets.read(made, len(made)) == packets.key(after)
    assert int.from_bytes(made[packets.L4 + 16 : packets.L4 + 18], "big") == checksum(made)
    header = bytes(made[packets.IP : packets.L4])
    assert packets._sum(header) == 0xFFFF


def test_a_checksum_that_is_to_be_completed_later_stays_the_sum_of_the_pseudo_header() -> None:
    def pseudo(one: packets.Tuple, size: int) -> int:
        return packets._sum(one.source + one.target + struct.pack(">HH", 6, size))

    before = packets.Tuple(6, address("10.244.0.2"), 56001, address(SERVICE), 80)
    after = packets.Tuple(6, address("10.244.3.2"), 60001, address("10.244.255.254"), 9999)
    made = frame(before, payload=b"hello")
    made[0] = packets._NEEDS_CSUM
    struct.pack_into(">H", made, packets.L4 + 16, pseudo(before, 25))
    packets.Rewriting(before, after).apply(made)
    assert struct.unpack_from(">H", made, packets.L4 + 16) == (pseudo(after, 25),)


def test_what_has_options_is_a_fragment_or_is_cut_short_is_left_alone() -> None:
    one = packets.Tuple(6, address("10.244.0.2"), 56001, address(SERVICE), 80)
    whole = frame(one)
    for size in range(len(whole)):
        assert packets.read(whole[:size], size) is None
    for at, value in ((packets.IP, 0x46), (packets.IP + 6, 0x20), (packets.IP + 7, 1), (packets.IP + 9, 132)):
        other = bytearray(whole)
        other[at] = value
        assert packets.read(other, len(other)) is None


def translator() -> Translator:
    made = Translator(seed=2)
    made.lead_by({frontend(SERVICE, 80): to(("10.244.0.3", 8000))})
    return made


def test_a_conversation_is_forgotten_some_time_after_it_is_over_and_kept_while_it_is_not() -> None:
    made = translator()
    asked_ = packets.Tuple(6, address("10.244.0.2"), 56001, address(SERVICE), 80)

    def send(one: packets.Tuple, flags: int, at: int) -> None:
        data = frame(one, flags=flags)
        made.handle(data, len(data), at * SECOND)

    send(asked_, packets.SYN, 0)
    led = made.conversations[0].led
    send(led.reply, packets.SYN | packets.ACK, 0)
    send(asked_, packets.ACK, 0)
    made.sweep(3600 * SECOND)
    assert made.conversations[0].state == "open"
    send(asked_, packets.FIN | packets.ACK, 3600)
    assert made.conversations[0].state == "half closed"
    send(led.reply, packets.FIN | packets.ACK, 3601)
    made.sweep(3602 * SECOND)
    assert len(made.conversations) == 1
    made.sweep(3700 * SECOND)
    assert not made.conversations
    assert not made._directions


def test_a_client_that_connects_again_from_the_same_port_is_led_anew() -> None:
    made = translator()
    asked_ = packets.Tuple(6, address("10.244.0.2"), 56001, address(SERVICE), 80)
    for flags in (packets.SYN, packets.RST):
        data = frame(asked_, flags=flags)
        made.handle(data, len(data), 0)
    first = made.conversations[0].led
    made.lead_by({frontend(SERVICE, 80): to(("10.244.0.4", 8000))})
    data = frame(asked_)
    made.handle(data, len(data), SECOND)
    (now,) = made.conversations
    assert now.led.target == address("10.244.0.4") != first.target


def test_segments_of_a_conversation_nobody_knows_pass_unchanged() -> None:
    made = translator()
    data = frame(packets.Tuple(6, address("10.244.0.2"), 56001, address(SERVICE), 80), flags=packets.ACK)
    before = bytes(data)
    made.handle(data, len(data), 0)
    assert bytes(data) == before
    assert not made.conversations


ASKED = packets.Tuple(6, address("10.244.0.2"), 56001, address(SERVICE), 80)


def said(made: Translator, one: packets.Tuple, flags: int, at: int = 0) -> bytes:
    """Have a segment led; whom it goes to then."""
    data = frame(one, flags=flags)
    made.handle(data, len(data), at * SECOND)
    return bytes(data[packets.IP + 16 : packets.IP + 20])


def test_a_repeated_first_segment_goes_to_the_same_endpoint_and_one_of_another_client_with_the_same_port_anew() -> None:
    made = translator()
    assert said(made, ASKED, packets.SYN) == address("10.244.0.3")
    made.lead_by({frontend(SERVICE, 80): to(("10.244.0.4", 8000))})
    assert said(made, ASKED, packets.SYN) == address("10.244.0.3")
    said(made, made.conversations[0].led.reply, packets.SYN | packets.ACK)
    assert said(made, ASKED, packets.SYN) == address("10.244.0.3")
    assert said(made, ASKED, packets.ACK) == address("10.244.0.3")
    assert made.conversations[0].state == "open"
    assert said(made, ASKED, packets.SYN) == address("10.244.0.4")
    assert len(made.conversations) == 1


def test_what_pods_said_that_are_gone_is_forgotten_sooner() -> None:
    made = translator()
    said(made, ASKED, packets.SYN)
    said(made, ASKED, packets.ACK)
    table = {frontend(SERVICE, 80): to(("10.244.0.3", 8000))}
    made.lead_by(table, pods=frozenset({address("10.244.0.2"), address("10.244.0.3")}))
    made.sweep(3600 * SECOND)
    assert made.conversations
    made.lead_by(table, pods=frozenset({address("10.244.0.3")}))
    made.sweep(3600 * SECOND)
    assert not made.conversations
