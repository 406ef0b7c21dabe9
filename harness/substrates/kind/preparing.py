"""A cluster from new to ready for a drill, and from one drill to the next."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec
import yaml

from harness.errors import SubstrateError
from harness.model.units import SECOND
from harness.substrates.kind import leftovers, names
from harness.substrates.kind.kubectl import Kubectl
from harness.substrates.kind.room import Room
from harness.substrates.kind.settings import Settings

INSECURE = "--kubelet-insecure-tls"
"""kind's kubelets have certificates that nobody signed: a metrics server has to bear with that."""

FETCHING = 120 * SECOND


async def ready(room: Room, kubectl: Kubectl, settings: Settings) -> Sequence[str]:
    """Have the room's cluster as a drill may find it, and return its baseline. SubstrateError if that cannot be had.

    What a drill left behind, because it was killed or the cluster is a kept one, is removed.
    """
    notes = room.notes()
    if notes.prepared:
        await leftovers.clean(kubectl, room.name, notes.baseline)
        return notes.baseline
    await names.prepare(kubectl, room.shared)
    if settings.metrics_server:
        await _metrics(kubectl, settings.metrics_server)
    await leftovers.until_ready(kubectl, room.name)
    baseline = tuple(await leftovers.survey(kubectl))
    room.note(msgspec.structs.replace(room.notes(), prepared=True, baseline=baseline))
    return baseline


async def _metrics(kubectl: Kubectl, manifest: str) -> None:
    """Apply a metrics server's manifest."""
    text = await _fetched(kubectl, manifest)
    try:
        await kubectl.apply(patient(text))
    except (SubstrateError, yaml.YAMLError) as error:
        raise SubstrateError(f"metrics_server = {manifest}: {error}") from error


async def _fetched(kubectl: Kubectl, manifest: str) -> str:
    """A file's text, or what kubectl finds at a URL."""
    if "://" in manifest:
        return await kubectl.done("create", "--dry-run=client", "-o", "yaml", "-f", manifest, timeout=FETCHING)
    try:
        return await asyncio.to_thread(Path(manifest).read_text, encoding="utf-8")
    except OSError as error:
        raise SubstrateError(f"metrics_server = {manifest}: expected a manifest: {error.strerror}") from error


def patient(text: str) -> str:
    """The manifest with a metrics server that does not check the kubelets' certificates."""
    found = []
    for each in yaml.safe_load_all(text):
        for item in each.get("items", [each]) if each else ():
            if item.get("kind") == "Deployment":
                for container in item["spec"]["template"]["spec"]["containers"]:
                    arguments = container.setdefault("args", [])
                    arguments += [] if INSECURE in arguments + container.get("command", []) else [INSECURE]
            found.append(item)
    return yaml.safe_dump_all(found)
