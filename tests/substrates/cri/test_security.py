"""Who containers are, what they may, and what they see of the node: critest's cases for security contexts and mounts."""

from pathlib import Path

import grpc
import pytest

from harness.substrates.cri import runtime_pb2 as cri
from harness.substrates.cri.containing import CAPABILITIES
from harness.substrates.cri.node import TOP
from tests.substrates.cri.runtime import Pod, Runtime

pytestmark = pytest.mark.real

OWN = cri.NamespaceOption(pid=cri.CONTAINER)
USUAL = 0x00000000A80425FB
"""The capabilities of docker's containers."""


def _security(**fields: object) -> cri.LinuxContainerSecurityContext:
    return cri.LinuxContainerSecurityContext(namespace_options=OWN, **fields)


def _capabilities(pod: Pod, security: cri.LinuxContainerSecurityContext) -> set[str]:
    line = pod.output("grep", "CapEff", "/proc/self/status", security=security)
    mask = int(line.split()[1], 16)
    return {name for number, name in enumerate(CAPABILITIES) if mask >> number & 1}


def _mounted(pod: Pod, *mounts: cri.Mount, script: str, **fields: object) -> str:
    return pod.output("sh", "-c", f"{{ {script}; }} 2>&1", mounts=mounts, **fields)


def test_a_container_is_root_or_the_images_user_or_the_pods(pod: Pod) -> None:
    ids = ("sh", "-c", "id -u; id -g")

    assert pod.output(*ids) == "0\n0\n"
    assert pod.output(*ids, image="demo/user:1.0") == "1234\n2345\n"
    chosen = _security(run_as_user=cri.Int64Value(value=5000), run_as_group=cri.Int64Value(value=6000))
    assert pod.output(*ids, image="demo/user:1.0", security=chosen) == "5000\n6000\n"
    assert (
        pod.output(*ids, image="demo/user:1.0", security=_security(run_as_user=cri.Int64Value(value=0))) == "0\n2345\n"
    )


def test_commands_run_as_the_containers_user(pod: Pod) -> None:
    container = pod.run("sleep", "1000", security=_security(run_as_user=cri.Int64Value(value=5000)))

    assert (
        container.exec("sh", "-c", "id -u; grep CapEff /proc/self/status").stdout
        == b"5000\nCapEff:\t0000000000000000\n"
    )
    assert container.status.user.linux.uid == 5000


def test_another_user_may_write_where_everybody_may_and_nowhere_else(pod: Pod) -> None:
    user = _security(run_as_user=cri.Int64Value(value=5000))

    assert pod.output("sh", "-c", "touch /tmp/x && stat -c %u /tmp/x", security=user) == "5000\n"
    tried = "touch /x /etc/x /var/x /usr/x /usr/local/x /srv/www/x; echo y >> /etc/passwd; ls /root"
    said = pod.output("sh", "-c", f"({tried}) 2>&1; true", image="demo/server:1.0", security=user).splitlines()
    assert len(said) == 8
    assert all(line.lower().endswith("permission denied") for line in said), said


def test_root_and_the_user_that_an_image_names_may_write_to_the_images_files(pod: Pod) -> None:
    assert pod.output("sh", "-c", "touch /srv/www/x /etc/x && echo done", image="demo/server:1.0") == "done\n"
    assert pod.output("sh", "-c", "touch /srv/own/x && echo done", image="demo/own:1.0") == "done\n"


