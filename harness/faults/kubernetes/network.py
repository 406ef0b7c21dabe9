"""Faults between pods and what they talk to: traffic that a NetworkPolicy blocks, and a provider that fails."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from harness import clock
from harness.errors import FaultError
from harness.faults.kubernetes.api import STEP, Api, opened
from harness.faults.kubernetes.objects import Pod
from harness.faults.kubernetes.targets import InCluster, ask_pod, decoded, outcome, same, workload
from harness.faults.scope import undone
from harness.model.units import SECOND, Ns, milliseconds, seconds, show
from harness.ports import Injection, Stage

_APPLYING: Ns = seconds(4)
"""How long a policy may take to come into force."""

_POLICIES = "networking.k8s.io/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockTraffic(InCluster):
    """A NetworkPolicy lets nothing into the pods of `workload` ("ingress") or out of them ("egress", names included).

    `seen_from` is a workload whose pods must be reached, or reach, `peer` (`host:port`) before and not while it is in force:
    for "egress" the workload itself if "". It must have switches, as the shop with STRAIN. When the fault ends the policy is
    gone, whoever removed it. Felt: the connection is not made any more.
    """

    workload: str
    peer: str
    direction: Literal["ingress", "egress"] = "egress"
    seen_from: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        way = "into" if self.direction == "ingress" else "out of"
        return f"no traffic gets {way} the pods of {self.workload}"

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Block it. FaultError without such a workload, pods or switches, or if the peer is out of reach already."""
        async with opened(stage, namespace=self.namespace) as api:
            target = await workload(api, self.workload)
            watcher = await workload(api, self.seen_from or self.workload)
            eye = next(iter(await watcher.victims("one")))
            if already := await self._unreached(api, eye):
                raise FaultError(
                    f"{self}: expected {self.peer} to be reached from {eye.metadata.name} before; {already}"
                )
            name = f"rundrill-{secrets.token_hex(4)}"

            async def removed() -> None:
                await api.delete(api.grouped(_POLICIES, "networkpolicies", name))

            async with undone(removed, what=str(self)):
                await api.post(
                    api.grouped(_POLICIES, "networkpolicies"), self._policy(name, target.was.spec.selector.match_labels)
                )

                async def blocked() -> str | None:
                    return await self._unreached(api, eye) or None

                why = await clock.until(blocked, deadline=clock.now() + _APPLYING, every=STEP)
                yield outcome(
                    "" if why else "the policy is there and traffic passes: this cluster's network does not enforce it",
                    policy=name,
                    peer=self.peer,
                    seen_from=eye.metadata.name,
                    answer=why or "reached",
                )

    def _policy(self, name: str, labels: dict[str, str]) -> dict[str, object]:
        return {
            "apiVersion": _POLICIES,
            "kind": "NetworkPolicy",
            "metadata": {"name": name},
            "spec": {"podSelector": {"matchLabels": labels}, "policyTypes": [self.direction.title()]},
        }

    async def _unreached(self, api: Api, eye: Pod) -> str:
        """Why the pod does not reach the peer, "" if it does."""
        host, _, port = self.peer.rpartition(":")
        said = await ask_pod(api, eye, f"/debug/reach?host={host}&port={port}", within=seconds(3))
        if said.status != 200:
            raise FaultError(
                f"{eye.metadata.name}: expected a workload with switches (GET /debug/reach, STRAIN=on); "
                f"it answered {said.status or 'nothing'}: {said.text.strip()[:200]}"
            )
        state = decoded(said)
        return "" if state.get("reached") else str(state.get("why") or "not reached")


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakProvider(InCluster):
    """The provider `workload` (clusters/workloads/provider) answers with 503 ("error"), after `delay` ns ("slow"), or does not
    answer at all ("silent").

    When the fault ends it answers as before. Felt: it was asked, and answered so.
    """

    workload: str
    answer: Literal["error", "slow", "silent"] = "error"
    delay: Ns = seconds(5)
    namespace: str = ""

    def __str__(self) -> str:
        how = {
            "error": "answers with errors",
            "slow": f"takes {show(self.delay)} to answer",
            "silent": "does not answer",
        }
        return f"the provider {self.workload} {how[self.answer]}"

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Switch it. FaultError without such a workload or pods, or if they have no switch."""
        async with opened(stage, namespace=self.namespace) as api:
            target = await workload(api, self.workload)
            victims = await target.victims()

            async def well() -> None:
                for pod in await same(target, victims):
                    await ask_pod(api, pod, "/switch", {"mode": "ok"}, within=seconds(2))

            async with undone(well, what=str(self)):
                for pod in victims:
                    await self._switched(api, pod)
                answers = [await self._asked(api, pod) for pod in victims]
                wrong = [answer for answer in answers if not self._as_meant(answer)]
                yield outcome(
                    f"asked for a charge it answered: {', '.join(wrong)}" if wrong else "",
                    answer=", ".join(sorted(set(answers))),
                    pods=len(victims),
                )

    async def _switched(self, api: Api, pod: Pod) -> None:
        said = await ask_pod(api, pod, "/switch", {"mode": self.answer, "delay_s": self.delay / SECOND})
        if said.status != 200:
            raise FaultError(
                f"{pod.metadata.name}: expected a provider with a switch (POST /switch); "
                f"it answered {said.status or 'nothing'}: {said.text.strip()[:200]}"
            )

    async def _asked(self, api: Api, pod: Pod) -> str:
        """What becomes of a charge of nothing: its status, or "nothing" within what a quick answer would take."""
        patience = min(self.delay, milliseconds(700)) if self.answer == "slow" else milliseconds(700)
        charge = {"reference": 0, "amount_cents": 0, "webhook": None}
        said = await ask_pod(api, pod, "/charges", charge, within=patience)
        return str(said.status) if said.status else "nothing"

    def _as_meant(self, answer: str) -> bool:
        return answer == ("503" if self.answer == "error" else "nothing")
