"""The private root of a namespace environment: the host's programs read-only, everything that changes its own.

It is built by pid 1 with the capabilities it has in its own user namespace only. Not a policy on who may do what in it.
"""

# The standard library's slow modules are avoided: pathlib alone costs more than all the rest of the start.
# ruff: noqa: PTH101, PTH103, PTH110, PTH112, PTH113, PTH114, PTH115, PTH120, PTH123, PTH211, S103, S108
import os
import socket
from collections.abc import Mapping, Sequence
from typing import TypedDict

from harness.substrates.inside import kernel

_NEW = "/sys"
"""Where the new root is put together: a directory every Linux has and nothing here is taken from."""

_OWN = ("/tmp", "/var/tmp", "/var/log", "/run", "/srv", "/home/operator")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_HIDDEN = ("kcore", "keys", "kpagecount", "kpageflags", "kpagecgroup", "timer_list", "sysrq-trigger")
"""Files of /proc that the host's root may read or write by their mode alone, and our root can be the host's."""


class Volume(TypedDict):
    """A tmpfs of its own: where, and how many MiB."""

    path: str
    mib: int


class Plan(TypedDict):
    """What the root is to consist of. `programs` are host paths, bound read-only at their keys; `etc` those of /etc.
    `addresses` are more of the loopback's, `networks` such whose every address is its own; `devices`: with the host's /sys.
    `clients`: the first and last port of those who connect ("52000 58766"), "" for the kernel's own."""

    hostname: str
    programs: Mapping[str, str]
    etc: Sequence[str]
    files: Mapping[str, str]
    directories: Sequence[str]
    volumes: Sequence[Volume]
    size_mib: int
    addresses: Sequence[str]
    networks: Sequence[str]
    devices: bool
    clients: str


OUR_PROC = "/run/rundrill/proc"
"""The /proc of the supervisor's pid namespace, where the instruments' own is bound from."""

OTHER_TMP = "/rundrill/tmp"
"""Where there is one, the /tmp of who has mounts of their own. With a cluster the system's is the node's, which keeps volumes
in it (Kubernetes' host-path provisioner): an operator who clears /tmp does not sit on a node."""

_PROC_FLAGS = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC


def build(plan: Plan) -> int:
    """Put the plan's root together, but for /proc; returned is a descriptor of a writable /proc that nobody else has."""
    kernel.loopback_up()
    for network in plan["networks"]:
        kernel.make_local(network)
    for address in plan["addresses"]:
        kernel.add_address(address)
    socket.sethostname(plan["hostname"])
    kernel.mount("none", "/", "", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    devices = kernel.copy_mounts(_NEW) if plan["devices"] else -1
    _tmpfs("", mib=plan["size_mib"])
    if plan["devices"]:
        os.makedirs(f"{_NEW}/sys")
        kernel.attach_mounts(devices, f"{_NEW}/sys")
        kernel.set_mount(f"{_NEW}/sys", kernel.MOUNT_ATTR_RDONLY)
    for path in _OWN:
        _tmpfs(path, mib=plan["size_mib"])
    for volume in plan["volumes"]:
        _tmpfs(volume["path"], mib=volume["mib"])
    os.chmod(f"{_NEW}/tmp", 0o1777)
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "opt"):
        _program(f"/{name}")
    for target, source in plan["programs"].items():
        _read_only(source, target)
    for path in plan["etc"]:
        _etc(path)
    for path in plan["directories"]:
        os.makedirs(_NEW + path, exist_ok=True)
    for path, text in plan["files"].items():
        with open(_made(path), "w", encoding="utf-8") as file:
            file.write(text)
    _devices()
    proc = _our_proc()
    if plan["clients"]:
        _number_clients(proc, plan["clients"])
    return proc


def _number_clients(proc: int, ports: str) -> None:
    """From the first program on: connections keep their ports, and later their answers would be taken for others'."""
    file = os.open("sys/net/ipv4/ip_local_port_range", os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc)
    try:
        os.write(file, ports.encode())
    finally:
        os.close(file)


