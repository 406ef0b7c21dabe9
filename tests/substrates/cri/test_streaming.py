"""The streaming server against a client that speaks as kubectl's does, with commands that are processes of this machine."""

import asyncio
import json
import os
import shlex
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import InputError, SubstrateError
from harness.model.units import SECOND, milliseconds
from harness.substrates.cri import streaming
from harness.substrates.cri.sessions import Attach, Exec, PortForward
from harness.substrates.cri.spdy_frames import GoAway, Leaving, Ping, RstStream, Setting, Settings, Status, WindowUpdate
from harness.substrates.cri.spdy_session import KEPT
from harness.substrates.cri.spdy_stream import WINDOW
from harness.substrates.cri.streaming import Streaming
from tests.substrates.cri.client import Client, ClientStream, request, upgraded
from tests.substrates.cri.processes import Processes
from tests.substrates.cri.test_spdy import control, frames


@pytest.fixture
def processes() -> Processes:
    return Processes()


@asynccontextmanager
async def serving(processes: Processes, **limits: int) -> AsyncIterator[Streaming]:
    server = Streaming(processes, **limits)
    await server.start("127.0.0.1")
    try:
        yield server
    finally:
        await server.close()


@pytest.fixture
async def server(processes) -> AsyncIterator[Streaming]:
    async with serving(processes) as server:
        yield server


def running(command: str, *, tty: bool = False, stdin: bool = False) -> Exec:
    return Exec("c1", ("sh", "-c", command), tty=tty, stdin=stdin, stdout=True, stderr=not tty)


async def opened(client: Client, asked: Exec | Attach, *, resize: bool = True) -> dict[str, ClientStream]:
    """The streams as client-go opens them: error, stdin, stdout, stderr, resize."""
    kinds = ["error", *(kind for kind in ("stdin", "stdout", "stderr") if getattr(asked, kind))]
    if asked.tty and resize:
        kinds.append("resize")
    return {kind: await client.open(streamtype=kind) for kind in kinds}


@asynccontextmanager
async def session(server: Streaming, asked: Exec | Attach, *protocols: str):
    async with await upgraded(server.url(asked), *protocols) as client:
        yield client, await opened(client, asked)


async def outcome(streams: dict[str, ClientStream]) -> dict:
    return json.loads(await streams["error"].all())


async def test_a_command_is_run_and_its_output_its_errors_and_its_success_are_told_apart(server):
    async with session(server, running("echo out; echo err >&2")) as (client, streams):
        assert await streams["stdout"].all() == b"out\n"
        assert await streams["stderr"].all() == b"err\n"
        assert await outcome(streams) == {"metadata": {}, "status": "Success"}
        await client.until(lambda: client.away == GoAway(5, Leaving.OK))


@pytest.mark.parametrize("code", [1, 3, 126, 137, 255])
async def test_an_exit_code_is_told_as_kubernetes_words_it(server, code):
    async with session(server, running(f"exit {code}")) as (_, streams):
        assert await outcome(streams) == {
            "metadata": {},
            "status": "Failure",
            "message": "command terminated with non-zero exit code: "
            f"error executing command [sh -c exit {code}], exit code {code}",
            "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
        }


async def test_what_cannot_be_run_is_an_internal_error(server):
    asked = Exec("c1", ("nothing-of-the-kind",), tty=False, stdin=False, stdout=True, stderr=True)
    async with session(server, asked) as (_, streams):
        told = await outcome(streams)
        why = 'error executing command in container: exec: "nothing-of-the-kind": executable file not found in $PATH'
        assert told["message"] == f"Internal error occurred: {why}"
        assert (told["reason"], told["code"]) == ("InternalError", 500)


@pytest.mark.parametrize("protocol", ["v3.channel.k8s.io", "v2.channel.k8s.io"])
async def test_older_protocols_are_told_in_words_and_success_in_silence(server, protocol):
    async with session(server, running("exit 4"), protocol) as (_, streams):
        assert (await streams["error"].all()).endswith(b"exit code 4")
    async with session(server, running("true"), protocol) as (_, streams):
        assert await streams["error"].all() == b""


async def test_standard_input_arrives_and_its_end_ends_the_command(server):
    async with session(server, running("cat; echo end", stdin=True)) as (_, streams):
        streams["stdin"].send(b"one\n")
        await streams["stdout"].until(lambda stream: stream.received == b"one\n")
        streams["stdin"].send(b"two\n", fin=True)
        assert await streams["stdout"].all() == b"one\ntwo\nend\n"
        assert (await outcome(streams))["status"] == "Success"


