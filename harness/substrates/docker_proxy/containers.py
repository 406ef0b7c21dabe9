"""Containers to be made, as documents made safe: what would reach the host is refused, the network is the environment's.

Pure. The keys are those of ContainerConfig and HostConfig (Engine API, POST /containers/create).
"""

from collections.abc import Mapping
from functools import partial

from harness.substrates.docker_proxy.documents import (
    BEYOND,
    Check,
    Document,
    Json,
    Place,
    Safe,
    anything,
    endpoint,
    kept,
    labelled,
    only,
    texts,
)
from harness.substrates.docker_proxy.routes import RefusedError, refused

_WITHIN = (
    "Hostname",
    "Domainname",
    "User",
    "AttachStdin",
    "AttachStdout",
    "AttachStderr",
    "ExposedPorts",
    "Tty",
    "OpenStdin",
    "StdinOnce",
    "Env",
    "Cmd",
    "Healthcheck",
    "ArgsEscaped",
    "Image",
    "Volumes",
    "WorkingDir",
    "Entrypoint",
    "NetworkDisabled",
    "MacAddress",
    "Labels",
    "StopSignal",
    "StopTimeout",
    "Shell",
)
_RESOURCES = (
    "CpuShares",
    "CpuPeriod",
    "CpuQuota",
    "CpusetCpus",
    "CpusetMems",
    "CpuCount",
    "CpuPercent",
    "NanoCpus",
    "Memory",
    "MemoryReservation",
    "MemorySwap",
    "MemorySwappiness",
    "KernelMemory",
    "KernelMemoryTCP",
    "PidsLimit",
    "BlkioWeight",
    "RestartPolicy",
    "AutoRemove",
    "ReadonlyRootfs",
    "CapDrop",
    "Init",
    "ShmSize",
    "Tmpfs",
    "Ulimits",
    "ExtraHosts",
    "Dns",
    "DnsOptions",
    "DnsSearch",
    "GroupAdd",
    "ConsoleSize",
)
_NO_NEW = ("no-new-privileges", "no-new-privileges:true", "no-new-privileges=true")
_DEFAULT_NETWORKS = (None, "", "default", "bridge")


def container(document: Document, place: Place) -> Safe:
    """A container to be made. RefusedError says what in it would reach beyond the environment."""
    safe = Safe({})
    known: Mapping[str, Check] = {
        **dict.fromkeys(_WITHIN, anything),
        "HostConfig": partial(_host, safe, place),
        "NetworkingConfig": partial(_networking, safe, place),
    }
    made = kept(document, known, "container")
    made["Labels"] = labelled(made.get("Labels"), place)
    host = made.setdefault("HostConfig", {"NetworkMode": place.network})
    joined = host.get("NetworkMode") if isinstance(host, dict) else None
    networking = made.get("NetworkingConfig")
    if isinstance(networking, dict) and isinstance(joined, str) and (joined == "none" or ":" in joined):
        # The daemon takes no endpoints of a container that has another's network, or none.
        del made["NetworkingConfig"]
    safe.document = made
    return safe


def _host(safe: Safe, place: Place, where: str, value: Json) -> Json:
    known: Mapping[str, Check] = {
        **dict.fromkeys(_RESOURCES, anything),
        "NetworkMode": partial(_network_mode, safe, place),
        "PidMode": partial(_shared, safe, ()),
        "IpcMode": partial(_shared, safe, ("private", "shareable", "none")),
        "CgroupnsMode": only("private"),
        "Isolation": only("default"),
        "Runtime": only("runc"),
        "VolumeDriver": only("local"),
        "Binds": partial(_binds, safe),
        "Mounts": partial(_mounts, safe),
        "VolumesFrom": partial(_named, safe),
        "Links": partial(_named, safe),
        "LogConfig": _log,
        "PortBindings": _ports,
        "SecurityOpt": _security,
    }
    host = kept(value, known, where)
    host.setdefault("NetworkMode", place.network)
    return host