def enter() -> None:
    """Make it the root of everybody in this mount namespace."""
    os.chdir(_NEW)
    kernel.pivot_root()


def _made(path: str) -> str:
    os.makedirs(os.path.dirname(_NEW + path), exist_ok=True)
    return _NEW + path


def _tmpfs(path: str, *, mib: int) -> None:
    os.makedirs(_NEW + path, exist_ok=True)
    flags = kernel.MS_NOSUID | kernel.MS_NODEV
    kernel.mount("rundrill", _NEW + path, "tmpfs", flags=flags, data=f"size={mib}m,mode=755")


def _bind(source: str, target: str) -> None:
    if os.path.isdir(source):
        os.makedirs(_NEW + target, exist_ok=True)
    else:
        with open(_made(target), "a", encoding="utf-8"):
            pass
    kernel.mount(source, _NEW + target, "", flags=kernel.MS_BIND | kernel.MS_REC)


def _program(path: str) -> None:
    if os.path.lexists(_NEW + path) and not os.path.isdir(_NEW + path):
        return
    if os.path.islink(path) and path.count("/") == 1:
        os.symlink(os.readlink(path), _NEW + path)
        return
    for place in dict.fromkeys((path, os.path.realpath(path))):
        if os.path.exists(path):
            _read_only(os.path.realpath(path), place)


def _read_only(source: str, target: str) -> None:
    _bind(source, target)
    kernel.set_mount(_NEW + target, kernel.MOUNT_ATTR_RDONLY | kernel.MOUNT_ATTR_NOSUID)


def _etc(path: str) -> None:
    """Bind a directory of /etc, copy a file: programs look there for what they need to start."""
    if os.path.islink(path):
        os.symlink(os.readlink(path), _made(path))
    elif os.path.isdir(path):
        _program(path)
    elif os.path.isfile(path) and os.access(path, os.R_OK):
        with open(path, "rb") as source, open(_made(path), "wb") as copy:
            copy.write(source.read())


def _devices() -> None:
    _tmpfs("/dev", mib=1)
    for name in _DEVICES:
        if os.path.exists(f"/dev/{name}"):
            _bind(f"/dev/{name}", f"/dev/{name}")
    _tmpfs("/dev/shm", mib=1024)  # PostgreSQL's shared memory
    os.chmod(f"{_NEW}/dev/shm", 0o1777)
    os.makedirs(f"{_NEW}/dev/pts")
    flags = kernel.MS_NOSUID | kernel.MS_NOEXEC
    kernel.mount("devpts", f"{_NEW}/dev/pts", "devpts", flags=flags, data="newinstance,ptmxmode=0666,mode=620")
    for name, target in {
        "ptmx": "pts/ptmx",
        "fd": "/proc/self/fd",
        "stdin": "/proc/self/fd/0",
        "stdout": "/proc/self/fd/1",
        "stderr": "/proc/self/fd/2",
    }.items():
        os.symlink(target, f"{_NEW}/dev/{name}")


def _our_proc() -> int:
    place = _NEW + OUR_PROC
    os.makedirs(place)
    kernel.mount("proc", place, "proc", flags=_PROC_FLAGS)
    writable = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    kernel.unmount(place)
    kernel.mount("proc", place, "proc", flags=_PROC_FLAGS)
    _guard(place)
    return writable


def mount_proc() -> None:
    """Mount the /proc of the caller's pid namespace, which is the system's; before `enter`."""
    place = f"{_NEW}/proc"
    os.makedirs(place)
    kernel.mount("proc", place, "proc", flags=_PROC_FLAGS)
    _guard(place)


def _guard(place: str) -> None:
    """Make it read-only for everybody.

    Where our uid 0 is the host's, the modes of /proc/sys and its like would let us in: only the mount keeps us out.
    """
    for name in _HIDDEN:
        if os.path.exists(f"{place}/{name}"):
            kernel.mount("/dev/null", f"{place}/{name}", "", flags=kernel.MS_BIND)
    kernel.set_mount(place, kernel.MOUNT_ATTR_RDONLY)
