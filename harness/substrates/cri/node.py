"""The node as containers see it: which of its folders they are given, and where the runtime keeps what is theirs.

Found out once, when the runtime starts.
"""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""A container's PATH where its image has none (containerd's default)."""

_PYTHON = "/run/python"
"""Where there are a `python3` and a `python` of that name for machines that have no python3 on the PATH."""

_ALIAS = "/usr/local/bin/python"
"""The other name, where the machine has the one alone: Debian does. A folder of its own would be seen in the PATH."""

_OURS = "/run/rundrill/python"
"""Where those names mean our Python, in containers of images that are run by it: before all others, as in an image of Python."""

_NAMES = ("python3", "python")

_BUSYBOX = "/run/busybox"
"""Where busybox and its commands are in containers of images of that name, if the machine has one: before all others."""

TOP = ("bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "opt")
"""The node's folders that containers see."""

_ETC = (
    *("alternatives", "ssl", "ca-certificates", "ca-certificates.conf", "ld.so.cache", "ld.so.conf", "ld.so.conf.d"),
    *("localtime", "timezone", "services", "protocols", "rpc", "mime.types", "os-release", "debian_version"),
    *("bash.bashrc", "profile", "inputrc", "terminfo", "perl", "python3", "python3.11", "python3.12", "python3.13"),
    *("gai.conf", "host.conf", "locale.alias", "pki", "crypto-policies"),
)
"""What programs look for in /etc. Everything else there is the node's own business."""

ETC_FILES: Mapping[str, str] = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "/etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
}


@dataclass(frozen=True, slots=True)
class Node:
    """`path` is a container's PATH where its image has none. `programs` are folders by where containers see them, those in
    `plain` without a layer; `python_programs` and `python_links` come in addition for images that are run by our Python,
    `python_environment` are its variables; `idle` is a program that does nothing for long, and `busybox` a folder of its
    commands, if there is one."""

    name: str
    state: Path
    path: str
    programs: Mapping[str, str]
    plain: tuple[str, ...]
    links: Mapping[str, str]
    etc: tuple[str, ...]
    idle: tuple[str, ...]
    python: str
    python_programs: Mapping[str, str]
    python_links: Mapping[str, str]
    python_environment: Mapping[str, str]
    busybox: Mapping[str, str]

    def path_of(self, *, busybox: bool, python: bool) -> str:
        """The PATH of containers whose image is busybox, or is run by our Python."""
        first = [folder for folder, wanted in ((_BUSYBOX, busybox and self.busybox), (_OURS, python)) if wanted]
        return ":".join([*first, self.path])

    @property
    def place(self) -> Path:
        """The folder at which each container's root is put together, in its own mount namespace."""
        return self.state / "rootfs"

    def folder(self, sandbox: str) -> Path:
        """Where a pod's own files are."""
        return self.state / "pods" / sandbox


def survey(name: str, state: Path, *, applets: Sequence[str]) -> Node:
    """The node as it is now, with an empty state folder; `applets` are the machine's busybox's. OSError if that cannot be."""
    shutil.rmtree(state / "pods", ignore_errors=True)  # of a runtime before this one; its pods ended with it
    for folder in ("rootfs", "proc", "pods"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    busybox = _commands(state / "busybox", applets)
    programs = {f"/{top}": f"/{top}" for top in TOP if Path("/", top).is_dir() and not Path("/", top).is_symlink()}
    links = {f"/{top}": str(Path("/", top).readlink()) for top in TOP if Path("/", top).is_symlink()}
    mounted = _mounts()
    plain = tuple(path for path in programs if any(mount.startswith(f"{path}/") for mount in mounted))
    python = _python(programs)
    theirs = shutil.which("python3", path=PATH)
    if not theirs:
        links |= {f"{_PYTHON}/{each}": sys.executable for each in _NAMES}
    elif not shutil.which("python", path=PATH):
        links[_ALIAS] = theirs
    return Node(
        name=name,
        state=state,
        path=PATH if theirs else f"{PATH}:{_PYTHON}",
        programs=programs if theirs else {**programs, **python},
        plain=(*plain, *python, *busybox),
        links=links,
        etc=tuple(f"/etc/{entry}" for entry in _ETC if os.path.lexists(f"/etc/{entry}")),
        idle=(sleep, "2147483647") if (sleep := shutil.which("sleep", path=PATH)) else (),
        python=sys.executable,
        python_programs=python,
        python_links={f"{_OURS}/{each}": sys.executable for each in _NAMES},
        python_environment=_imports(),
        busybox=busybox,
    )


def _commands(folder: Path, applets: Sequence[str]) -> Mapping[str, str]:
    """Fill a folder with busybox and a link for each of its commands."""
    shutil.rmtree(folder, ignore_errors=True)
    program = shutil.which("busybox")
    if not program or not applets:
        return {}
    folder.mkdir()
    shutil.copy(program, folder / "busybox")
    for applet in set(applets) - {"busybox"}:
        (folder / Path(applet).name).symlink_to("busybox")
    return {_BUSYBOX: str(folder)}


def _python(programs: Mapping[str, str]) -> Mapping[str, str]:
    """Where our Python is, as far as containers do not see it anyway."""
    real = Path(sys.executable).resolve().parent
    places = [Path(sys.prefix), Path(sys.base_prefix), *([] if real.name != "bin" else [real.parent])]
    places += [Path(path) for path in _packages()]
    found: dict[str, str] = {}
    for place in sorted({place.resolve() for place in places} | set(places)):
        if not any(place.is_relative_to(path) for path in (*programs, *found)) and place != Path("/"):
            found[str(place)] = str(place)
    return found


def _packages() -> list[str]:
    return [path for path in sys.path if Path(path).name in {"site-packages", "dist-packages"} and Path(path).is_dir()]


def _imports() -> Mapping[str, str]:
    found = {"PYTHONPATH": os.pathsep.join(_packages())}
    if libraries := os.environ.get("LD_LIBRARY_PATH"):
        found["LD_LIBRARY_PATH"] = libraries
    return found


def _mounts() -> tuple[str, ...]:
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return tuple(line.split()[4].encode().decode("unicode_escape") for line in lines)
