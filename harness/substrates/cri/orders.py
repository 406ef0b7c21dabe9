"""What the runtime orders of its zygote, and is told by it: one vocabulary for both. No behaviour."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

NODE = "node"
"""The pid namespace of the node itself: the zygote's, in which all others are."""

OWN = "own"
"""A pid namespace of its own."""


class Bind(TypedDict):
    """A mount of the kubelet's: a file or folder of the node seen at `target`."""

    source: str
    target: str
    read_only: bool


class Root(TypedDict):
    """What a container's root consists of, put together at the folder `place`.

    `programs` are folders of the node seen at their keys: with what the container writes on top of them where the kernel has
    overlays, read-only elsewhere and where they are in `plain`. `links` are symbolic links, `etc` what is copied from the
    node's /etc, `files` texts, `shm` the pod's shared memory; `masked` and `guarded` paths are empty and read-only; `closed` are
    those that belong to root elsewhere and are not to be written to, though here they belong to whoever the container is.
    """

    place: str
    size_mib: int
    programs: Mapping[str, str]
    plain: Sequence[str]
    links: Mapping[str, str]
    etc: Sequence[str]
    files: Mapping[str, str]
    binds: Sequence[Bind]
    shm: str
    masked: Sequence[str]
    guarded: Sequence[str]
    closed: Sequence[str]
    read_only: bool


class User(TypedDict):
    """Who a program is: uid and gid 0 in the environment's user namespace, others in one of their own that maps just them.

    `capabilities` are those it can have at all (capabilities(7), numbers).
    """

    uid: int
    gid: int
    capabilities: Sequence[int]
    no_new_privileges: bool


class Holder(TypedDict):
    """A pod: a process that holds its namespaces, and is pid 1 where the containers share one. `proc` is a folder it may
    mount a /proc at, to set `sysctls` of its network. It becomes `program`, which is to do nothing and to be small; without one
    it stays what it is and reaps orphans, as the pid 1 of containers has to."""

    do: Literal["holder"]
    key: str
    hostname: str
    network: bool
    ipc: bool
    sysctls: Mapping[str, str]
    proc: str
    program: Sequence[str]


class Container(TypedDict):
    """A container's first process, in the namespaces of the holder `pod`; `pid` is OWN, NODE, or whose it shares. The kernel
    ends processes of a higher `oom_score_adj` first (proc_pid_oom_score_adj(5))."""

    do: Literal["container"]
    key: str
    pod: str
    pid: str
    root: Root
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    user: User
    terminal: bool
    oom_score_adj: int


class Command(TypedDict):
    """A further process in all the namespaces of `container`."""

    do: Literal["command"]
    key: str
    container: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    user: User
    terminal: bool
    oom_score_adj: int


class Kill(TypedDict):
    """A signal for the process of that key; it may have ended."""

    do: Literal["signal"]
    key: str
    number: int


Birth = Holder | Container | Command
"""What comes as JSON in a memory file, the first descriptor of a request; after it three for the standard streams."""


class News(TypedDict, total=False):
    """What the zygote says. Of a birth, by its `key`: `born` is the pid in the runtime's pid namespace, or `trouble` why there
    is no such process; with a terminal its master comes along. Of an end: `status` as the shell has it, and `cpu_ns`."""

    key: str
    born: int
    trouble: str
    ended: bool
    status: int
    cpu_ns: int
