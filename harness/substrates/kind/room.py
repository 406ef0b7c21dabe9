"""The folder that stands for one kind cluster: who uses it, what it is to be, what it is. Shared by every harness of a user
and by the cluster's keeper; all locks are flock(2)'s, so that a killed process holds none. Not what is done to the cluster.
"""

import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from harness.substrates.local import template

Stage = Literal["making", "up", "failed", "ending"]


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the cluster is to be. A higher `number` is a new wish: what there is goes if `fresh`, or if it is not that."""

    number: int
    workers: int
    image: str
    kind: str
    kubectl: str
    config: str
    fresh: bool = False
    keep: bool = False

    def same(self, other: "Order") -> bool:
        """Whether a cluster made for the other will do."""
        return (self.workers, self.image, self.config) == (other.workers, other.image, other.config)


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of the order of that number; `why`, where it failed."""

    number: int
    stage: Stage
    why: str = ""


@dataclass(frozen=True, slots=True)
class Room:
    """`name` is the cluster's, and its network's."""

    name: str
    folder: Path

    @staticmethod
    def of(name: str) -> "Room":
        """The room of that cluster, made if it is not there. SubstrateError where the cache cannot be written."""
        folder = template.cache() / "kind" / name
        for each in (folder, folder / "shared"):
            each.mkdir(parents=True, exist_ok=True)
        return Room(name, folder)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's, for this machine."""
        return self.folder / "kubeconfig"

    @property
    def shared(self) -> Path:
        """What every node has mounted at configuration.MARK."""
        return self.folder / "shared"

    @property
    def config(self) -> Path:
        """The configuration that kind is given."""
        return self.folder / "config.yaml"

    @property
    def log(self) -> Path:
        """What kind said."""
        return self.folder / "keeper.log"

    def order(self) -> Order | None:
        """The last wish; None before the first."""
        return _read(self.folder / "order.json", Order)

    def state(self) -> State | None:
        """What became of it; None where no cluster of ours is, or is kept."""
        return _read(self.folder / "state.json", State)

    def made_for(self) -> Order | None:
        """The order for which the cluster that there is was made; None where there is none, or half a one."""
        return _read(self.folder / "made.json", Order)

    def wish(self, order: Order) -> None:
        """Set the order."""
        self._write("order.json", order)

    def tell(self, state: State) -> None:
        """Set the state."""
        self._write("state.json", state)

    def made(self, order: Order) -> None:
        """The cluster is there."""
        self._write("made.json", order)

    def unmade(self) -> None:
        """The cluster is about to be deleted; what was noted of it is no longer true."""
        for name in ("made.json", NOTES):
            (self.folder / name).unlink(missing_ok=True)

    def notes(self) -> "Notes":
        """What has been done to the cluster since it was made."""
        return _read(self.folder / NOTES, Notes) or Notes()

    def note(self, notes: "Notes") -> None:
        """Set them."""
        self._write(NOTES, notes)

    def forget(self) -> None:
        """The cluster is gone, and what was known of it."""
        for path in self.folder.iterdir():
            if path.is_file() and path.suffix != LOCK:
                path.unlink(missing_ok=True)
        shutil.rmtree(
            self.folder / ".pytest-kind", ignore_errors=True
        )  # pytest-kind makes it, and we use nothing of it
        for path in self.shared.iterdir():
            path.unlink(missing_ok=True)

    def _write(self, name: str, value: "Order | State | Notes") -> None:
        unfinished = self.folder / f"{name}.{os.getpid()}.new"
        unfinished.write_bytes(msgspec.json.encode(value))
        unfinished.replace(self.folder / name)

    def lock(self, which: "Which", *, shared: bool = False) -> int | None:
        """Take a lock without waiting; its descriptor, which holds it until it is closed, or None if others have it."""
        fd = os.open(self.folder / f"{which}{LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        return fd

    def kept_alive(self) -> bool:
        """Whether its keeper lives."""
        fd = self.lock("keeper", shared=True)
        if fd is not None:
            os.close(fd)
        return fd is None


Which = Literal["users", "lease", "keeper"]
"""`users`: shared by every process that wants the cluster to stay; the keeper takes it whole when nobody does. `lease`: the one
environment that is in the cluster. `keeper`: held for as long as the keeper lives."""

LOCK = ".lock"


class Notes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`prepared`: it is as drills need it; `baseline`: what was in it then; `loaded`: images by name, each with its id."""

    prepared: bool = False
    baseline: tuple[str, ...] = ()
    loaded: dict[str, str] = {}


_Kept = TypeVar("_Kept", Order, State, Notes)
NOTES = "notes.json"


def _read(path: Path, kind: type[_Kept]) -> _Kept | None:
    """None where there is no such file, or one of another version."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
