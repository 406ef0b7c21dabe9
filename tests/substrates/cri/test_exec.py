"""Commands in containers: ExecSync as probes use it."""

import time

import grpc
import pytest

from harness.substrates.cri import runtime_pb2 as cri
from tests.substrates.cri.runtime import Pod, Runtime

pytestmark = pytest.mark.real


def test_a_command_answers_with_its_streams_and_its_exit_code(pod: Pod) -> None:
    answer = pod.run("sleep", "1000").exec("sh", "-c", "echo out; echo err >&2; exit 3")

    assert (answer.stdout, answer.stderr, answer.exit_code) == (b"out\n", b"err\n", 3)


def test_a_command_sees_what_the_container_sees(pod: Pod) -> None:
    container = pod.run(
        "sh", "-c", "echo mine > /tmp/note; sleep 1000", working_dir="/srv", envs=[cri.KeyValue(key="WHO", value="me")]
    )
    container.exec("sh", "-c", "until [ -s /tmp/note ]; do sleep 0.02; done", timeout=5)

    answer = container.exec("sh", "-c", "cat /tmp/note; echo $WHO; pwd; hostname; tr '\\0' ' ' < /proc/1/cmdline")

    assert answer.stdout.decode().startswith(f"mine\nme\n/srv\n{pod.config.hostname}\nsh -c")


def test_a_command_that_takes_too_long_is_killed_and_it_is_said_so(runtime: Runtime, pod: Pod) -> None:
    container = pod.run("sleep", "1000")

    began = time.monotonic()
    code, words = runtime.refused("ExecSync", container_id=container.id, cmd=["sleep", "77"], timeout=1)

    assert code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "timeout 1s exceeded" in words
    assert time.monotonic() - began < 3
    assert b"77" not in container.exec("sh", "-c", "cat /proc/[0-9]*/cmdline").stdout.replace(b"cat /proc", b"")


def test_a_command_that_is_not_there_is_said_so(runtime: Runtime, pod: Pod) -> None:
    container = pod.run("sleep", "1000")

    _, words = runtime.refused("ExecSync", container_id=container.id, cmd=["nothing-of-the-kind"])

    assert 'exec: "nothing-of-the-kind": executable file not found in $PATH' in words
    assert container.status.state == cri.CONTAINER_RUNNING


def test_no_command_runs_in_a_container_that_does_not(runtime: Runtime, pod: Pod) -> None:
    container = pod.run("true")
    container.until_exited()

    code, words = runtime.refused("ExecSync", container_id=container.id, cmd=["true"])

    assert (code, words) == (grpc.StatusCode.FAILED_PRECONDITION, "container is in CONTAINER_EXITED state")


def test_a_command_ends_with_its_container(pod: Pod) -> None:
    container = pod.run("sleep", "0.5")

    assert container.exec("sleep", "1000").exit_code == 137


def test_a_command_that_leaves_something_behind_does_not_wait_for_it(pod: Pod) -> None:
    container = pod.run("sleep", "1000")

    began = time.monotonic()
    answer = container.exec("sh", "-c", "echo begun; sleep 500 & exit 0")

    assert (answer.stdout, answer.exit_code) == (b"begun\n", 0)
    assert time.monotonic() - began < 5


def test_output_beyond_16_mebibytes_is_dropped(pod: Pod) -> None:
    answer = pod.run("sleep", "1000").exec("sh", "-c", "head -c 20000000 /dev/zero; exit 4")

    assert (len(answer.stdout), answer.exit_code) == (16 * 1024 * 1024, 4)