async def test_megabytes_go_through_in_both_directions_unchanged(server):
    sent = os.urandom(3 << 20)
    async with session(server, running("cat", stdin=True)) as (client, streams):

        async def send() -> None:
            for at in range(0, len(sent), 32768):
                streams["stdin"].send(sent[at : at + 32768])
                await client.drain()
            streams["stdin"].send(b"", fin=True)

        sending = asyncio.create_task(send())
        assert await streams["stdout"].all() == sent
        await sending
        assert client.windows[0] >= len(sent) - WINDOW


async def test_input_that_is_not_read_holds_up_neither_the_command_nor_its_end(server):
    async with session(server, running("sleep 0.3; echo done", stdin=True)) as (client, streams):

        async def send() -> None:
            for _ in range(KEPT * 8 // 65536):
                streams["stdin"].send(bytes(65536))
                await client.drain()

        sending = asyncio.create_task(send())
        assert await streams["stdout"].all() == b"done\n"
        assert (await outcome(streams))["status"] == "Success"
        sending.cancel()


async def test_output_of_a_child_that_outlives_its_command_is_copied_to_its_end(server):
    async with session(server, running("(sleep 0.3; echo late) & echo soon")) as (_, streams):
        assert await streams["stdout"].all() == b"soon\nlate\n"
        assert (await outcome(streams))["status"] == "Success"


async def test_a_client_that_goes_leaves_the_command_running_with_its_pipes_broken(server, processes, tmp_path):
    trace = tmp_path / "trace"
    ending = f"cat; trap '' PIPE; sleep 0.2; echo more 2>/dev/null || echo broken >> {shlex.quote(str(trace))}; exit 9"
    async with session(server, running(ending, stdin=True)) as (client, streams):
        streams["stdin"].send(b"here\n")
        await streams["stdout"].until(lambda stream: stream.received == b"here\n")
        assert not client.over
    assert await processes.all_ended() == [9]
    assert trace.read_text() == "broken\n"


async def test_closing_the_server_ends_what_it_runs_and_every_connection(processes):
    async with serving(processes) as server, session(server, running("echo on; sleep 60")) as (client, streams):
        await streams["stdout"].until(lambda stream: stream.received == b"on\n")
        await server.close()
        await client.until(lambda: client.over)
    assert processes.ended == ["cancelled"]


async def test_a_terminal_has_the_size_that_the_client_says_and_follows_it(server):
    command = "stty size; while [ \"$(stty size)\" = '24 80' ]; do sleep 0.05; done; stty size; tty -s && echo tty"
    async with session(server, running(f"sleep 0.3; {command}", tty=True)) as (_, streams):
        streams["resize"].send(b'{"Width":80,"Height":24}\n')
        await streams["stdout"].until(lambda stream: b"24 80" in stream.received)
        streams["resize"].send(b'{"Width":1')
        streams["resize"].send(b'32,"Height":43}{"Width":132,"Height":43}\n')
        assert (await streams["stdout"].all()).split(b"\r\n") == [b"24 80", b"43 132", b"tty", b""]


async def test_a_terminal_without_resizing_is_served_by_the_protocol_that_has_none(server):
    asked = running("tty -s && echo tty", tty=True)
    async with await upgraded(server.url(asked), "v2.channel.k8s.io") as client:
        streams = await opened(client, asked, resize=False)
        assert await streams["stdout"].all() == b"tty\r\n"


@pytest.mark.parametrize(
    "said", [b"garbage", b'{"Width":"a"}', b"[1]", b'{"Width":1,"Height":2}' + b" " * 5000 + b"x" * 5000]
)
async def test_a_size_that_is_none_leaves_the_session_alone(server, said):
    async with session(server, running("cat", tty=True, stdin=True)) as (_, streams):
        streams["resize"].send(said)
        streams["stdin"].send(b"hello\n\x04")
        assert b"hello" in await streams["stdout"].all()
        assert (await outcome(streams))["status"] == "Success"


async def test_attach_copies_both_ways_until_the_container_ends(server, processes):
    asked = Attach("c7", tty=False, stdin=True, stdout=True, stderr=True)
    async with session(server, asked) as (_, streams):
        streams["stdin"].send(b"hello\n")
        await streams["stdout"].until(lambda stream: stream.received == b"attached to c7\nhello\n")
        processes.stop.set()
        assert (await outcome(streams)) == {"metadata": {}, "status": "Success"}


async def test_attach_ends_with_its_client(server, processes):
    asked = Attach("c7", tty=False, stdin=True, stdout=True, stderr=False)
    async with session(server, asked):
        await processes.attached.wait()
    assert await processes.all_ended() == ["cancelled"]


async def test_windows_are_kept_once_the_client_speaks_of_them(server):
    async with await upgraded(server.url(running("head -c 300000 /dev/zero"))) as client:
        client.send(Settings((Setting(7, 1000),)))
        streams = await opened(client, running(""))
        out = streams["stdout"]
        await out.until(lambda stream: len(stream.received) == 1000)
        client.send(WindowUpdate(out.number, 500))
        await out.until(lambda stream: len(stream.received) == 1500)
        client.send(Ping(1))
        await client.until(lambda: client.pongs == [1])
        assert len(out.received) == 1500
        client.send(WindowUpdate(out.number, 1 << 20))
        await out.until(lambda stream: len(stream.received) == WINDOW)
        client.send(WindowUpdate(0, 1 << 20))
        client.send(WindowUpdate(streams["error"].number, 1 << 20))
        assert await out.all() == bytes(300_000)
        assert (await outcome(streams))["status"] == "Success"


async def test_a_stream_that_nobody_asked_for_is_refused_and_the_others_work(server):
    asked = running("echo ok")
    async with await upgraded(server.url(asked)) as client:
        assert (await client.open(streamtype="resize")).reset == Status.REFUSED_STREAM
        assert (await client.open()).reset == Status.REFUSED_STREAM
        streams = await opened(client, asked)
        assert await streams["stdout"].all() == b"ok\n"


async def test_no_command_is_run_for_a_client_that_opens_too_few_streams(processes):
    async with serving(processes, patience=milliseconds(300)) as server:
        async with await upgraded(server.url(running("true"))) as client:
            await client.open(streamtype="error")
            await client.until(lambda: client.away is not None)
        async with await upgraded(server.url(running("true"))) as client:
            await client.open(streamtype="error")
        assert processes.begun == []


async def test_a_silent_session_is_ended(processes):
    async with serving(processes, idle=milliseconds(400), linger=SECOND) as server:
        async with session(server, running("cat", stdin=True)) as (client, streams):
            for _ in range(4):
                await asyncio.sleep(0.2)
                streams["stdin"].send(b"x")
                await client.drain()
            await streams["stdout"].until(lambda stream: stream.received == b"xxxx")
            await client.until(lambda: client.over)
        assert await processes.all_ended() == [0]


async def test_a_broken_session_is_left_with_the_reason(server, processes):
    async with session(server, running("cat", stdin=True)) as (client, _):
        client.raw(b"\x80\x02garbage, not SPDY/3")
        await client.until(lambda: client.away == GoAway(7, Leaving.PROTOCOL_ERROR))
        await client.until(lambda: client.over)
    assert await processes.all_ended() == [0]


garbage = st.binary(max_size=40) | st.builds(control, st.integers(1, 11), st.binary(max_size=20))


@settings(deadline=None, max_examples=60)
@given(st.lists(frames | garbage, max_size=12), st.booleans())
async def test_whatever_a_client_sends_its_session_ends_and_the_next_is_served(sent, forwards):
    processes = Processes()
    async with serving(processes, patience=milliseconds(200), linger=milliseconds(100)) as server:
        asked = PortForward("s") if forwards else running("cat", stdin=True)
        async with await upgraded(server.url(asked), "v4.channel.k8s.io", "portforward.k8s.io") as client:
            for each in sent:
                if isinstance(each, bytes):
                    client.raw(each)
                else:
                    client.send(each)
            client.end()
            await client.until(lambda: client.over)
        async with session(server, running("echo alive")) as (_, streams):
            assert await streams["stdout"].all() == b"alive\n"


@pytest.mark.parametrize("path", ["/exec/unknown", "/", "/healthz", "/exec/", "/portforward/..", "/attach/%2e"])
async def test_a_path_that_is_no_url_of_ours_is_not_found(server, path):
    url = server.url(running("true"))
    status, _, body, _ = await request(url.split("/exec")[0] + path, "Connection: Upgrade", "Upgrade: SPDY/3.1")
    assert (status, body) == ("HTTP/1.1 404 Not Found", b"404 page not found\n")


async def test_a_url_is_good_once_and_for_what_it_was_made_for(server):
    url = server.url(running("true"))
    async with await upgraded(url):
        pass
    assert (await request(url))[0] == "HTTP/1.1 404 Not Found"
    assert (await request(server.url(running("true")).replace("/exec/", "/attach/")))[0] == "HTTP/1.1 404 Not Found"


async def test_a_url_is_good_for_a_minute(server, monkeypatch):
    url = server.url(running("true"))
    later = streaming.now() + streaming.TOKEN_LIFE + 1
    monkeypatch.setattr(streaming, "now", lambda: later)
    assert (await request(url))[0] == "HTTP/1.1 404 Not Found"


async def test_only_so_many_urls_wait(server):
    for _ in range(streaming.MOST_TOKENS):
        server.url(running("true"))
    with pytest.raises(SubstrateError, match="in-flight"):
        server.url(running("true"))


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ((), "400 Bad Request", "missing upgrade headers"),
        (("Connection: Upgrade", "Upgrade: websocket"), "400 Bad Request", "missing upgrade headers"),
        (("Connection: keep-alive", "Upgrade: SPDY/3.1"), "400 Bad Request", "missing upgrade headers"),
        (("Connection: Upgrade", "Upgrade: SPDY/3.1"), "403 Forbidden", "client supports []"),
        (
            ("Connection: Upgrade", "Upgrade: SPDY/3.1", "X-Stream-Protocol-Version: v9.channel.k8s.io, v8"),
            "403 Forbidden",
            "client supports [v9.channel.k8s.io v8], server accepts [v5.channel.k8s.io v4.channel.k8s.io",
        ),
        ((" odd: header",), "400 Bad Request", "not a header"),
    ],
)
async def test_a_request_that_cannot_be_upgraded_is_answered_with_the_reason(server, fields, status, said):
    line, headers, body, _ = await request(server.url(running("true")), *fields)
    assert line == f"HTTP/1.1 {status}"
    assert said in body.decode()
    assert headers["content-length"] == str(len(body))


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("PUT {} HTTP/1.1", "405 Method Not Allowed"),
        ("POST {} HTTP/1.0", "400 Bad Request"),
        ("POST {}", "400 Bad Request"),
        ("", "404 Not Found"),
        ("POST / HTTP/1.1\r\nX: " + "x" * 70_000, "431 Request Header Fields Too Large"),
    ],
)
async def test_what_is_no_request_is_answered_as_http_does(server, line, status):
    url = server.url(running("true"))
    sent = line.format(url[url.index("/exec") :]) or "GET /nothing HTTP/1.1"
    assert (await request(url, line=sent))[0] == f"HTTP/1.1 {status}"


