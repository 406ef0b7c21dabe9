"""What containers, networks, volumes and commands may be made of: documents are made safe or refused."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.substrates.docker_proxy import documents
from harness.substrates.docker_proxy.containers import container
from harness.substrates.docker_proxy.documents import Place, read
from harness.substrates.docker_proxy.routes import RefusedError

PLACE = Place({"rundrill.environment": "e1", "rundrill.run": "r1"}, "proj", "net-e1")

# What `docker run busybox true` (20.10) sends, shortened by nothing but repetition.
PLAIN = {
    "Hostname": "",
    "AttachStdin": False,
    "AttachStdout": True,
    "Env": [],
    "Cmd": ["true"],
    "Image": "busybox",
    "Volumes": {},
    "Entrypoint": None,
    "OnBuild": None,
    "Labels": {},
    "HostConfig": {
        "Binds": None,
        "ContainerIDFile": "",
        "LogConfig": {"Type": "", "Config": {}},
        "NetworkMode": "default",
        "PortBindings": {},
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "AutoRemove": False,
        "VolumeDriver": "",
        "VolumesFrom": None,
        "CapAdd": None,
        "CapDrop": None,
        "CgroupnsMode": "",
        "Dns": [],
        "IpcMode": "",
        "Cgroup": "",
        "Links": None,
        "OomScoreAdj": 0,
        "PidMode": "",
        "Privileged": False,
        "PublishAllPorts": False,
        "SecurityOpt": None,
        "UTSMode": "",
        "UsernsMode": "",
        "Isolation": "",
        "Memory": 0,
        "MemorySwappiness": -1,
        "Devices": [],
        "DeviceRequests": None,
        "OomKillDisable": False,
        "MaskedPaths": None,
        "ReadonlyPaths": None,
    },
    "NetworkingConfig": {"EndpointsConfig": {}},
}


def host(**options) -> dict:
    return {"Image": "busybox", "HostConfig": options}


def test_a_plain_container_gets_the_environments_labels_and_network():
    safe = container(PLAIN, PLACE)
    assert safe.document["Labels"] == PLACE.labels
    assert safe.document["HostConfig"]["NetworkMode"] == "net-e1"
    assert safe.document["Cmd"] == ["true"]
    assert "Privileged" not in safe.document["HostConfig"]
    assert (safe.containers, safe.networks, safe.volumes) == ([], [], [])


def test_a_container_without_any_host_configuration_is_in_the_environments_network_too():
    assert container({"Image": "busybox"}, PLACE).document["HostConfig"] == {"NetworkMode": "net-e1"}
    assert container(host(), PLACE).document["HostConfig"] == {"NetworkMode": "net-e1"}
    assert container({"HostConfig": None}, PLACE).document["HostConfig"] == {"NetworkMode": "net-e1"}


REACHING = [
    {"Privileged": True},
    {"CapAdd": ["SYS_ADMIN"]},
    {"Devices": [{"PathOnHost": "/dev/sda"}]},
    {"DeviceRequests": [{"Driver": "nvidia"}]},
    {"DeviceCgroupRules": ["a *:* rwm"]},
    {"PidMode": "host"},
    {"IpcMode": "host"},
    {"UTSMode": "host"},
    {"UsernsMode": "host"},
    {"CgroupnsMode": "host"},
    {"CgroupParent": "/"},
    {"NetworkMode": "host"},
    {"NetworkMode": "ns:/proc/1/ns/net"},
    {"Binds": ["/:/host"]},
    {"Binds": ["./x:/host"]},
    {"Binds": ["~:/host"]},
    {"Binds": ["/data"]},
    {"Mounts": [{"Type": "bind", "Source": "/", "Target": "/host"}]},
    {"Mounts": [{"Type": "npipe", "Source": "x", "Target": "/host"}]},
    {"Mounts": [{"Source": "/", "Target": "/host"}]},
    {"Mounts": [{"Type": "volume", "type": "bind", "Source": "v", "Target": "/host"}]},
    {"Mounts": [{"Type": "volume", "Target": "/x", "VolumeOptions": {"DriverConfig": {"Options": {"device": "/"}}}}]},
    {"Mounts": [{"Type": "tmpfs", "Source": "/", "Target": "/x"}]},
    {"SecurityOpt": ["seccomp=unconfined"]},
    {"SecurityOpt": ["no-new-privileges:false"]},
    {"LogConfig": {"Type": "gelf", "Config": {"gelf-address": "udp://10.0.0.1:1"}}},
    {"LogConfig": {"Type": "json-file", "type": "syslog"}},
    {"Runtime": "other"},
    {"Sysctls": {"net.ipv4.ip_forward": "1"}},
    {"MaskedPaths": ["/proc/x"]},
    {"PublishAllPorts": True},
    {"OomScoreAdj": -1000},
    {"StorageOpt": {"size": "1G"}},
    {"Annotations": {"a": "b"}},
    {"VolumeDriver": "nfs"},
    {"SomethingOfTheFuture": 1},
]


@pytest.mark.parametrize("options", REACHING, ids=str)
def test_what_would_reach_the_host_is_refused(options):
    with pytest.raises(RefusedError, match="refused by the drill"):
        container(host(**options), PLACE)


@settings(deadline=None)
@given(st.sampled_from(REACHING), st.randoms(use_true_random=False))
def test_no_spelling_of_a_key_gets_it_past(options, chance: random.Random):
    # Go matches the keys of JSON whatever their case.
    spelt = {"".join(chance.choice((c.upper(), c.lower())) for c in key): value for key, value in options.items()}
    outer = "".join(chance.choice((c.upper(), c.lower())) for c in "HostConfig")
    with pytest.raises(RefusedError):
        container({"Image": "busybox", outer: spelt, "HostConfig" if outer != "HostConfig" else "Tty": None}, PLACE)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = [
    *PLAIN,
    *PLAIN["HostConfig"],
    "Binds",
    "Mounts",
    "EndpointsConfig",
    "Name",
    "Driver",
    "DriverOpts",
    "IPAM",
    "Container",
]


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=6), json_values, max_size=6))
def test_any_document_is_made_safe_or_refused(document):
    makers = (
        lambda: container({**document, "HostConfig": document}, PLACE),
        lambda: container(document, PLACE),
        lambda: documents.network(document, PLACE),
        lambda: documents.volume(document, PLACE),
        lambda: documents.exec_options(document),
        lambda: documents.connection(document),
    )
    for make in makers:
        try:
            json.dumps(make().document)
        except RefusedError as error:
            assert str(error)  # noqa: PT017


def test_named_volumes_other_containers_and_networks_are_to_be_checked():
    safe = container(
        host(
            Binds=["data:/var/lib/data:ro", "other:/x"],
            Mounts=[{"Type": "volume", "Source": "third", "Target": "/y"}, {"Type": "tmpfs", "Target": "/t"}],
            VolumesFrom=["db:ro"],
            Links=["/cache:redis"],
            PidMode="container:web",
            NetworkMode="backend",
        ),
        PLACE,
    )
    assert safe.volumes == ["data", "other", "third"]
    assert sorted(safe.containers) == ["cache", "db", "web"]
    assert safe.networks == ["backend"]


def test_endpoints_of_the_default_network_are_those_of_the_environments():
    asked = {**host(NetworkMode="bridge"), "NetworkingConfig": {"EndpointsConfig": {"bridge": {"Aliases": ["a"]}}}}
    safe = container(asked, PLACE)
    assert safe.document["NetworkingConfig"] == {"EndpointsConfig": {"net-e1": {"Aliases": ["a"]}}}
    assert safe.networks == ["net-e1"]


def test_an_endpoint_cannot_name_its_network_by_number():
    asked = {"NetworkingConfig": {"EndpointsConfig": {"net-e1": {"NetworkID": "0123"}}}}
    with pytest.raises(RefusedError, match="NetworkID"):
        container(asked, PLACE)


def test_ports_are_published_on_this_machine_alone():
    bindings = {"80/tcp": [{"HostIp": "", "HostPort": "8080"}, {"HostIp": "0.0.0.0", "HostPort": ""}], "81/tcp": None}
    published = container(host(PortBindings=bindings), PLACE).document["HostConfig"]["PortBindings"]
    assert [each["HostIp"] for each in published["80/tcp"]] == ["127.0.0.1", "127.0.0.1"]
    with pytest.raises(RefusedError):
        container(host(PortBindings={"80/tcp": [{"hostip": "0.0.0.0"}]}), PLACE)


def test_labels_of_the_environment_cannot_be_taken_off_and_another_project_is_refused():
    labels = {"rundrill.environment": "e2", "x": "y", "com.docker.compose.project": "proj"}
    assert container({"Labels": labels}, PLACE).document["Labels"] == {**labels, **PLACE.labels}
    with pytest.raises(RefusedError, match="other is another one; this environment's is proj"):
        container({"Labels": {"com.docker.compose.project": "other"}}, PLACE)


def test_a_network_is_a_bridge_that_leads_nowhere():
    asked = {"Name": "n", "CheckDuplicate": True, "Driver": "bridge", "IPAM": {"Driver": "default", "Config": []}}
    made = documents.network({**asked, "Options": {}, "EnableIPv6": False}, PLACE).document
    assert made["Options"] == {"com.docker.network.bridge.enable_ip_masquerade": "false"}
    assert documents.shown([{"Name": "n", **made}]) == [{"Name": "n", **made, "Options": {}}]
    assert made["Labels"] == PLACE.labels
    for wrong in (
        {"Driver": "macvlan"},
        {"Options": {"parent": "eth0"}},
        {"ConfigFrom": {"Network": "host"}},
        {"Scope": "swarm"},
        {"Ingress": True},
        {"EnableIPv6": True},
        {"IPAM": {"Config": [{"Subnet": "10.0.0.0/8"}]}},
    ):
        with pytest.raises(RefusedError):
            documents.network({**asked, **wrong}, PLACE)


def test_a_volume_is_the_daemons_own_or_in_memory():
    memory = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}
    for options in (None, {}, memory):
        made = documents.volume({"Name": "v", "Driver": "local", "DriverOpts": options}, PLACE).document
        assert made["Labels"] == PLACE.labels
    for wrong in (
        {"type": "none", "o": "bind", "device": "/"},
        {"o": "bind", "device": "/"},
        {"o": "bind"},
        {"type": "tmpfs", "Type": "none", "device": "tmpfs"},
        {"type": "nfs", "o": "addr=10.0.0.1"},
    ):
        with pytest.raises(RefusedError):
            documents.volume({"Name": "v", "DriverOpts": wrong}, PLACE)
    with pytest.raises(RefusedError):
        documents.volume({"Name": "v", "Driver": "nfs"}, PLACE)


def test_a_command_in_a_container_is_not_privileged():
    assert documents.exec_options({"Cmd": ["id"], "Privileged": False, "User": "1"}).document == {
        "Cmd": ["id"],
        "User": "1",
    }
    for key in ("Privileged", "privileged", "PRIVILEGED"):
        with pytest.raises(RefusedError):
            documents.exec_options({"Cmd": ["id"], key: True})


@pytest.mark.parametrize("data", [b"[]", b"1", b"{", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_document_is_refused(data):
    with pytest.raises(RefusedError, match="not a document") as error:
        read(data)
    assert error.value.status == 400
