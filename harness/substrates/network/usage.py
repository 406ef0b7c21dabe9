"""What containers and nodes use: samples of the kubelets' /metrics/resource → use of processors as a rate, and of memory. Pure.

As metrics-server does it: the rate between two samples of a counter, over a window; a container that was started anew since the
first of them begins anew; a pod is known once all of its containers are.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from prometheus_client.parser import text_string_to_metric_families

WINDOW_S = 15.0
"""Rates are over no more than this."""

SHORTEST_S = 1.0
"""Two samples less apart than this say nothing."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A container, or a node (no pod and no container)."""

    node: str
    namespace: str = ""
    pod: str = ""
    container: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """`at` s since the epoch, `cpu` s of processors' time since the start, `memory` bytes of the working set."""

    at: float
    cpu: float
    memory: float


@dataclass(frozen=True, slots=True)
class Usage:
    """`cpu` in processors and `memory` in bytes, at `at` (s since the epoch), over `window` s."""

    at: float
    window: float
    cpu: float
    memory: float

    @property
    def quantities(self) -> Mapping[str, str]:
        """As Kubernetes writes them, in metrics-server's units."""
        return {"cpu": f"{round(self.cpu * 1e9)}n", "memory": f"{round(self.memory / 1024)}Ki"}


def read(text: str, node: str) -> Mapping[Subject, Sample]:
    """The samples of one answer of a kubelet's. ValueError if it is no such answer."""
    found: dict[Subject, dict[str, tuple[float, float]]] = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            what = _WANTED.get(one.name)
            if what:
                labels = one.labels
                subject = Subject(node, labels.get("namespace", ""), labels.get("pod", ""), labels.get("container", ""))
                at = float(one.timestamp) if one.timestamp is not None else 0.0
                found.setdefault(subject, {})[what] = (one.value, at)
    return {
        subject: Sample(values["cpu"][1], values["cpu"][0], values["memory"][0])
        for subject, values in found.items()
        if values.keys() == {"cpu", "memory"}
    }


_WANTED = {
    "container_cpu_usage_seconds_total": "cpu",
    "container_memory_working_set_bytes": "memory",
    "node_cpu_usage_seconds_total": "cpu",
    "node_memory_working_set_bytes": "memory",
}


@dataclass(slots=True)
class History:
    """The samples of late, of everything that still gives some."""

    _samples: dict[Subject, list[Sample]] = field(default_factory=dict)

    def take(self, node: str, samples: Mapping[Subject, Sample]) -> None:
        """Take in what a node's kubelet has said; what it is silent of is no more."""
        for subject in [one for one in self._samples if one.node == node and one not in samples]:
            del self._samples[subject]
        for subject, sample in samples.items():
            past = self._samples.setdefault(subject, [])
            if past and sample.at <= past[-1].at:
                continue  # the kubelet has no news
            if past and sample.cpu < past[-1].cpu:
                past.clear()  # another process
            past.append(sample)
            while len(past) > 2 and sample.at - past[1].at >= WINDOW_S:
                del past[0]

    def forget(self, nodes: Iterable[str]) -> None:
        """Forget all but these nodes."""
        kept = set(nodes)
        self._samples = {one: samples for one, samples in self._samples.items() if one.node in kept}

    def usage(self, subject: Subject) -> Usage | None:
        """What it uses; None until there are two samples."""
        past = self._samples.get(subject, [])
        if len(past) < 2 or past[-1].at - past[0].at < SHORTEST_S:
            return None
        first, last = past[0], past[-1]
        window = last.at - first.at
        return Usage(last.at, window, (last.cpu - first.cpu) / window, last.memory)

    def pods(self) -> Iterator[tuple[str, str, Mapping[str, Usage]]]:
        """Namespace and name of each pod of which all is known, with what its containers use."""
        pods: dict[tuple[str, str], dict[str, Usage | None]] = {}
        for one in self._samples:
            if one.container:
                pods.setdefault((one.namespace, one.pod), {})[one.container] = self.usage(one)
        for (namespace, name), containers in pods.items():
            known = {container: usage for container, usage in containers.items() if usage}
            if len(known) == len(containers):
                yield namespace, name, known


def stamp(at: float) -> str:
    """An instant as Kubernetes writes it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
