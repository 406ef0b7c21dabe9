"""Pods as the kubelet makes them: critest's cases for sandboxes and networking."""

import grpc
import pytest

from harness.substrates.cri import runtime_pb2 as cri
from tests.substrates.cri.runtime import Pod, Runtime, until

pytestmark = pytest.mark.real

HOST_NETWORK = cri.LinuxSandboxSecurityContext(namespace_options=cri.NamespaceOption(network=cri.NODE))


def test_the_runtime_says_who_it_is_and_that_it_is_ready(runtime: Runtime) -> None:
    version = runtime.call("Version")
    conditions = runtime.call("Status").status.conditions

    assert (version.runtime_name, version.runtime_api_version) == ("process", "v1")
    assert {condition.type: condition.status for condition in conditions} == {
        "RuntimeReady": True,
        "NetworkReady": True,
    }
    assert runtime.call("RuntimeConfig").linux.cgroup_driver == cri.CGROUPFS


def test_a_pod_that_runs_is_ready_and_has_an_address_of_the_nodes_range(pod: Pod) -> None:
    status = pod.status

    assert status.state == cri.SANDBOX_READY
    assert status.network.ip.startswith("10.244.0.")
    assert status.metadata == pod.config.metadata


def test_a_stopped_pod_is_not_ready_and_a_removed_one_is_unknown(runtime: Runtime) -> None:
    pod = runtime.pod()
    container = pod.run("sleep", "1000")

    pod.stop()
    stopped, ended = pod.status.state, container.status
    pod.stop()
    pod.remove()
    pod.remove()

    assert stopped == cri.SANDBOX_NOTREADY
    assert (ended.state, ended.exit_code) == (cri.CONTAINER_EXITED, 137)
    code, words = runtime.refused("PodSandboxStatus", pod_sandbox_id=pod.id)
    assert code is grpc.StatusCode.NOT_FOUND
    assert pod.id in words
    assert runtime.refused("ContainerStatus", container_id=container.id)[0] is grpc.StatusCode.NOT_FOUND


def test_pods_are_listed_by_id_state_and_labels(runtime: Runtime) -> None:
    one, two = runtime.pod(labels={"app": "one"}), runtime.pod(labels={"app": "two"})
    two.stop()

    def listed(**wanted: object) -> set[str]:
        items = runtime.call("ListPodSandbox", filter=cri.PodSandboxFilter(**wanted)).items
        return {item.id for item in items} & {one.id, two.id}

    assert listed() == {one.id, two.id}
    assert listed(id=one.id) == {one.id}
    assert listed(label_selector={"app": "two"}) == {two.id}
    assert listed(state=cri.PodSandboxStateValue(state=cri.SANDBOX_READY)) == {one.id}
    for pod in (one, two):
        pod.remove()


def test_a_pod_has_its_hostname_its_resolver_and_its_own_network(runtime: Runtime) -> None:
    dns = cri.DNSConfig(
        servers=["10.96.0.10"], searches=["default.svc.cluster.local", "svc.cluster.local"], options=["ndots:5"]
    )
    pod = runtime.pod(hostname="web-0", dns_config=dns)

    said = pod.output("sh", "-c", "hostname; cat /etc/hostname /etc/resolv.conf; ls /sys; cat /proc/net/dev")

    assert said.startswith(
        "web-0\nweb-0\nsearch default.svc.cluster.local svc.cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"
    )
    assert "eth0:" in said
    pod.remove()


def test_a_pod_is_reached_at_its_address_and_pods_reach_each_other(runtime: Runtime) -> None:
    server, client = runtime.pod(), runtime.pod()
    server.run(image="demo/server:1.0")
    url = f"http://{server.status.network.ip}:8000/"
    script = f"import urllib.request as u; print(u.urlopen('{url}').read().decode())"

    until(lambda: "home" in runtime.inside("python3", "-c", script).stdout, "the node reaches it")
    assert "home" in client.output("python3", "-c", script)
    for pod in (server, client):
        pod.remove()


def test_a_pod_in_the_nodes_network_has_the_nodes_interfaces_and_name(runtime: Runtime) -> None:
    pod = runtime.pod(security=HOST_NETWORK, hostname="")
    other = runtime.pod()

    said = pod.output("sh", "-c", "hostname; cat /proc/net/dev")

    assert pod.status.network.ip == ""
    assert said.startswith("node-1\n")
    assert "eth0:" not in said
    assert f"pod{other.id[:11]}:" in said
    for each in (pod, other):
        each.remove()


def test_containers_of_a_pod_share_its_network_and_its_memory(pod: Pod) -> None:
    first = pod.run("sh", "-c", "echo kept > /dev/shm/note; readlink /proc/self/ns/net /proc/self/ns/ipc; sleep 1000")
    first.says("net:")

    second = pod.output("sh", "-c", "cat /dev/shm/note; readlink /proc/self/ns/net /proc/self/ns/ipc")

    assert second == "kept\n" + first.output()


def test_pods_share_neither_network_nor_memory(runtime: Runtime) -> None:
    pods = [runtime.pod() for _ in range(2)]
    command = (
        "sh",
        "-c",
        "ls /dev/shm; touch /dev/shm/x; readlink /proc/self/ns/net /proc/self/ns/ipc /proc/self/ns/uts",
    )

    first, second = (pod.output(*command).splitlines() for pod in pods)

    assert len(first) == 3
    assert not set(first) & set(second)
    for pod in pods:
        pod.remove()


def test_the_sysctls_of_a_pod_are_set_in_its_network_only(runtime: Runtime) -> None:
    pod = runtime.pod(sysctls={"net.core.somaxconn": "77"})
    other = runtime.pod()

    assert pod.output("cat", "/proc/sys/net/core/somaxconn") == "77\n"
    assert other.output("cat", "/proc/sys/net/core/somaxconn") != "77\n"
    for each in (pod, other):
        each.remove()


def test_a_pod_that_cannot_be_made_is_told_why_and_leaves_nothing(runtime: Runtime) -> None:
    folders = set((runtime.folder / "state" / "pods").iterdir())
    known = {item.id for item in runtime.call("ListPodSandbox").items}

    with pytest.raises(grpc.RpcError, match=r"failed to setup network for sandbox .*net/nothing/such"):
        runtime.pod(sysctls={"net.nothing.such": "1"})

    assert set((runtime.folder / "state" / "pods").iterdir()) == folders
    assert {item.id for item in runtime.call("ListPodSandbox").items} == known


def test_an_address_is_given_again_only_when_the_others_were(runtime: Runtime) -> None:
    first = runtime.pod()
    address = first.status.network.ip
    first.remove()
    second = runtime.pod()

    assert second.status.network.ip != address
    second.remove()
