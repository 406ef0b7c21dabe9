"""From what the kubelet says of a container to what the zygote is ordered to make of it. Pure."""

import posixpath
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.substrates.cri import runtime_pb2 as cri
from harness.substrates.cri.images import Image
from harness.substrates.cri.node import ETC_FILES, Node
from harness.substrates.cri.orders import NODE, OWN, Bind, Container, Root, User
from harness.substrates.cri.refusals import InvalidError

ROOM_MIB = 1024
"""Size limit of what a container writes outside its volumes."""

HOSTS, HOSTNAME, RESOLV = "hosts", "hostname", "resolv.conf"

CAPABILITIES = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
]
"""In the order of their numbers (include/uapi/linux/capability.h)."""

_USUAL = frozenset(
    [
        "CHOWN",
        "DAC_OVERRIDE",
        "FSETID",
        "FOWNER",
        "MKNOD",
        "NET_RAW",
        "SETGID",
        "SETUID",
        "SETFCAP",
        "SETPCAP",
        "NET_BIND_SERVICE",
        "SYS_CHROOT",
        "KILL",
        "AUDIT_WRITE",
    ]
)
_NEVER = frozenset({"SYS_ADMIN"})
"""Not even for privileged containers: who may mount can have a /proc of the machine's that is not read-only."""

_MASKED = (
    *("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug"),
    *("/proc/kpagecount", "/proc/kpageflags", "/proc/kpagecgroup", "/sys/firmware", "/sys/devices/virtual/powercap"),
)
_GUARDED = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
"""Whatever is asked for: the environment's root can be the machine's, and the modes of these files would let it in."""