async def test_the_first_protocol_of_the_client_that_is_known_is_spoken(server):
    wanted = "X-Stream-Protocol-Version: v99.channel.k8s.io, v4.channel.k8s.io"
    _, headers, _, client = await request(
        server.url(running("true")), "Connection: keep-alive, upgrade", "Upgrade: SPDY/3.1", wanted
    )
    assert client
    assert headers["x-stream-protocol-version"] == "v4.channel.k8s.io"
    assert headers["upgrade"] == "SPDY/3.1"
    await client.close()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Exec("", ("a",), tty=False, stdin=False, stdout=True, stderr=False), "missing required container_id"),
        (Exec("c", ("a",), tty=True, stdin=False, stdout=True, stderr=True), "tty and stderr cannot both be true"),
        (Attach("c", tty=False, stdin=False, stdout=False, stderr=False), "one of stdin, stdout, or stderr"),
        (PortForward(""), "missing required pod_sandbox_id"),
    ],
)
async def test_a_request_that_cannot_be_met_gets_no_url(server, asked, said):
    with pytest.raises(InputError, match=said):
        server.url(asked)


@asynccontextmanager
async def listening(answer) -> AsyncIterator[int]:
    """A TCP server on a free port."""
    there = await asyncio.start_server(answer, "127.0.0.1")
    try:
        yield there.sockets[0].getsockname()[1]
    finally:
        there.close()


