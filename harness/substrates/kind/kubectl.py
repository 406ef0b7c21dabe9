"""What is asked of a cluster by the harness itself, through kubectl, each with a time limit. Not what the operator asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from harness import execution
from harness.errors import SubstrateError
from harness.model.units import SECOND, Ns
from harness.ports import Completed
from harness.substrates.kind import docker

T = TypeVar("T")

PATIENCE: Ns = 60 * SECOND


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl at `path`, with the administrator's `kubeconfig`."""

    path: str
    kubeconfig: Path

    async def run(self, *words: str, stdin: str = "", timeout: Ns = PATIENCE) -> Completed:
        """Run it to its end."""
        argv = (self.path, f"--kubeconfig={self.kubeconfig}", *words)
        return await execution.run(argv, env=docker.environment(), stdin=stdin, timeout=timeout)

    async def done(self, *words: str, stdin: str = "", timeout: Ns = PATIENCE) -> str:
        """What it printed; SubstrateError with what it complained of."""
        ended = await self.run(*words, stdin=stdin, timeout=timeout)
        if not ended.ok:
            why = ended.stderr.strip() or f"no answer within {timeout / SECOND:.0f} s"
            raise SubstrateError(f"kubectl {' '.join(words[:3])}: {why}")
        return ended.stdout

    async def get(self, kind: type[T], *words: str) -> T:
        """Objects as JSON, decoded: what of them `kind` says. A list is an object with `items`."""
        return msgspec.json.decode(await self.done("get", *words, "-o", "json"), type=kind)

    async def apply(self, manifest: str, *words: str) -> None:
        """Apply a manifest; SubstrateError with Kubernetes' own words."""
        await self.done("apply", *words, "-f", "-", stdin=manifest)


def joined(words: Sequence[str]) -> str:
    """Names of resources as one argument of kubectl."""
    return ",".join(words)
