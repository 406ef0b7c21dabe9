"""The manifests of a stack (clusters/stacks/<stack>/*.yaml) with their variables replaced: what every substrate with a cluster
applies. Read and replaced, not applied.
"""

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import yaml

from harness.errors import Problem, SubstrateError
from harness.model.source import Source
from harness.model.topology import Cluster
from harness.substrates.local.workloads import images

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Manifest:
    """One file: its text with variables replaced, and the objects in it."""

    path: Path
    text: str
    objects: tuple[Json, ...]


class _Container(msgspec.Struct):
    image: str = ""


def stacks() -> Path:
    """The folder of stacks."""
    return images().parent / "stacks"


def read(cluster: Cluster) -> Sequence[Manifest]:
    """The manifests of the cluster's stack, in the order of their names. SubstrateError with everything wrong with them."""
    folder = stacks() / cluster.stack
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        known = ", ".join(sorted(path.name for path in stacks().glob("*") if path.is_dir())) or "none"
        raise SubstrateError(
            str(Problem(f"stack {cluster.stack!r}: expected one of: {known}", None, f"add {folder}/*.yaml"))
        )
    problems: list[Problem] = []
    found = [_read(path, dict(cluster.variables), problems) for path in paths]
    if problems:
        raise SubstrateError("\n".join(str(problem) for problem in problems))
    return [manifest for manifest in found if manifest is not None]


def _read(path: Path, variables: Mapping[str, str], problems: list[Problem]) -> Manifest | None:
    text = path.read_text(encoding="utf-8")
    template = string.Template(text)
    for number, line in enumerate(text.splitlines(), 1):
        if trouble := _unknown(line, variables):
            known = ", ".join(variables) or "none"
            source = Source(str(path), number, number)
            problems.append(Problem(f"{trouble}; the cluster's variables are: {known}", source, "$$ is a dollar sign"))
    try:
        replaced = template.safe_substitute(variables)
        objects = tuple(each for each in yaml.safe_load_all(replaced) if each)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line_number = mark.line + 1 if mark else 1
        problems.append(
            Problem(f"not YAML: {getattr(error, 'problem', error)}", Source(str(path), line_number, line_number))
        )
        return None
    for each in objects:
        if not isinstance(each, dict) or not isinstance(each.get("kind"), str):
            problems.append(Problem("expected Kubernetes objects, each with a kind", Source(str(path), 1, 1)))
            return None
    return Manifest(path, replaced, objects)


def _unknown(line: str, variables: Mapping[str, str]) -> str:
    """What is wrong with the variables of a line; "" if nothing is."""
    for match in string.Template.pattern.finditer(line):
        name = match["named"] or match["braced"]
        if match["invalid"] is not None:
            return "a dollar sign that begins no variable"
        if name is not None and name not in variables:
            return f"there is no variable ${{{name}}}"
    return ""


def images_of(manifests: Sequence[Manifest]) -> Sequence[str]:
    """Every image that a container of the manifests names, each once."""
    found: dict[str, None] = {}
    for manifest in manifests:
        for each in manifest.objects:
            found.update(dict.fromkeys(_images(each)))
    return tuple(found)


def _images(value: object) -> Sequence[str]:
    """The images of all containers below a value: `image` of what stands in a list called containers or the like."""
    match value:
        case dict():
            here = [
                str(container["image"])
                for key in ("containers", "initContainers", "ephemeralContainers")
                for container in (value.get(key) or ())
                if isinstance(container, dict) and "image" in container
            ]
            return here + [image for child in value.values() for image in _images(child)]
        case list():
            return [image for child in value for image in _images(child)]
        case _:
            return ()
