"""The manifests of a stack (clusters/stacks/<stack>/*.yaml) with their variables replaced: what every substrate with a cluster
applies. Read and replaced, not applied.
"""

import string
from collections.abc import Iterator, Mapping, Sequence
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
    lines: tuple[int, ...] = ()
    """Where each of the objects begins."""


_STANDARD = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})
"""Namespaces that every cluster has."""


class _Container(msgspec.Struct):
    image: str = ""


def stacks() -> Path:
    """The folder of stacks."""
    return images().parent / "stacks"


def read(cluster: Cluster) -> Sequence[Manifest]:
    """The manifests of the cluster's stack, in the order of their names. SubstrateError with everything wrong with them."""
    found, problems = _examined(cluster)
    if problems:
        raise SubstrateError("\n".join(str(problem) for problem in problems))
    return found


def flaws(cluster: Cluster) -> Sequence[Problem]:
    """Everything that is seen to be wrong with them without a cluster; nothing where there is no stack."""
    return _examined(cluster)[1] if cluster.stack else ()


def namespaces(cluster: Cluster, manifests: Sequence[Manifest]) -> Sequence[str]:
    """Those in which the stack has anything, the cluster's own first."""
    others = {_text(each, "namespace") for manifest in manifests for each in manifest.objects}
    return (cluster.namespace, *sorted(others - {"", cluster.namespace}))


def _examined(cluster: Cluster) -> tuple[Sequence[Manifest], Sequence[Problem]]:
    folder = stacks() / cluster.stack
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        known = ", ".join(sorted(path.name for path in stacks().glob("*") if path.is_dir())) or "none"
        return (), [Problem(f"stack {cluster.stack!r}: expected one of: {known}", None, f"add {folder}/*.yaml")]
    problems: list[Problem] = []
    read = [_read(path, dict(cluster.variables), problems) for path in paths]
    found = [manifest for manifest in read if manifest is not None]
    return found, [*problems, *_twice(cluster, found), *_nowhere(cluster, found)]


def _placed(manifests: Sequence[Manifest]) -> Iterator[tuple[Json, Source]]:
    for manifest in manifests:
        for each, line in zip(manifest.objects, manifest.lines, strict=True):
            yield each, Source(str(manifest.path), line, line)


def _twice(cluster: Cluster, manifests: Sequence[Manifest]) -> Iterator[Problem]:
    """Objects that are there more than once: the last would silently take the place of the others."""
    first: dict[tuple[str, ...], Source] = {}
    for each, source in _placed(manifests):
        name, kind, group = _text(each, "name"), str(each["kind"]), str(each.get("apiVersion", "")).rpartition("/")[0]
        where = _text(each, "namespace") or cluster.namespace
        there = first.setdefault((group, kind, where, name), source)
        if name and there is not source:
            yield Problem(f"{kind} {name!r} is at {there} already", source, "leave one, or call them differently")


def _nowhere(cluster: Cluster, manifests: Sequence[Manifest]) -> Iterator[Problem]:
    """Objects of a namespace that is not there."""
    made = {_text(each, "name") for each, _ in _placed(manifests) if each["kind"] == "Namespace"}
    for each, source in _placed(manifests):
        where = _text(each, "namespace")
        if where and where not in {cluster.namespace, *made, *_STANDARD}:
            yield Problem(
                f"{each['kind']} {_text(each, 'name')!r} is of namespace {where!r}, which no manifest makes; "
                f"the cluster's own is {cluster.namespace!r}",
                source,
                "leave its namespace out, or add the Namespace in a manifest before it",
            )


def _text(each: Json, field: str) -> str:
    """A field of an object's metadata; "" without."""
    metadata = each.get("metadata")
    return str(metadata.get(field) or "") if isinstance(metadata, dict) else ""


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
        documents = zip(yaml.safe_load_all(replaced), yaml.compose_all(replaced, yaml.SafeLoader), strict=True)
        objects = [(each, node.start_mark.line + 1) for each, node in documents if each]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line_number = mark.line + 1 if mark else 1
        problems.append(
            Problem(f"not YAML: {getattr(error, 'problem', error)}", Source(str(path), line_number, line_number))
        )
        return None
    for each, begins in objects:
        if not isinstance(each, dict) or not isinstance(each.get("kind"), str):
            problems.append(Problem("expected Kubernetes objects, each with a kind", Source(str(path), begins, begins)))
            return None
    return Manifest(path, replaced, tuple(each for each, _ in objects), tuple(begins for _, begins in objects))


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
