"""A container's private root, built by the container's own first process before it becomes the program.

The node's programs with a writable layer over them, the kubelet's mounts, fresh /tmp, /dev and /proc. Not what is in it:
that is an `orders.Root`.
"""

# It runs in a fork of a process that is kept small: no pathlib.
# ruff: noqa: PTH101, PTH103, PTH106, PTH110, PTH112, PTH113, PTH114, PTH115, PTH116, PTH120, PTH123
# ruff: noqa: PTH211, S108
import errno
import os
from collections.abc import Sequence
from contextlib import suppress

from harness.substrates.cri.orders import Bind, Root
from harness.substrates.inside import kernel

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_PLAIN_FLAGS = kernel.MS_NOSUID | kernel.MS_NODEV
_PROC_FLAGS = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
_LAYERS = "/.layers"
_MOST_LINKS = 40
"""Symbolic links followed in one path (path_resolution(7))."""


def build(root: Root) -> None:
    """Put it together in a mount namespace of its own and make it the root. OSError says what failed."""
    new = root["place"]
    kernel.mount("none", "/", "", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    data = f"size={root['size_mib']}m,mode=755"
    kernel.mount("container", new, "tmpfs", flags=_PLAIN_FLAGS, data=data)
    for path, mode in {
        "tmp": 0o1777,
        "var/tmp": 0o1777,
        "run": 0o755,
        "root": 0o700,
        "home": 0o755,
        "sys": 0o555,
    }.items():
        os.makedirs(f"{new}/{path}", exist_ok=True)
        os.chmod(f"{new}/{path}", mode)
    os.symlink("../run", f"{new}/var/run")
    os.makedirs(new + _LAYERS)
    kernel.mount("layers", new + _LAYERS, "tmpfs", flags=_PLAIN_FLAGS, data=data)
    layers = [_layer(root, source, target) for target, source in root["programs"].items()]
    kernel.unmount(new + _LAYERS)  # the overlays keep it
    os.rmdir(new + _LAYERS)
    for path, target in root["links"].items():
        _link(new, path, target)
    for path in root["etc"]:
        _etc(new, path)
    for path, text in root["files"].items():
        _parent(new, path)
        with open(new + path, "w", encoding="utf-8") as file:
            file.write(text)
    _devices(new, root["shm"])
    os.makedirs(f"{new}/proc", exist_ok=True)
    kernel.mount("proc", f"{new}/proc", "proc", flags=_PROC_FLAGS)
    with suppress(OSError):  # a machine that hides some of its own from the environment lets nobody see it here either
        kernel.mount("sysfs", f"{new}/sys", "sysfs", flags=_PROC_FLAGS | kernel.MS_RDONLY)
    for bind in sorted(root["binds"], key=lambda bind: bind["target"].count("/")):
        _bind(new, bind)
    _restrict(root)
    _close(root)
    os.chdir(new)
    kernel.pivot_root()
    if root["read_only"]:
        for path in ("/", *(layer for layer in layers if layer)):
            kernel.mount("none", path, "", flags=kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | _PLAIN_FLAGS)


def _layer(root: Root, source: str, target: str) -> str:
    """Show a folder of the node with a layer for what is written; its path, or "" where it could only be read-only."""
    new = root["place"]
    place = resolved(new, target)
    if not os.path.isdir(source):
        _parent(new, target)
        with open(place, "a", encoding="utf-8"):
            pass
    else:
        os.makedirs(place, exist_ok=True)
        within = (*(bind["target"] for bind in root["binds"]), *root["programs"], *root["links"])
        below = [path.removeprefix(target) for path in within if path.startswith(f"{target}/")]
        if target not in root["plain"] and _overlay(f"{new}{_LAYERS}{target}", source, place, mounted=below):
            return target
    kernel.mount(source, place, "", flags=kernel.MS_BIND | kernel.MS_REC)
    kernel.set_mount(place, kernel.MOUNT_ATTR_RDONLY | kernel.MOUNT_ATTR_NOSUID)
    return ""


def _overlay(own: str, lower: str, place: str, *, mounted: Sequence[str]) -> bool:
    """Folders above what is to be `mounted` are ours from the start: those of the machine's root we could not write to."""
    os.makedirs(f"{own}/upper")
    os.makedirs(f"{own}/work")
    for path in mounted:
        os.makedirs(f"{own}/upper{os.path.dirname(path)}", exist_ok=True)
    for folder, _, _ in os.walk(f"{own}/upper"):
        same = lower + folder.removeprefix(f"{own}/upper")
        if os.path.isdir(same):
            os.chmod(folder, os.stat(same).st_mode & 0o7777)
    data = f"lowerdir={_escaped(lower)},upperdir={_escaped(own)}/upper,workdir={_escaped(own)}/work,userxattr"
    try:
        kernel.mount("layer", place, "overlay", flags=_PLAIN_FLAGS, data=data)
    except OSError:
        return False  # Linux before 5.11, no overlayfs, or two of them below already
    return True


def _link(new: str, path: str, target: str) -> None:
    """As far as it is possible: where there are no overlays the node's own folders cannot be added to."""
    try:
        _parent(new, path)
        os.symlink(target, new + path)
    except OSError as error:
        if error.errno not in {errno.EROFS, errno.EEXIST}:
            raise


def _escaped(path: str) -> str:
    return "".join(f"\\{sign}" if sign in "\\,:" else sign for sign in path)


def _etc(new: str, path: str) -> None:
    """A directory of the node's /etc is bound, a file copied: programs look there for what they need to start."""
    if os.path.lexists(new + path):
        return
    _parent(new, path)
    if os.path.islink(path):
        os.symlink(os.readlink(path), new + path)
    elif os.path.isdir(path):
        os.makedirs(new + path)
        kernel.mount(path, new + path, "", flags=kernel.MS_BIND | kernel.MS_REC)
        kernel.set_mount(new + path, kernel.MOUNT_ATTR_RDONLY | kernel.MOUNT_ATTR_NOSUID)
    elif os.path.isfile(path):
        with open(path, "rb") as source, open(new + path, "wb") as copy:
            copy.write(source.read())


def _devices(new: str, shm: str) -> None:
    os.makedirs(f"{new}/dev")
    flags = kernel.MS_NOSUID
    kernel.mount("dev", f"{new}/dev", "tmpfs", flags=flags, data="size=1m,mode=755")
    for name in _DEVICES:
        if os.path.exists(f"/dev/{name}"):
            with open(f"{new}/dev/{name}", "w", encoding="utf-8"):
                pass
            kernel.mount(f"/dev/{name}", f"{new}/dev/{name}", "", flags=kernel.MS_BIND)
    os.makedirs(f"{new}/dev/pts")
    kernel.mount(
        "devpts", f"{new}/dev/pts", "devpts", flags=flags | kernel.MS_NOEXEC, data="newinstance,ptmxmode=0666,mode=620"
    )
    os.makedirs(f"{new}/dev/mqueue")
    with suppress(OSError):  # there are kernels without
        kernel.mount("mqueue", f"{new}/dev/mqueue", "mqueue", flags=flags | kernel.MS_NOEXEC)
    os.makedirs(f"{new}/dev/shm")
    kernel.mount(shm, f"{new}/dev/shm", "", flags=kernel.MS_BIND)
    for name, target in {
        "ptmx": "pts/ptmx",
        "fd": "/proc/self/fd",
        "stdin": "/proc/self/fd/0",
        "stdout": "/proc/self/fd/1",
        "stderr": "/proc/self/fd/2",
    }.items():
        os.symlink(target, f"{new}/dev/{name}")


def _bind(new: str, bind: Bind) -> None:
    """OSError in runc's words if it cannot be: they are in the container's status."""
    source, place = bind["source"], resolved(new, bind["target"])
    if not os.path.lexists(source):
        os.makedirs(source)
    about = f'error during container init: error mounting "{source}" to rootfs at "{bind["target"]}"'
    try:
        _destination(source, place)
    except OSError as error:
        what = f"create mount destination for {bind['target']} mount: cannot mkdir in {place}: {_reason(error)}"
        raise OSError(f"{about}: {what}") from error
    try:
        kernel.mount(os.path.realpath(source), place, "", flags=kernel.MS_BIND | kernel.MS_REC)
    except NotADirectoryError as error:
        why = "not a directory: Are you trying to mount a directory onto a file (or vice-versa)?"
        raise OSError(f"{about}: mount src={source}, dst={bind['target']}, flags=0x5001: {why}") from error
    if bind["read_only"]:
        kernel.set_mount(place, kernel.MOUNT_ATTR_RDONLY)


def _destination(source: str, place: str) -> None:
    if os.path.isdir(source):
        if os.path.exists(place) and not os.path.isdir(place):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        os.makedirs(place, exist_ok=True)
    elif not os.path.exists(place):
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "a", encoding="utf-8"):
            pass


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _restrict(root: Root) -> None:
    for path in root["guarded"]:
        place = root["place"] + path
        if os.path.exists(place):
            kernel.mount(place, place, "", flags=kernel.MS_BIND | kernel.MS_REC)
            kernel.set_mount(place, kernel.MOUNT_ATTR_RDONLY)
    for path in root["masked"]:
        place = root["place"] + path
        if os.path.isdir(place):
            kernel.mount("none", place, "tmpfs", flags=_PROC_FLAGS | kernel.MS_RDONLY, data="size=0k,mode=555")
        elif os.path.exists(place):
            kernel.mount("/dev/null", place, "", flags=kernel.MS_BIND)


def _close(root: Root) -> None:
    """By their modes: the owner, who is no longer root of anything, is refused as others are elsewhere."""
    for path in root["closed"]:
        place = resolved(root["place"], path)
        with suppress(OSError):  # it is not there, or read-only already
            mode = os.stat(place).st_mode & 0o7777
            os.chmod(place, mode & ~0o222 if mode & 0o077 else 0)


def resolved(new: str, path: str) -> str:
    """Where `path` is in the root that is being built at `new`: its symbolic links are followed within that root only."""
    done, links = "", 0
    rest = [part for part in path.split("/") if part]
    while rest:
        part = rest.pop(0)
        if part == "..":
            done = done.rpartition("/")[0]
        elif part != ".":
            candidate = f"{done}/{part}"
            if os.path.islink(new + candidate) and links < _MOST_LINKS:
                links += 1
                target = os.readlink(new + candidate)
                done = "" if target.startswith("/") else done
                rest = [piece for piece in target.split("/") if piece] + rest
            else:
                done = candidate
    return new + done


def _parent(new: str, path: str) -> None:
    os.makedirs(os.path.dirname(new + path), exist_ok=True)
