"""exec, attach and port-forward from the CRI call to the container and back, over the streaming server."""

import json
import re
import sys

import grpc
import pytest

from harness.substrates.cri import runtime_pb2 as cri
from tests.substrates.cri.runtime import Container, Pod, Runtime, until

pytestmark = pytest.mark.real

OUTPUT = ["stdout", "stderr"]


def _visit(runtime: Runtime, url: str, **asked: object) -> dict[str, str]:
    done = runtime.inside(sys.executable, "-m", "tests.substrates.cri.visitor", url, json.dumps(asked))
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def _exec(
    container: Container, *command: str, says: tuple[tuple[str, str], ...] = (), ends: bool = False, tty: bool = False
):
    runtime = container.pod.runtime
    stdin = bool(says) or ends
    url = runtime.call(
        "Exec", container_id=container.id, cmd=command, tty=tty, stdin=stdin, stdout=True, stderr=not tty
    ).url
    streams = [*(["stdin"] if stdin else []), *(["stdout", "resize"] if tty else OUTPUT)]
    return _visit(runtime, url, streams=streams, says=says, ends=ends)


@pytest.fixture
def asleep(pod: Pod) -> Container:
    return pod.run("sleep", "1000")


def test_a_command_has_its_streams_and_its_exit_code(asleep: Container) -> None:
    done = _exec(asleep, "sh", "-c", "echo out; echo err >&2; exit 3")

    assert (done["stdout"], done["stderr"]) == ("out\n", "err\n")
    assert json.loads(done["error"])["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]


def test_a_command_reads_until_its_input_ends(asleep: Container) -> None:
    done = _exec(asleep, "sh", "-c", "cat; echo end", says=(("", "one\n"), ("one", "two\n")), ends=True)

    assert done["stdout"] == "one\ntwo\nend\n"


def test_a_command_without_input_has_none(asleep: Container) -> None:
    assert _exec(asleep, "cat")["stdout"] == ""


def test_a_command_that_is_not_there_is_told_in_the_usual_words(asleep: Container) -> None:
    message = json.loads(_exec(asleep, "nothing-of-the-kind")["error"])["message"]

    assert re.fullmatch(
        r"Internal error occurred: error executing command in container: failed to exec in container: failed to start exec "
        r'"[0-9a-f]{64}": OCI runtime exec failed: exec failed: unable to start container process: '
        r'exec: "nothing-of-the-kind": executable file not found in \$PATH: unknown',
        message,
    )


def test_a_command_on_a_terminal_has_one_of_the_clients_size_and_hears_its_keys(asleep: Container) -> None:
    script = "test -t 0 && tty; echo ready; read answer; stty size; echo got $answer; read other; exit 4"
    says = (("ready", '{"Width": 91, "Height": 17}'), ("ready", "yes\n"), ("got yes", "\x03"))

    done = _exec(asleep, "sh", "-c", script, says=says, tty=True)

    assert done["stdout"].startswith("/dev/pts/0\r\nready\r\n")
    assert "17 91\r\ngot yes\r\n" in done["stdout"]
    assert json.loads(done["error"])["details"]["causes"] == [{"reason": "ExitCode", "message": "130"}]


def test_who_attaches_hears_what_the_container_says_from_then_on_until_it_ends(runtime: Runtime, pod: Pod) -> None:
    container = pod.run("sh", "-c", "read word; echo heard $word; echo wrong >&2; exit 2", stdin=True, stdin_once=True)
    url = runtime.call("Attach", container_id=container.id, stdin=True, stdout=True, stderr=True).url

    done = _visit(runtime, url, streams=["stdin", *OUTPUT], says=[["", "hello\n"]], ends=True)

    assert (done["stdout"], done["stderr"]) == ("heard hello\n", "wrong\n")
    assert container.until_exited().exit_code == 2
    assert "heard hello\n" in container.output()


def test_input_that_is_read_once_ends_with_the_client_and_other_input_lets_the_client_go(
    runtime: Runtime, pod: Pod
) -> None:
    once = pod.run("cat", stdin=True, stdin_once=True)
    again = pod.run("sh", "-c", "read a; echo $a; read b; echo $b; sleep 1000", stdin=True)

    def attached(container: Container, text: str) -> dict[str, str]:
        url = runtime.call("Attach", container_id=container.id, stdin=True, stdout=True, stderr=True).url
        return _visit(runtime, url, streams=["stdin", *OUTPUT], says=[["", text]], ends=True)

    assert attached(once, "all\n")["stdout"] == "all\n"
    assert once.until_exited().exit_code == 0
    url = runtime.call("Attach", container_id=again.id, stdin=True, stdout=False, stderr=True).url
    _send_and_go(runtime, url, "first\n")
    again.says("first")
    attached(again, "second\n")
    again.says("second")
    assert again.status.state == cri.CONTAINER_RUNNING


def _send_and_go(runtime: Runtime, url: str, text: str) -> None:
    script = (
        "import asyncio, sys\n"
        "from tests.substrates.cri.client import upgraded\n"
        "async def main():\n"
        "    async with await upgraded(sys.argv[1]) as client:\n"
        "        await client.open(streamtype='error')\n"
        "        stdin = await client.open(streamtype='stdin')\n"
        "        await client.open(streamtype='stderr')\n"
        "        stdin.send(sys.argv[2].encode())\n"
        "        await client.drain()\n"
        "asyncio.run(main())\n"
    )
    done = runtime.inside(sys.executable, "-c", script, url, text)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("family", "address"), [("AF_INET", "127.0.0.1"), ("AF_INET6", "::1")])
def test_a_port_of_a_pod_is_forwarded_also_one_of_its_loopback_only(
    runtime: Runtime, pod: Pod, family: str, address: str
) -> None:
    script = (
        f"import socket; s = socket.socket(socket.{family}); s.bind(('{address}', 9000)); s.listen(); print('up', flush=True)\n"
        "while True:\n c, _ = s.accept(); c.sendall(b'heard ' + c.recv(100)); c.close()"
    )
    pod.run("python3", "-c", script).says("up")
    url = runtime.call("PortForward", pod_sandbox_id=pod.id, port=[9000]).url

    assert _visit(runtime, url, port=9000, text="you")["data"] == "heard you"


def test_a_port_at_which_nobody_listens_is_told(runtime: Runtime, pod: Pod) -> None:
    url = runtime.call("PortForward", pod_sandbox_id=pod.id, port=[9]).url

    assert "onnect" in _visit(runtime, url, port=9, text="you")["error"]


def test_what_does_not_run_has_no_streams(runtime: Runtime, pod: Pod) -> None:
    container = pod.run("true")
    container.until_exited()
    until(lambda: container.status.state == cri.CONTAINER_EXITED, "it exits")

    for call in ("Exec", "Attach"):
        _, words = runtime.refused(call, container_id=container.id, stdout=True)
        assert words == "container is in CONTAINER_EXITED state"
    code, _ = runtime.refused("PortForward", pod_sandbox_id="absent", port=[1])
    assert code is grpc.StatusCode.NOT_FOUND