_ROOTS = (
    *("/", "/etc", "/var", "/run", "/home", "/root", "/dev", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/share"),
    *("/usr/local", "/usr/local/bin", "/usr/local/lib", "/usr/local/share"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a container is put: its pod's id, folder and hostname."""

    sandbox: str
    folder: Path
    hostname: str


def order(node: Node, place: Place, image: Image, config: cri.ContainerConfig, *, key: str) -> Container:
    """What to order for that container, known as `key`. InvalidError if it has no command or names an unknown capability."""
    security = config.linux.security_context
    environment = variables(node, place, image, config)
    return Container(
        do="container",
        key=key,
        pod=place.sandbox,
        pid=_pid_namespace(security.namespace_options, place.sandbox),
        root=_root(node, place, image, config),
        argv=command(node, image, config),
        env=environment,
        cwd=config.working_dir or image.workdir or "/",
        user=user(image, security),
        terminal=config.tty,
        oom_score_adj=config.linux.resources.oom_score_adj,
    )


def command(node: Node, image: Image, config: cri.ContainerConfig) -> Sequence[str]:
    """ENTRYPOINT and CMD as overridden by command and args (docker's rules). InvalidError if nothing is left."""
    first, rest = list(config.command), list(config.args)
    if not first:
        first = list(image.entrypoint)
        rest = rest or list(image.arguments)
    words = [word.replace("{python}", node.python) for word in (*first, *rest)]
    if not words:
        raise InvalidError("failed to generate container spec: no command specified")
    return words


def variables(node: Node, place: Place, image: Image, config: cri.ContainerConfig) -> Mapping[str, str]:
    """A container's environment: the image's, and the kubelet's over it."""
    path = node.path_of(busybox=image.is_busybox, python=image.needs_python)
    found = {"PATH": path, "HOSTNAME": place.hostname}
    if image.needs_python:
        found |= node.python_environment
    if config.tty:
        found["TERM"] = "xterm"
    found |= dict(image.environment) | {pair.key: pair.value for pair in config.envs}
    found.setdefault("HOME", "/root" if not user(image, config.linux.security_context)["uid"] else "/")
    return found


def user(image: Image, security: cri.LinuxContainerSecurityContext) -> User:
    """Who its processes are, and with which capabilities."""
    uid = security.run_as_user.value if security.HasField("run_as_user") else image.uid
    gid = security.run_as_group.value if security.HasField("run_as_group") else image.gid
    return User(uid=uid, gid=gid, capabilities=_capabilities(security), no_new_privileges=security.no_new_privs)


def _capabilities(security: cri.LinuxContainerSecurityContext) -> Sequence[int]:
    added = {_capability(name) for name in security.capabilities.add_capabilities}
    dropped = {_capability(name) for name in security.capabilities.drop_capabilities}
    if security.privileged:
        names = set(CAPABILITIES)
    else:
        names = set() if "ALL" in dropped else set(_USUAL)
        names |= set(CAPABILITIES) if "ALL" in added else set()
        names = (names | added) - (dropped - added)
    return sorted(CAPABILITIES.index(name) for name in names - _NEVER - {"ALL"})


def _capability(name: str) -> str:
    short = name.upper().removeprefix("CAP_")
    if short != "ALL" and short not in CAPABILITIES:
        raise InvalidError(f'failed to generate container spec: unknown capability "CAP_{short}"')
    return short


def _pid_namespace(options: cri.NamespaceOption, sandbox: str) -> str:
    match options.pid:
        case cri.NODE:
            return NODE
        case cri.CONTAINER:
            return OWN
        case cri.TARGET:
            return options.target_id
        case _:
            return sandbox


def _root(node: Node, place: Place, image: Image, config: cri.ContainerConfig) -> Root:
    security = config.linux.security_context
    files = {path: str(place.folder / name) for name in (HOSTS, HOSTNAME, RESOLV) for path in (f"/etc/{name}",)}
    binds = {path: Bind(source=source, target=path, read_only=False) for path, source in files.items()}
    for mount in config.mounts:
        target = posixpath.normpath(mount.container_path)
        binds[target] = Bind(source=mount.host_path, target=target, read_only=mount.readonly)
    programs = {**node.programs, **(node.python_programs if image.needs_python else {}), **dict(image.files)}
    return Root(
        place=str(node.place),
        size_mib=ROOM_MIB,
        programs={**programs, **(node.busybox if image.is_busybox else {})},
        plain=node.plain,
        links={**node.links, **(node.python_links if image.needs_python else {})},
        etc=[path for path in node.etc if path not in binds],
        files=ETC_FILES,
        binds=list(binds.values()),
        shm=str(place.folder / "shm"),
        masked=[*dict.fromkeys((*_MASKED, *security.masked_paths))],
        guarded=[*dict.fromkeys((*_GUARDED, *security.readonly_paths))],
        closed=[path for path in _closed(node, image, security) if path not in binds],
        read_only=security.readonly_rootfs,
    )


def _closed(node: Node, image: Image, security: cri.LinuxContainerSecurityContext) -> Sequence[str]:
    """What a container that is not root must not write to: what is root's in every image. An image that names a user of its own
    may have given that one its files."""
    if not user(image, security)["uid"]:
        return ()
    files = () if image.uid else tuple(path for path, _ in image.files)
    return (*_ROOTS, *node.programs, *ETC_FILES, *files)


def stop_signal(image: Image, config: cri.ContainerConfig) -> signal.Signals:
    """What a container is asked to stop with: the pod's, the image's, or SIGTERM. InvalidError if there is no such signal."""
    name = image.stop_signal or "SIGTERM"
    if config.stop_signal != cri.RUNTIME_DEFAULT:
        name = cri.Signal.Name(config.stop_signal)
    for real, stem in (("SIGRTMINPLUS", signal.SIGRTMIN), ("SIGRTMAXMINUS", signal.SIGRTMAX)):
        if name.startswith(real):
            offset = int(name.removeprefix(real))
            return signal.Signals(stem + offset if "PLUS" in real else stem - offset)
    name = {"SIGCLD": "SIGCHLD", "SIGPOLL": "SIGIO", "SIGIOT": "SIGABRT"}.get(name, name)
    try:
        return signal.Signals(int(name)) if name.isdecimal() else signal.Signals[name]
    except (KeyError, ValueError) as error:
        raise InvalidError(f'failed to parse stop signal "{name}"') from error