async def backwards(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """All that is said, backwards, once the other side has half-closed."""
    writer.write((await reader.read())[::-1])
    writer.close()


async def forwarded(client: Client, port: int, number: int) -> tuple[ClientStream, ClientStream]:
    """The two streams of a connection, as kubectl opens them."""
    headers = {"port": str(port), "requestid": str(number)}
    error = await client.open(streamtype="error", **headers)
    error.send(b"", fin=True)
    return error, await client.open(streamtype="data", **headers)


async def test_many_connections_are_forwarded_at_once_over_one_session(server):
    async with (
        listening(backwards) as port,
        await upgraded(server.url(PortForward("s1")), "portforward.k8s.io") as client,
    ):
        pairs = await asyncio.gather(*(forwarded(client, port, number) for number in range(40)))
        for number, (_, data) in enumerate(pairs):
            data.send(f"connection {number} ".encode() * 1000)
            data.send(b"", fin=True)
        for number, (error, data) in enumerate(pairs):
            assert await data.all() == (f"connection {number} ".encode() * 1000)[::-1]
            assert await error.all() == b""


async def test_a_port_where_nobody_listens_is_told_on_the_error_stream_and_the_session_goes_on(server):
    async with (
        listening(backwards) as port,
        await upgraded(server.url(PortForward("s1")), "portforward.k8s.io") as client,
    ):
        error, data = await forwarded(client, 1, 0)
        assert (await error.all()).decode() == (
            'error forwarding port 1 to pod s1, uid : failed to execute portforward in network namespace "s1": failed to '
            'connect to localhost:1 inside namespace "s1", IPv4: dial tcp4 127.0.0.1:1: connect: connection refused '
            "IPv6 dial tcp6 [::1]:1: connect: connection refused "
        )
        assert await data.all() == b""
        error, data = await forwarded(client, port, 1)
        data.send(b"abc", fin=True)
        assert await data.all() == b"cba"


async def test_a_sandbox_that_is_gone_is_told_on_the_error_stream(server):
    async with await upgraded(server.url(PortForward("gone")), "portforward.k8s.io") as client:
        error, data = await forwarded(client, 80, 0)
        assert (await error.all()).endswith(b'find sandbox "gone": not found')
        assert await data.all() == b""


async def test_a_server_that_resets_its_connection_is_told_as_an_error(server):
    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER of 0 s: a reset
        writer.transport.abort()

    async with listening(rude) as port, await upgraded(server.url(PortForward("s1")), "portforward.k8s.io") as client:
        error, data = await forwarded(client, port, 0)
        data.send(b"x")
        assert b"connection reset by peer" in await error.all()
        assert await data.all() == b""


async def test_a_stream_that_the_client_resets_ends_its_connection(server):
    ended = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        ended.set()

    async with listening(silent) as port, await upgraded(server.url(PortForward("s1")), "portforward.k8s.io") as client:
        error, data = await forwarded(client, port, 0)
        client.send(RstStream(data.number, Status.CANCEL))
        assert await error.all() == b""
        await asyncio.wait_for(ended.wait(), 10)


@pytest.mark.parametrize(
    "headers",
    [
        {"streamtype": "data"},
        {"streamtype": "data", "port": "0"},
        {"streamtype": "data", "port": "65536"},
        {"streamtype": "data", "port": "²"},
        {"streamtype": "stdin", "port": "80"},
        {"port": "80"},
    ],
)
async def test_a_stream_without_port_or_type_is_reset(server, headers):
    async with await upgraded(server.url(PortForward("s1")), "portforward.k8s.io") as client:
        assert (await client.open(**headers)).reset == Status.CANCEL


async def test_half_a_pair_is_given_up_after_a_while(processes):
    async with (
        serving(processes, patience=milliseconds(200)) as server,
        await upgraded(server.url(PortForward("s1")), "portforward.k8s.io") as client,
    ):
        error = await client.open(streamtype="error", port="80", requestid="5")
        assert b"timed out waiting for streams" in await error.all()
        data = await client.open(streamtype="data", port="80", requestid="6")
        await data.until(lambda stream: stream.reset == Status.CANCEL)


async def test_streams_without_a_request_number_are_paired_by_their_own(server):
    async with (
        listening(backwards) as port,
        await upgraded(server.url(PortForward("s1")), "portforward.k8s.io") as client,
    ):
        await client.open(streamtype="error", port=str(port))
        data = await client.open(streamtype="data", port=str(port))
        data.send(b"abc", fin=True)
        assert await data.all() == b"cba"
