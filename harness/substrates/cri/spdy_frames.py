"""SPDY/3.1's frames as values. Their bytes: harness.substrates.cri.spdy.

draft-mbelshe-httpbis-spdy-00, 2.2 and 2.6.
"""

from dataclasses import dataclass
from enum import IntEnum

from harness.substrates.cri.spdy_headers import Block

LARGEST_ID = (1 << 31) - 1


class Status(IntEnum):
    """Why a stream is reset (2.6.3)."""

    PROTOCOL_ERROR = 1
    INVALID_STREAM = 2
    REFUSED_STREAM = 3
    UNSUPPORTED_VERSION = 4
    CANCEL = 5
    INTERNAL_ERROR = 6
    FLOW_CONTROL_ERROR = 7
    STREAM_IN_USE = 8
    STREAM_ALREADY_CLOSED = 9
    INVALID_CREDENTIALS = 10
    FRAME_TOO_LARGE = 11


class Leaving(IntEnum):
    """Why a session ends (2.6.6)."""

    OK = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2


INITIAL_WINDOW = 7
"""The number of the setting that says how large a stream's window is at first (2.6.4)."""


@dataclass(frozen=True, slots=True)
class SynStream:
    """A stream is opened. `fin`: its opener sends nothing more; `unidirectional`: and expects nothing."""

    stream: int
    headers: Block
    fin: bool = False
    unidirectional: bool = False
    associated: int = 0
    priority: int = 0
    slot: int = 0


@dataclass(frozen=True, slots=True)
class SynReply:
    """A stream is accepted."""

    stream: int
    headers: Block
    fin: bool = False


@dataclass(frozen=True, slots=True)
class RstStream:
    """A stream is over, in both directions. `status` is one of Status, or one that we have no word for."""

    stream: int
    status: int


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its number, its value, and whether it is to be kept (1) or was (2)."""

    number: int
    value: int
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Settings:
    """What the sender is like. `clear`: forget what was kept."""

    values: tuple[Setting, ...]
    clear: bool = False


@dataclass(frozen=True, slots=True)
class Ping:
    """To be returned as it is, by the side that did not number it: odd numbers are the client's."""

    number: int


@dataclass(frozen=True, slots=True)
class GoAway:
    """No new streams; `last` is the last one that was accepted."""

    last: int
    status: int = Leaving.OK


@dataclass(frozen=True, slots=True)
class Headers:
    """More headers of a stream."""

    stream: int
    headers: Block
    fin: bool = False


@dataclass(frozen=True, slots=True)
class WindowUpdate:
    """The sender takes `delta` bytes more, on a stream or (stream 0) in all."""

    stream: int
    delta: int


@dataclass(frozen=True, slots=True)
class Data:
    """What streams are for."""

    stream: int
    data: bytes
    fin: bool = False


Frame = SynStream | SynReply | RstStream | Settings | Ping | GoAway | Headers | WindowUpdate | Data


@dataclass(frozen=True, slots=True)
class Unknown:
    """A control frame of a kind that we do not know, which is to be ignored (2.2.1)."""

    kind: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Malformed:
    """A frame that ends its stream and not the session: `status` is what to reset the stream with."""

    stream: int
    status: Status
    why: str


@dataclass(frozen=True, slots=True)
class Broken:
    """Bytes after which nothing can be understood: the session is to be left with PROTOCOL_ERROR. The last thing decoded."""

    why: str


Read = Frame | Unknown | Malformed | Broken
