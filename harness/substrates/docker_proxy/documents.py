"""The documents that requests bring, made safe: labels and network are the environment's, and nothing in them reaches the host.

Pure. Each key is either known here or empty: the daemon matches keys whatever their case, so an unknown one is no trifle.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from harness.substrates.docker_proxy.routes import RefusedError, refused

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Document = dict[str, Json]

PROJECT = "com.docker.compose.project"
ONE_WAY = "com.docker.network.bridge.enable_ip_masquerade"
BEYOND = "would reach beyond this environment"


@dataclass(frozen=True, slots=True)
class Place:
    """Whose the environment's things are: its labels, its compose project, its network."""

    labels: Mapping[str, str]
    project: str
    network: str


@dataclass(slots=True)
class Safe:
    """A document that may be handed on if all that it names is the environment's."""

    document: Document
    containers: list[str] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)


Check = Callable[[str, Json], Json]
"""What becomes of a key's value, given its place for the message. RefusedError if it is refused."""


def read(data: bytes) -> Document:
    """A document. RefusedError if it is none."""
    try:
        document: Json = msgspec.json.decode(data or b"{}")
    except (msgspec.DecodeError, RecursionError) as error:
        raise RefusedError(f"not a document of the Docker API: {error}", 400) from error
    if not isinstance(document, dict):
        raise RefusedError("not a document of the Docker API: expected an object", 400)
    return document


def kept(document: Json, known: Mapping[str, Check], where: str) -> Document:
    """The known keys of a document, checked; empty ones that are not known are left out. RefusedError for any other."""
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise RefusedError(f"{where}: expected an object", 400)
    safe: Document = {}
    for key, value in document.items():
        if key in known:
            safe[key] = known[key](f"{where}.{key}", value)
        elif value not in (None, False, 0, "", [], {}, -1):
            raise refused(f"{where}.{key} {BEYOND}")
    return safe


def anything(_: str, value: Json) -> Json:
    """Whatever it is, it stays within the container."""
    return value


def only(*allowed: Json) -> Check:
    """One of these, or nothing."""

    def check(where: str, value: Json) -> Json:
        if value in allowed or value in (None, ""):
            return value
        raise refused(f"{where}={value!s} {BEYOND}")

    return check


def texts(value: Json, where: str) -> Sequence[str]:
    """A list of strings, or null. RefusedError (400) if it is something else."""
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise RefusedError(f"{where}: expected a list of strings", 400)
    return tuple(str(each) for each in value)


def labelled(value: Json, place: Place) -> dict[str, Json]:
    """Labels with those of the environment. RefusedError if they are of another compose project."""
    labels = value if isinstance(value, dict) else {}
    project = labels.get(PROJECT, place.project)
    if project != place.project:
        raise refused(f"the compose project {project!s} is another one; this environment's is {place.project}")
    return {**labels, **place.labels}


def exec_options(document: Document) -> Safe:
    """What is to be executed in a container (ExecConfig)."""
    names = "User Tty AttachStdin AttachStdout AttachStderr Detach DetachKeys Env Cmd WorkingDir ConsoleSize"
    return Safe(kept(document, dict.fromkeys(names.split(), anything), "exec"))


def exec_start(document: Document) -> Safe:
    """How it is to be executed (ExecStartCheck)."""
    return Safe(kept(document, dict.fromkeys(("Detach", "Tty", "ConsoleSize"), anything), "exec"))


def endpoint(where: str, value: Json) -> Json:
    """How a container is in a network. Not by whose number: only the names that are checked count."""
    names = ("Aliases", "Links", "IPAMConfig", "MacAddress")
    return kept(value, dict.fromkeys(names, anything), where)


def connection(document: Document) -> Safe:
    """A container that joins or leaves a network (NetworkConnect, NetworkDisconnect)."""
    known: Mapping[str, Check] = {"Container": anything, "EndpointConfig": endpoint, "Force": anything}
    safe = kept(document, known, "network")
    container = safe.get("Container")
    if not isinstance(container, str) or not container:
        raise RefusedError("network.Container: expected the name of a container", 400)
    return Safe(safe, containers=[container])


def network(document: Document, place: Place) -> Safe:
    """A network to be made: a bridge out of which nothing is translated: what is in it reaches this machine at most."""
    ipam = {"Driver": only("default"), "Options": only({}), "Config": only([])}
    known: Mapping[str, Check] = {
        "Name": anything,
        "CheckDuplicate": anything,
        "Driver": only("bridge"),
        "Scope": only("local"),
        "Internal": anything,
        "Attachable": anything,
        "Labels": anything,
        "IPAM": lambda where, value: kept(value, ipam, where),
    }
    safe = kept(document, known, "network")
    safe["Labels"] = labelled(safe.get("Labels"), place)
    safe["Options"] = {ONE_WAY: "false"}
    return Safe(safe)


def shown(networks: Json) -> Json:
    """What the daemon tells of networks, without our option: compose takes one that it did not write for a change of its
    network, and refuses to go on."""
    for each in networks if isinstance(networks, list) else [networks]:
        if isinstance(each, dict) and isinstance(options := each.get("Options"), dict):
            options.pop(ONE_WAY, None)
    return networks


def volume(document: Document, place: Place) -> Safe:
    """A volume to be made: of the daemon's own, or in memory."""
    options = {"type": only("tmpfs"), "device": only("tmpfs"), "o": anything}
    known: Mapping[str, Check] = {
        "Name": anything,
        "Driver": only("local"),
        "Labels": anything,
        "DriverOpts": lambda where, value: kept(value, options, where),
    }
    safe = kept(document, known, "volume")
    drivers = safe.get("DriverOpts")
    if isinstance(drivers, dict) and drivers and drivers.get("type") != "tmpfs":
        raise refused(f"volume.DriverOpts without type=tmpfs {BEYOND}")
    safe["Labels"] = labelled(safe.get("Labels"), place)
    return Safe(safe)
