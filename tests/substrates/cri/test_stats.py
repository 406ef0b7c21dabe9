"""What pods use, and that who takes more memory than it may is killed: real processes on a real clock."""

import time

import pytest

from harness.substrates.cri import runtime_pb2 as cri
from tests.substrates.cri.runtime import Pod, Runtime, until

pytestmark = pytest.mark.real

MIB = 1024 * 1024
TAKE = "import sys, time; kept = b'x' * (int(sys.argv[1]) << 20); print('taken', flush=True); time.sleep(1000)"
SHARE = """
import os, sys, time
kept = bytearray(b'x' * (40 << 20))
for _ in range(5):
    if not os.fork():
        time.sleep(1000)
print('shared', flush=True)
time.sleep(1000)
"""


def _limited(mib: int) -> cri.LinuxContainerResources:
    return cri.LinuxContainerResources(memory_limit_in_bytes=mib * MIB)


def test_who_takes_more_memory_than_it_may_is_killed_for_it(pod: Pod) -> None:
    container = pod.run("python3", "-c", TAKE, "200", resources=_limited(64))

    status = container.until_exited()

    assert (status.exit_code, status.reason) == (137, "OOMKilled")


def test_the_children_of_a_container_count(pod: Pod) -> None:
    script = f'python3 -c "{TAKE}" 60 & python3 -c "{TAKE}" 60 & wait'

    assert pod.run("sh", "-c", script, resources=_limited(100)).until_exited().reason == "OOMKilled"


def test_what_commands_take_in_a_container_counts(pod: Pod) -> None:
    container = pod.run("sleep", "1000", resources=_limited(64))

    assert container.exec("python3", "-c", TAKE, "200").exit_code == 137
    assert container.until_exited().reason == "OOMKilled"


def test_who_keeps_within_its_limit_lives(pod: Pod) -> None:
    container = pod.run("python3", "-c", TAKE, "40", resources=_limited(80))
    container.says("taken")
    time.sleep(0.5)  # noqa: TID251 - five looks of the watch

    assert container.status.state == cri.CONTAINER_RUNNING


def test_memory_that_forks_share_counts_once(pod: Pod) -> None:
    container = pod.run("python3", "-c", SHARE, resources=_limited(100))
    container.says("shared")
    time.sleep(0.5)  # noqa: TID251 - five looks of the watch

    assert container.status.state == cri.CONTAINER_RUNNING


def test_a_limit_can_be_lowered_while_the_container_runs(runtime: Runtime, pod: Pod) -> None:
    container = pod.run("python3", "-c", TAKE, "100", resources=_limited(300))
    container.says("taken")

    runtime.call("UpdateContainerResources", container_id=container.id, linux=_limited(50))

    assert container.until_exited().reason == "OOMKilled"


def test_memory_and_processor_time_of_a_container_are_told(runtime: Runtime, pod: Pod) -> None:
    script = "import time; kept = b'x' * (50 << 20)\nwhile True: pass"
    busy = pod.run("python3", "-c", script)
    idle = pod.run("sleep", "1000")

    def seen() -> bool:
        stats = runtime.call("ContainerStats", container_id=busy.id).stats
        return stats.cpu.usage_nano_cores.value > 30_000_000 and stats.memory.working_set_bytes.value > 50 * MIB

    until(seen, "it is seen to be busy, as far as a busy machine lets it")
    stats = {item.attributes.id: item for item in runtime.call("ListContainerStats").stats}

    assert stats[busy.id].cpu.usage_core_nano_seconds.value > 30_000_000
    assert 50 * MIB < stats[busy.id].memory.working_set_bytes.value < 80 * MIB
    assert stats[idle.id].cpu.usage_nano_cores.value < 20_000_000
    assert stats[idle.id].memory.working_set_bytes.value < 5 * MIB
    assert stats[busy.id].attributes.metadata == busy.config.metadata


def test_what_a_pod_uses_is_what_its_containers_and_its_network_do(runtime: Runtime, pod: Pod) -> None:
    for _ in range(2):
        pod.run("python3", "-c", TAKE, "20").says("taken")

    stats = runtime.call("PodSandboxStats", pod_sandbox_id=pod.id).stats
    listed = {item.attributes.id for item in runtime.call("ListPodSandboxStats").stats}

    assert stats.linux.memory.working_set_bytes.value == sum(
        item.memory.working_set_bytes.value for item in stats.linux.containers
    )
    assert stats.linux.memory.working_set_bytes.value > 40 * MIB
    assert stats.linux.process.process_count.value == 2
    assert stats.linux.network.default_interface.name == "eth0"
    assert pod.id in listed


def test_what_a_container_writes_outside_its_volumes_is_told(runtime: Runtime, pod: Pod) -> None:
    container = pod.run("sh", "-c", "head -c 5000000 /dev/zero > /var/lib-of-mine && echo written; sleep 1000")
    container.says("written")

    used = runtime.call("ContainerStats", container_id=container.id).stats.writable_layer.used_bytes.value

    assert 5_000_000 <= used < 7_000_000


def test_what_a_container_writes_over_the_nodes_programs_is_told_too(runtime: Runtime, pod: Pod) -> None:
    container = pod.run("sh", "-c", "head -c 5000000 /dev/zero > /usr/of-mine && echo written; sleep 1000")
    container.says("written")

    used = runtime.call("ContainerStats", container_id=container.id).stats.writable_layer.used_bytes.value

    assert 5_000_000 <= used < 7_000_000


def test_processor_time_of_what_has_ended_is_not_forgotten(runtime: Runtime, pod: Pod) -> None:
    container = pod.run("sleep", "1000")
    container.exec("python3", "-c", "import time\nwhile time.process_time() < 0.5: pass")

    def total() -> int:
        return runtime.call("ContainerStats", container_id=container.id).stats.cpu.usage_core_nano_seconds.value

    until(lambda: total() >= 400_000_000, "it is counted")