def test_a_volume_of_another_user_stays_as_it_is(pod: Pod, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    volume = cri.Mount(container_path="/var", host_path=str(tmp_path))
    user = _security(run_as_user=cri.Int64Value(value=5000))

    assert pod.output("sh", "-c", "touch /var/x && echo done", mounts=[volume], security=user) == "done\n"
    assert tmp_path.stat().st_mode & 0o777 == 0o777


def test_a_mount_that_cannot_be_is_told_in_the_usual_words(runtime: Runtime, pod: Pod, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    onto_file = cri.Mount(container_path="/srv/www/index.html", host_path=str(tmp_path))
    onto_folder = cri.Mount(container_path="/srv/www", host_path=str(tmp_path / "file"))

    def refused(mount: cri.Mount) -> str:
        container = pod.create(command=("sleep", "1000"), image="demo/server:1.0", mounts=[mount])
        with pytest.raises(grpc.RpcError) as error:
            container.start()
        return error.value.details()

    assert "cannot mkdir in" in (said := refused(onto_file))
    assert said.endswith("/srv/www/index.html: not a directory: unknown")
    assert refused(onto_folder).endswith("Are you trying to mount a directory onto a file (or vice-versa)?: unknown")


def test_the_kernel_ends_a_container_sooner_if_the_kubelet_says_so(pod: Pod) -> None:
    container = pod.run("sleep", "1000", resources=cri.LinuxContainerResources(oom_score_adj=987))

    assert container.exec("cat", "/proc/1/oom_score_adj", "/proc/self/oom_score_adj").stdout == b"987\n987\n"


def test_a_container_sees_its_own_interfaces_and_changes_nothing_of_the_machine(pod: Pod) -> None:
    look = "ls /sys/class/net; ls -A /sys/firmware; echo 1 > /sys/kernel/uevent_seqnum"

    said = pod.output("sh", "-c", f"({look}) 2>&1; true").splitlines()
    if "cannot access" in said[0]:
        pytest.skip("this machine hides some of its /sys")
    assert said[:2] == ["eth0", "lo"]
    assert said[2:] == ["sh: 1: cannot create /sys/kernel/uevent_seqnum: Read-only file system"]


def test_another_user_may_serve_port_80(pod: Pod) -> None:
    script = "import socket; s = socket.socket(); s.bind(('', 80)); print('bound')"

    assert pod.output("python3", "-c", script, security=_security(run_as_user=cri.Int64Value(value=5000))) == "bound\n"


def test_capabilities_are_the_usual_and_what_is_added_and_without_what_is_dropped(pod: Pod) -> None:
    usual = {name for number, name in enumerate(CAPABILITIES) if USUAL >> number & 1}

    def having(**lists: object) -> set[str]:
        return _capabilities(pod, _security(capabilities=cri.Capability(**lists)))

    assert having() == usual
    assert having(add_capabilities=["NET_ADMIN"]) == usual | {"NET_ADMIN"}
    assert having(drop_capabilities=["CHOWN", "CAP_KILL"]) == usual - {"CHOWN", "KILL"}
    assert having(drop_capabilities=["ALL"], add_capabilities=["NET_BIND_SERVICE"]) == {"NET_BIND_SERVICE"}


def test_a_privileged_container_may_all_but_mount(pod: Pod) -> None:
    security = _security(privileged=True)

    assert {"NET_ADMIN", "SYS_PTRACE"} <= _capabilities(pod, security)
    assert "SYS_ADMIN" not in _capabilities(pod, security)
    assert (
        pod.output("sh", "-c", "mount -t proc proc /mnt 2>/dev/null || echo refused", security=security) == "refused\n"
    )


def test_an_unknown_capability_is_refused(runtime: Runtime, pod: Pod) -> None:
    with pytest.raises(grpc.RpcError, match='unknown capability "CAP_EVERYTHING"'):
        pod.create(command=["true"], security=_security(capabilities=cri.Capability(add_capabilities=["EVERYTHING"])))


def test_no_new_privileges_is_kept(pod: Pod) -> None:
    assert "NoNewPrivs:\t1" in pod.output("cat", "/proc/self/status", security=_security(no_new_privs=True))


def test_a_read_only_root_can_be_written_to_in_its_volumes_only(runtime: Runtime, pod: Pod) -> None:
    volume = runtime.folder / "volume-rw"
    script = "touch /x; touch /tmp/x; touch /usr/x; touch /data/x && echo written; echo y > /dev/null && echo device"
    mount = cri.Mount(container_path="/data", host_path=str(volume))

    said = _mounted(pod, mount, script=script, security=_security(readonly_rootfs=True))

    assert said.count("Read-only file system") == 3
    assert said.endswith("written\ndevice\n")
    assert (volume / "x").exists()


def test_every_container_has_a_root_of_its_own_that_it_may_write_to(pod: Pod) -> None:
    script = "touch /x /usr/x /opt/x /etc/x /tmp/x && ls /x /usr/x; cat /srv/www/index.html && echo more >> /srv/www/index.html"

    for _ in range(2):
        assert pod.output("sh", "-c", script, image="demo/server:1.0") == "/usr/x\n/x\nhome\n"
    assert (pod.runtime.folder / "www" / "index.html").read_text() == "home\n"


def test_a_container_sees_nothing_of_the_node_but_its_programs(runtime: Runtime, pod: Pod) -> None:
    top = pod.output("ls", "/").split()
    empty = pod.output("sh", "-c", f"ls -A /root /home /tmp /run /var/tmp /var/run/; ls {runtime.folder} 2>&1")

    assert set(top) <= {*TOP, "dev", "etc", "home", "proc", "root", "run", "sys", "tmp", "var"}
    assert empty.split() == [
        *("/home:", "/root:", "/run:", "/tmp:", "/var/run/:", "/var/tmp:"),
        *("ls:", "cannot", "access", f"'{runtime.folder}':", "No", "such", "file", "or", "directory"),
    ]


def test_the_nodes_kernel_cannot_be_written_to(pod: Pod) -> None:
    for security in (_security(), _security(privileged=True)):
        for path in ("/proc/sys/kernel/hostname", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger"):
            assert (
                pod.output("sh", "-c", f"echo 1 2>/dev/null > {path} || echo refused", security=security) == "refused\n"
            )
    assert pod.output("sh", "-c", "head -c 10 /proc/kcore | wc -c; head -c 10 /proc/keys | wc -c") == "0\n0\n"


def test_masked_and_read_only_paths_are(pod: Pod) -> None:
    security = _security(masked_paths=["/proc/version", "/proc/tty"], readonly_paths=["/proc/self"])

    assert pod.output("sh", "-c", "cat /proc/version; ls /proc/tty; echo end", security=security) == "end\n"


def test_volumes_are_bound_read_only_or_not(runtime: Runtime, pod: Pod) -> None:
    folder = runtime.folder / "volume"
    folder.mkdir()
    (folder / "file").write_text("content\n")
    mounts = (
        cri.Mount(container_path="/data", host_path=str(folder)),
        cri.Mount(container_path="/fixed", host_path=str(folder), readonly=True),
        cri.Mount(container_path="/etc/one.conf", host_path=str(folder / "file"), readonly=True),
        cri.Mount(container_path="/usr/share/deep/inside", host_path=str(folder)),
    )

    said = _mounted(
        pod, *mounts, script="cat /fixed/file /etc/one.conf; touch /fixed/x; touch /data/y && ls /usr/share/deep/inside"
    )

    assert said.startswith("content\ncontent\ntouch: cannot touch '/fixed/x': Read-only file system\n")
    assert said.endswith("file\ny\n")
    assert sorted(path.name for path in folder.iterdir()) == ["file", "y"]


def test_the_files_of_an_image_may_lie_among_the_machines(pod: Pod) -> None:
    assert pod.output(image="demo/deep:1.0") == "home\n"


def test_volumes_in_volumes_are_both_there_whatever_their_order(runtime: Runtime, pod: Pod) -> None:
    outer, inner = runtime.folder / "outer", runtime.folder / "inner"
    outer.mkdir()
    inner.mkdir()
    (inner / "file").write_text("inner\n")
    mounts = (
        cri.Mount(container_path="/data/inner", host_path=str(inner)),
        cri.Mount(container_path="/data", host_path=str(outer)),
    )

    assert _mounted(pod, *mounts, script="cat /data/inner/file") == "inner\n"


def test_a_volume_that_is_not_there_is_made(runtime: Runtime, pod: Pod) -> None:
    folder = runtime.folder / "made" / "for" / "it"

    assert _mounted(pod, cri.Mount(container_path="/data", host_path=str(folder)), script="echo x > /data/file") == ""
    assert (folder / "file").read_text() == "x\n"


def test_a_path_through_a_link_stays_in_the_container(runtime: Runtime, pod: Pod) -> None:
    folder = runtime.folder / "linking"
    folder.mkdir()
    (folder / "out").symlink_to("/run/there")
    secret = runtime.folder / "secret"
    secret.mkdir()
    (secret / "token").write_text("t\n")
    mounts = (
        cri.Mount(container_path="/data", host_path=str(folder)),
        cri.Mount(container_path="/data/out/deep", host_path=str(secret)),
        cri.Mount(container_path="/var/run/secrets", host_path=str(secret)),
    )

    assert _mounted(pod, *mounts, script="cat /run/there/deep/token /run/secrets/token") == "t\nt\n"
    assert not Path("/run/there").exists()


def test_what_is_mounted_in_one_container_is_in_no_other(runtime: Runtime, pod: Pod) -> None:
    folder = runtime.folder / "private"
    folder.mkdir()
    (folder / "file").write_text("x\n")
    pod.run("sleep", "1000", mounts=[cri.Mount(container_path="/data", host_path=str(folder))])

    assert pod.output("sh", "-c", "ls /data 2>&1").startswith("ls: cannot access '/data'")


def test_the_kubelets_hosts_file_takes_the_place_of_ours(runtime: Runtime, pod: Pod) -> None:
    hosts = runtime.folder / "etc-hosts"
    hosts.write_text("10.244.0.9\tpod-name\n")

    said = _mounted(pod, cri.Mount(container_path="/etc/hosts", host_path=str(hosts)), script="cat /etc/hosts")

    assert said == "10.244.0.9\tpod-name\n"


def test_a_message_of_its_end_is_written_where_the_kubelet_reads_it(runtime: Runtime, pod: Pod) -> None:
    message = runtime.folder / "termination-log"
    message.touch()

    _mounted(
        pod,
        cri.Mount(container_path="/dev/termination-log", host_path=str(message)),
        script="echo why > /dev/termination-log",
    )

    assert message.read_text() == "why\n"
