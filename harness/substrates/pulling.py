"""Which images of a stack cannot be had, by what its pods say of their containers: told in seconds, since a kubelet tries for
ever. Not the pulling itself.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from harness.model.units import Ns, seconds
from harness.substrates.pods import Pod

UNPULLED = frozenset({"ErrImagePull", "ImagePullBackOff"})
HOPELESS = frozenset({"InvalidImageName", "ErrImageNeverPull"})
"""Reasons of a container that waits (kubelet, pkg/kubelet/images/types.go): the image has not come so far, or never will."""

FINAL = ("not found", "no such host", "does not exist", "access denied", "unauthorized", "denied: ")
"""What registries and runtimes say where another try is of no use."""

PATIENCE: Ns = seconds(15)
"""How long an image may fail for another reason, such as a registry that is busy: the kubelet's second try comes after 10 s."""


@dataclass(frozen=True, slots=True)
class Unpulled:
    """An image that a pod waits for in vain; `reason` and `message` are the kubelet's."""

    image: str
    pod: str
    reason: str
    message: str

    @property
    def final(self) -> bool:
        """Whether to wait is of no use."""
        said = self.message.lower()
        return self.reason in HOPELESS or any(words in said for words in FINAL)

    def __str__(self) -> str:
        said = f": {self.message}" if self.message else ""
        return f"the image {self.image} of pod {self.pod} cannot be had ({self.reason}{said})"


def unpulled(pods: Iterable[Pod], namespaces: Sequence[str]) -> Sequence[Unpulled]:
    """What pods in these namespaces wait for in vain, each image once: what says most of it."""
    found: dict[str, Unpulled] = {}
    for one in (each for pod in pods if pod.metadata.namespace in namespaces for each in _of(pod)):
        known = found.get(one.image)
        if known is None or len(one.message) > len(known.message):
            found[one.image] = one
    return tuple(found.values())


def _of(pod: Pod) -> Iterator[Unpulled]:
    for each in pod.containers:
        waiting = each.state.waiting
        if waiting and waiting.reason in UNPULLED | HOPELESS:
            yield Unpulled(each.image, pod.metadata.name, waiting.reason, waiting.message)


class Watch:
    """Follows what is waited for in vain, and says when to give up."""

    def __init__(self) -> None:
        self._since: dict[str, Ns] = {}

    def given_up(self, now: Iterable[Unpulled], *, at: Ns) -> Sequence[Unpulled]:
        """Of those at this instant the ones that will not come, or have not for PATIENCE."""
        present = {one.image: one for one in now}
        self._since = {image: self._since.get(image, at) for image in present}
        return [one for image, one in present.items() if one.final or at - self._since[image] >= PATIENCE]


def told(stack: str, images: Iterable[Unpulled], *, remedy: str) -> str:
    """The message about a stack whose images cannot be had."""
    return "\n".join([*(f"stack {stack!r}: {one}" for one in images), f"    {remedy}"])
