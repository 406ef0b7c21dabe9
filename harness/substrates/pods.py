"""What pods say of themselves and their containers, as far as whoever waits for them has to know: decoded once, for the local
cluster and for kind. Not what follows from it.
"""

import msgspec


class Metadata(msgspec.Struct, frozen=True):
    """What an object is called, and where it is."""

    name: str
    namespace: str = ""


class Waiting(msgspec.Struct, frozen=True):
    """Why a container waits."""

    reason: str = ""
    message: str = ""


class Terminated(msgspec.Struct, frozen=True, rename="camel"):
    """How a container ended."""

    exit_code: int = 0
    reason: str = ""


class State(msgspec.Struct, frozen=True):
    """What a container does."""

    waiting: Waiting | None = None
    terminated: Terminated | None = None

    def __str__(self) -> str:
        if self.waiting:
            return f"waiting: {self.waiting.reason} {self.waiting.message}".rstrip()
        return f"ended with {self.terminated.exit_code} ({self.terminated.reason})" if self.terminated else "running"


class Container(msgspec.Struct, frozen=True, rename="camel"):
    """What a pod says of a container."""

    name: str = ""
    image: str = ""
    ready: bool = False
    restart_count: int = 0
    state: State = State()


class Condition(msgspec.Struct, frozen=True):
    """A condition of a pod."""

    type: str
    status: str
    message: str = ""


class Status(msgspec.Struct, frozen=True, rename="camel"):
    """What a pod says of itself."""

    phase: str = ""
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[Container, ...] = ()
    init_container_statuses: tuple[Container, ...] = ()


class Pod(msgspec.Struct, frozen=True):
    """A pod."""

    metadata: Metadata
    status: Status = Status()

    @property
    def ready(self) -> bool:
        """Whether it is, or has done what it was to do."""
        return self.status.phase == "Succeeded" or any(
            condition.type == "Ready" and condition.status == "True" for condition in self.status.conditions
        )

    @property
    def containers(self) -> tuple[Container, ...]:
        """All of them, those that prepare the others first."""
        return (*self.status.init_container_statuses, *self.status.container_statuses)


class Pods(msgspec.Struct, frozen=True):
    """A list of pods."""

    items: tuple[Pod, ...] = ()