def _network_mode(safe: Safe, place: Place, where: str, value: Json) -> Json:
    if value in _DEFAULT_NETWORKS:
        return place.network
    if value == "none":
        return value
    if not isinstance(value, str) or value == "host" or value.startswith("ns:"):
        raise refused(f"{where}={value!s} {BEYOND}")
    if value.startswith("container:"):
        return _shared(safe, (), where, value)
    safe.networks.append(value)
    return value


def _shared(safe: Safe, allowed: tuple[str, ...], where: str, value: Json) -> Json:
    """A namespace of its own, or that of another container of the environment."""
    if value in (None, "", *allowed):
        return value
    if isinstance(value, str) and value.startswith("container:"):
        safe.containers.append(value.removeprefix("container:"))
        return value
    raise refused(f"{where}={value!s} {BEYOND}")


def _networking(safe: Safe, place: Place, where: str, value: Json) -> Json:
    def endpoints(where: str, value: Json) -> Json:
        if value is None:
            return None
        if not isinstance(value, dict):
            raise RefusedError(f"{where}: expected an object", 400)
        joined: Document = {}
        for name, how in value.items():
            own = place.network if name in _DEFAULT_NETWORKS else name
            safe.networks.append(own)
            joined[own] = endpoint(f"{where}.{name}", how)
        return joined

    return kept(value, {"EndpointsConfig": endpoints}, where)


def _binds(safe: Safe, where: str, value: Json) -> Json:
    for bind in texts(value, where):
        source, colon, _ = bind.partition(":")
        if not colon or not source or source[0] in "/.~\\":
            raise refused(f"{where}={bind}: a folder of the host {BEYOND}; volumes of the environment can be mounted")
        safe.volumes.append(source)
    return value


def _mounts(safe: Safe, where: str, value: Json) -> Json:
    options = {"NoCopy": anything, "Subpath": anything}
    known: Mapping[str, Check] = {
        **dict.fromkeys(("Source", "Target", "ReadOnly", "TmpfsOptions", "Consistency"), anything),
        "Type": only("volume", "tmpfs"),
        "VolumeOptions": lambda where, value: kept(value, options, where),
    }
    if value is None:
        return None
    if not isinstance(value, list):
        raise RefusedError(f"{where}: expected a list", 400)
    mounts: list[Json] = []
    for each in value:
        mount = kept(each, known, where)
        source = mount.get("Source")
        if mount.get("Type") == "volume" and source:
            safe.volumes.append(str(source))
        elif mount.get("Type") != "volume" and (mount.get("Type") != "tmpfs" or source):
            raise refused(f"{where}: a mount of that type {BEYOND}")
        mounts.append(mount)
    return mounts


def _named(safe: Safe, where: str, value: Json) -> Json:
    """Containers, each with something after a colon."""
    safe.containers += [text.partition(":")[0].removeprefix("/") for text in texts(value, where)]
    return value


def _log(where: str, value: Json) -> Json:
    """A log that stays with the daemon."""
    return kept(value, {"Type": only("json-file", "local", "journald", "none"), "Config": anything}, where)


def _security(where: str, value: Json) -> Json:
    for option in texts(value, where):
        if option not in _NO_NEW:
            raise refused(f"{where}={option} {BEYOND}")
    return value


def _ports(where: str, value: Json) -> Json:
    """Published on this machine alone, whatever address was asked for."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise RefusedError(f"{where}: expected an object", 400)
    published: Document = {}
    for port, bindings in value.items():
        if bindings is not None and not isinstance(bindings, list):
            raise RefusedError(f"{where}.{port}: expected a list", 400)
        known = dict.fromkeys(("HostIp", "HostPort"), anything)
        published[port] = [
            {**kept(binding, known, f"{where}.{port}"), "HostIp": "127.0.0.1"} for binding in bindings or ()
        ]
    return published
