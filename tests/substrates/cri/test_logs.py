"""Logs as the kubelet reads them."""

import re

import grpc
import pytest

from harness.substrates.cri import runtime_pb2 as cri
from harness.substrates.cri.logs import LONGEST, entries, stamp
from tests.substrates.cri.runtime import Pod, Runtime, until

AT = 1_795_268_037_603_522_813
HEAD = b"2026-11-21T13:33:57.603522813Z stdout "


def test_an_instant_is_rfc_3339_with_nanoseconds() -> None:
    assert stamp(AT) == "2026-11-21T13:33:57.603522813Z"
    assert stamp(AT - AT % 1_000_000_000 + 5) == "2026-11-21T13:33:57.000000005Z"


def test_lines_are_whole_and_what_is_unfinished_waits() -> None:
    made, rest = entries("stdout", b"one\ntwo\nthr", b"", at=AT)
    assert (made, rest) == (HEAD + b"F one\n" + HEAD + b"F two\n", b"thr")

    made, rest = entries("stdout", b"ee\n\n", rest, at=AT)
    assert (made, rest) == (HEAD + b"F three\n" + HEAD + b"F \n", b"")


def test_a_line_that_is_too_long_comes_in_parts_of_which_the_last_is_marked() -> None:
    line = b"x" * (2 * LONGEST + 3)

    made, rest = entries("stdout", line + b"\n", b"", at=AT)

    assert rest == b""
    assert [part.split(b" ", 3)[2:] for part in made.splitlines()] == [
        [b"P", b"x" * LONGEST],
        [b"P", b"x" * LONGEST],
        [b"F", b"xxx"],
    ]


def test_a_line_that_never_ends_is_not_kept_in_memory() -> None:
    made, rest = entries("stdout", b"x" * (3 * LONGEST + 1), b"", at=AT)

    assert len(made.splitlines()) == 3
    assert rest == b"x"


def test_parts_that_repeat_are_marked_each_for_itself() -> None:
    made, _ = entries("stdout", b"x" * (2 * LONGEST) + b"\n", b"", at=AT)

    assert [part.split(b" ", 3)[2] for part in made.splitlines()] == [b"P", b"F"]


@pytest.mark.real
def test_both_streams_are_logged_and_the_last_unfinished_line_is_a_part(pod: Pod) -> None:
    container = pod.run("sh", "-c", "echo out; echo err >&2; printf end")
    container.until_exited()

    assert sorted(container.lines()) == [("stderr", "F", "err"), ("stdout", "F", "out"), ("stdout", "P", "end")]
    assert all(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z std(out|err) [FP] .*", line)
        for line in container.log.read_text().splitlines()
    )
    assert container.status.log_path == str(container.log)


@pytest.mark.real
def test_all_that_was_said_is_in_the_log_when_the_container_has_exited(pod: Pod) -> None:
    container = pod.run("sh", "-c", "seq 1 20000")
    container.until_exited()

    assert container.output() == "".join(f"{number}\n" for number in range(1, 20001))


@pytest.mark.real
def test_a_log_that_was_moved_goes_on_in_a_new_file(runtime: Runtime, pod: Pod) -> None:
    container = pod.run("sh", "-c", "echo before; while [ ! -e /tmp/go ]; do sleep 0.02; done; echo after; sleep 1000")
    container.says("before")
    moved = container.log.with_suffix(".old")
    container.log.rename(moved)
    runtime.call("ReopenContainerLog", container_id=container.id)
    container.exec("touch", "/tmp/go")
    container.says("after")

    assert "after" not in moved.read_text()
    assert "before" not in container.log.read_text()


@pytest.mark.real
def test_the_log_of_a_container_that_has_exited_is_not_reopened(runtime: Runtime, pod: Pod) -> None:
    container = pod.run("true")
    container.until_exited()

    assert runtime.refused("ReopenContainerLog", container_id=container.id)[0] is grpc.StatusCode.FAILED_PRECONDITION


@pytest.mark.real
def test_a_container_with_a_terminal_has_one_and_its_output_is_logged(pod: Pod) -> None:
    container = pod.run("sh", "-c", "test -t 0 && test -t 1 && tty; echo $TERM", tty=True, stdin=True)
    container.until_exited()

    assert container.output() == "/dev/pts/0\r\nxterm\r\n"


@pytest.mark.real
def test_a_pod_without_a_log_folder_runs_too(runtime: Runtime) -> None:
    pod = runtime.pod()
    pod.config.log_directory = ""
    container = pod.create(command=["echo", "nothing"])
    container.start()
    until(container.until_exited, "it exits")

    assert container.status.exit_code == 0
    assert container.status.state == cri.CONTAINER_EXITED
    pod.remove()
