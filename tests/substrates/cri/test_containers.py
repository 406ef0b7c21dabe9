"""Containers from created to removed: critest's cases for their life, their commands and their ends."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from harness.substrates.cri import runtime_pb2 as cri
from tests.substrates.cri.runtime import Pod, Runtime, until

pytestmark = pytest.mark.real
PYTHONS = ("python", "python3")


def test_a_container_is_created_running_exited_and_gone(runtime: Runtime, pod: Pod) -> None:
    container = pod.create(command=["sleep", "1000"])
    states = [container.status.state]
    container.start()
    states.append(container.status.state)
    container.stop()
    states.append(container.status.state)
    runtime.call("RemoveContainer", container_id=container.id)
    runtime.call("RemoveContainer", container_id=container.id)
    runtime.call("StopContainer", container_id=container.id)

    assert states == [cri.CONTAINER_CREATED, cri.CONTAINER_RUNNING, cri.CONTAINER_EXITED]
    assert runtime.refused("ContainerStatus", container_id=container.id)[0] is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("command", "code", "reason"), [("exit 0", 0, "Completed"), ("exit 7", 7, "Error"), ("kill -9 $$", 137, "Error")]
)
def test_how_a_container_ended_is_told(pod: Pod, command: str, code: int, reason: str) -> None:
    shared = cri.LinuxContainerSecurityContext()  # the first of a pid namespace cannot kill itself
    status = pod.run("sh", "-c", command, security=shared).until_exited()

    assert (status.exit_code, status.reason) == (code, reason)
    assert 0 < status.created_at <= status.started_at <= status.finished_at <= time.time_ns()


def test_a_container_starts_once(runtime: Runtime, pod: Pod) -> None:
    container = pod.run("true")
    container.until_exited()

    code, words = runtime.refused("StartContainer", container_id=container.id)

    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "container is in CONTAINER_EXITED state" in words


def test_attempts_of_a_container_are_kept_until_they_are_removed(runtime: Runtime, pod: Pod) -> None:
    attempts = []
    for number in range(3):
        fields = {"metadata": cri.ContainerMetadata(name="c", attempt=number), "log_path": f"c/{number}.log"}
        attempts.append(pod.run("echo", f"attempt {number}", **fields))
        attempts[-1].until_exited()

    listed = runtime.call("ListContainers", filter=cri.ContainerFilter(pod_sandbox_id=pod.id)).containers

    assert sorted((item.id, item.metadata.attempt) for item in listed) == sorted(
        (container.id, number) for number, container in enumerate(attempts)
    )
    assert [container.output() for container in attempts] == [f"attempt {number}\n" for number in range(3)]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["nothing-of-the-kind"], 'exec: "nothing-of-the-kind": executable file not found in $PATH'),
        (["/nothing"], 'exec: "/nothing": stat /nothing: no such file or directory'),
        (["/etc/passwd"], 'exec: "/etc/passwd": permission denied'),
        (["/tmp"], 'exec: "/tmp": is a directory'),
    ],
)
def test_a_command_that_cannot_be_executed_is_a_start_error(
    runtime: Runtime, pod: Pod, argv: list[str], words: str
) -> None:
    container = pod.create(command=argv)

    _, said = runtime.refused("StartContainer", container_id=container.id)
    status = container.status

    assert words in said
    assert (status.state, status.exit_code, status.reason) == (cri.CONTAINER_EXITED, 128, "StartError")
    assert words in status.message


def test_command_and_args_override_those_of_the_image_as_docker_has_it(pod: Pod) -> None:
    assert pod.output(image="demo/said:1.0") == "said by default\n"
    assert pod.output(image="demo/said:1.0", args=["by", "args"]) == "said by args\n"
    assert pod.output("echo", "command", image="demo/said:1.0") == "command\n"
    assert pod.output("echo", "command", image="demo/said:1.0", args=["and", "args"]) == "command and args\n"


def test_the_environment_is_the_images_and_the_pods_over_it(pod: Pod) -> None:
    said = pod.output(
        "env", image="demo/server:1.0",
        envs=[cri.KeyValue(key="COLOUR", value="red"), cri.KeyValue(key="MORE", value="a\nb")],
    )  # fmt: skip

    assert {"VERSION=1.0", "COLOUR=red", "MORE=a", "b", "HOME=/root"} <= set(said.splitlines())
    assert f"HOSTNAME={pod.config.hostname}\n" in said


def test_a_megabyte_of_environment_arrives(pod: Pod) -> None:
    envs = [cri.KeyValue(key=f"LONG_{number}", value="x" * 100_000) for number in range(10)]

    assert pod.output("sh", "-c", "echo ${#LONG_0} ${#LONG_9}", envs=envs) == "100000 100000\n"


def test_the_working_directory_is_the_pods_or_the_images_and_made_if_need_be(pod: Pod) -> None:
    assert pod.output("pwd", image="demo/server:1.0") == "/srv/www\n"
    assert pod.output("pwd", image="demo/server:1.0", working_dir="/new/place") == "/new/place\n"
    assert pod.output("pwd") == "/\n"


def test_a_stopped_container_is_asked_first_and_can_end_well(pod: Pod) -> None:
    container = pod.run("sh", "-c", "trap 'echo asked; exit 5' TERM; echo up; while :; do sleep 0.05; done")
    container.says("up")

    began = time.monotonic()
    container.stop(grace=10)
    status = container.status

    assert time.monotonic() - began < 5
    assert status.exit_code == 5
    assert container.output() == "up\nasked\n"


def test_a_container_that_does_not_hear_is_killed_when_its_grace_is_over(pod: Pod) -> None:
    container = pod.run("sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done")
    container.says("up")

    began = time.monotonic()
    container.stop(grace=1)

    assert 1 <= time.monotonic() - began < 3
    assert container.status.exit_code == 137


def test_the_stop_signal_is_the_images_or_the_pods(pod: Pod) -> None:
    script = "trap 'echo one; exit' USR1; trap 'echo two; exit' USR2; echo up; while :; do sleep 0.05; done"
    of_image = pod.run("sh", "-c", script, image="demo/user:1.0")
    of_pod = pod.run("sh", "-c", script, image="demo/user:1.0", stop_signal=cri.SIGUSR2)
    for container in (of_image, of_pod):
        container.says("up")
        container.stop(grace=10)

    assert [of_image.output(), of_pod.output()] == ["up\none\n", "up\ntwo\n"]


def test_a_container_is_the_first_of_its_own_pid_namespace(pod: Pod) -> None:
    first, *seen = pod.output("sh", "-c", "echo $$; ls /proc").split()

    assert first == "1"
    assert {name for name in seen if name.isdecimal()} <= {"1", "2"}


SHARED = cri.LinuxContainerSecurityContext(namespace_options=cri.NamespaceOption(pid=cri.POD))


@pytest.fixture
def sharing(runtime: Runtime) -> Iterator[Pod]:
    """A pod whose containers share one pid namespace."""
    made = runtime.pod(security=cri.LinuxSandboxSecurityContext())
    yield made
    made.remove()


def test_containers_of_a_pod_may_share_their_processes(sharing: Pod) -> None:
    first = sharing.run("sh", "-c", "exec sleep 1234", security=SHARED)

    assert "sleep 1234" in sharing.output("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '", security=SHARED)
    first.stop()
    assert first.status.state == cri.CONTAINER_EXITED


def test_the_first_process_of_a_shared_pid_namespace_is_called_pause(sharing: Pod) -> None:
    look = "cat /proc/1/comm; tr -d '\\0' < /proc/1/cmdline"

    assert sharing.output("sh", "-c", look, security=SHARED) == "pause\n/pause"


def test_what_a_container_left_in_a_shared_pid_namespace_ends_with_it(sharing: Pod) -> None:
    sharing.run("sh", "-c", "setsid sleep 4321 & sleep 0.1", security=SHARED).until_exited()

    assert "4321" not in sharing.output("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '", security=SHARED)


def test_what_loses_its_parent_in_a_shared_pid_namespace_is_reaped(sharing: Pod) -> None:
    script = "for i in 1 2 3; do (setsid sleep 0.1 &) ; done; echo orphans; sleep 1000"
    sharing.run("sh", "-c", script, security=SHARED).says("orphans")
    look = "sleep 0.5; grep -l '^State:.Z' /proc/[0-9]*/status; echo looked"

    assert sharing.output("sh", "-c", look, security=SHARED) == "looked\n"


def test_an_ephemeral_container_sees_the_processes_of_its_target(pod: Pod) -> None:
    target = pod.run("sh", "-c", "exec sleep 5678")
    aimed = cri.LinuxContainerSecurityContext(
        namespace_options=cri.NamespaceOption(pid=cri.TARGET, target_id=target.id)
    )

    assert "sleep 5678" in pod.output("sh", "-c", "cat /proc/1/cmdline | tr '\\0' ' '", security=aimed)


def test_containers_are_listed_by_state_pod_and_labels(runtime: Runtime, pod: Pod) -> None:
    one = pod.run("sleep", "1000", labels={"app": "one"})
    two = pod.create(command=["true"], labels={"app": "two"})

    def listed(**wanted: object) -> set[str]:
        return {item.id for item in runtime.call("ListContainers", filter=cri.ContainerFilter(**wanted)).containers}

    assert listed(pod_sandbox_id=pod.id) == {one.id, two.id}
    assert listed(pod_sandbox_id=pod.id, state=cri.ContainerStateValue(state=cri.CONTAINER_RUNNING)) == {one.id}
    assert listed(label_selector={"app": "two"}) == {two.id}
    assert listed(id=one.id) == {one.id}


def test_nothing_is_created_in_a_pod_that_has_stopped(runtime: Runtime) -> None:
    pod = runtime.pod()
    pod.stop()

    with pytest.raises(grpc.RpcError, match="not ready"):
        pod.create(command=["true"])
    pod.remove()


def test_what_becomes_of_containers_is_told_at_once(runtime: Runtime, pod: Pod) -> None:
    events = runtime.call("GetContainerEvents")
    until(lambda: pod.run("true").until_exited(), "one ends")
    container = pod.run("true")

    kinds = []
    for event in events:
        if event.container_id == container.id:
            kinds.append(event.container_event_type)
            if event.container_event_type == cri.CONTAINER_STOPPED_EVENT:
                break
    events.cancel()

    assert kinds == [cri.CONTAINER_CREATED_EVENT, cri.CONTAINER_STARTED_EVENT, cri.CONTAINER_STOPPED_EVENT]


def test_starting_a_container_costs_milliseconds(pod: Pod) -> None:
    took = []
    for _ in range(10):
        container = pod.create(command=["sleep", "1000"])
        began = time.monotonic()
        container.start()
        took.append(time.monotonic() - began)

    assert min(took) < 0.1


def test_nothing_is_left_a_second_after_the_runtime_was_killed(
    tmp_path_factory: pytest.TempPathFactory, runtime: Runtime
) -> None:
    other = Runtime(tmp_path_factory.mktemp("killed"))
    pod = other.pod()
    for security in (None, cri.LinuxContainerSecurityContext(namespace_options=cri.NamespaceOption(pid=cri.NODE))):
        pod.run("sh", "-c", "setsid sleep 98765 & exec sleep 98765", security=security)
    before = until(lambda: len(_running("98765")) == 4 and _running("98765"), "they run")

    os.kill(other.host_pid(), signal.SIGKILL)
    began = time.monotonic()
    until(lambda: not _running("98765"), "all are gone")

    assert time.monotonic() - began < 1
    assert len(before) == 4
    other.close()


def _running(word: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(f"sleep\0{word}".encode()):
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def test_nothing_is_left_of_what_was_removed(runtime: Runtime) -> None:
    def round_of_life() -> None:
        pod = runtime.pod()
        running = pod.run("sh", "-c", "sleep 1000 & exec sleep 1000", stdin=True)
        pod.run("sh", "-c", "test -t 1", tty=True).until_exited()
        running.exec("true")
        with pytest.raises(grpc.RpcError):
            pod.run("nothing-of-the-kind")
        with pytest.raises(grpc.RpcError):
            running.exec("nothing-of-the-kind")
        pod.remove()

    round_of_life()
    before = _held(runtime)
    for _ in range(10):
        round_of_life()

    assert until(lambda: _held(runtime) if _held(runtime) <= before else None, "no more is held than before") <= before
    assert list((runtime.folder / "state" / "pods").iterdir()) == []


def test_a_runtime_that_was_killed_begins_anew_without_pods(namespaces: str, tmp_path: Path) -> None:
    first = Runtime(tmp_path)
    try:
        first.pod().run("sleep", "1000")
        os.kill(first.host_pid(), signal.SIGKILL)
        first.process.wait()
        second = Runtime(tmp_path)
    finally:
        first.close()
    try:
        left = second.call("ListPodSandbox").items, second.call("ListContainers").containers
        said = second.pod().output("echo", "again")
    finally:
        second.close()

    assert [len(items) for items in left] == [0, 0]
    assert said == "again\n"


def _held(runtime: Runtime) -> tuple[int, int]:
    """How many descriptors the runtime and all its descendants have, and how many of these there are."""
    family = [runtime.host_pid()]
    for pid in family:
        for task in Path(f"/proc/{pid}/task").iterdir():
            family += [int(child) for child in (task / "children").read_text().split()]
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in family), len(family)


def test_an_image_that_is_run_by_our_python_has_it_by_the_names_that_images_of_python_have(pod: Pod) -> None:
    server = pod.run(image="demo/server:1.0")
    said = {name: server.exec(name, "-c", "import sys, msgspec; print(*sys.version_info[:2])") for name in PYTHONS}
    elsewhere = pod.output(*PYTHONS[:1], "-c", "print('there')")

    assert {answer.stdout.decode().split() == [*map(str, sys.version_info[:2])] for answer in said.values()} == {True}
    assert elsewhere == "there\n"
