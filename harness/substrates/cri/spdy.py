"""SPDY/3.1 framing as Kubernetes uses it: bytes → frames → bytes. Pure; connections and streams are in spdy_session.

Format: draft-mbelshe-httpbis-spdy-00 ("SPDY/3"), section 2; 3.1 adds a window of the whole session, which is stream 0's.
"""

import struct
import zlib
from typing import assert_never

from harness.substrates.cri.spdy_frames import (
    LARGEST_ID,
    Broken,
    Data,
    Frame,
    GoAway,
    Headers,
    Malformed,
    Ping,
    Read,
    RstStream,
    Setting,
    Settings,
    Status,
    SynReply,
    SynStream,
    Unknown,
    WindowUpdate,
)
from harness.substrates.cri.spdy_headers import DICTIONARY, Block, BlockError, pack, unpack

VERSION = 3
LARGEST_DATA = (1 << 24) - 1
"""Bytes of payload that one frame can carry."""

LARGEST_CONTROL = 1 << 16
"""Bytes of payload of a control frame that are accepted; the protocol asks for at least 8192."""

LARGEST_BLOCK = 1 << 18
"""Bytes that a header block may have when it is inflated."""

_FIN = 0x01
_UNIDIRECTIONAL = 0x02
_KINDS = {1: "SYN_STREAM", 2: "SYN_REPLY", 3: "RST_STREAM", 4: "SETTINGS", 6: "PING", 7: "GOAWAY", 8: "HEADERS"}
_KINDS[9] = "WINDOW_UPDATE"
_LENGTHS = {3: 8, 6: 4, 7: 8, 9: 8}
_SHORTEST = {1: 10, 2: 4, 4: 4, 8: 4}


class _Unreadable(Exception):  # noqa: N818 - never leaves this file
    """Becomes Broken."""


class Decoder:
    """Bytes in, in pieces of any size; frames out, in order. It keeps at most one frame that is not whole."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._broken = False

    def feed(self, data: bytes) -> tuple[Read, ...]:
        """The frames that are whole now. After Broken there are none any more."""
        if self._broken:
            return ()
        self._kept += data
        found: list[Read] = []
        at = 0
        try:
            while (end := self._end_of_frame(at)) is not None:
                found.append(self._frame(at, end))
                at = end
        except _Unreadable as error:
            self._broken = True
            self._kept.clear()
            found.append(Broken(str(error)))
        else:
            del self._kept[:at]
        return tuple(found)

    def _end_of_frame(self, at: int) -> int | None:
        """Where the frame at `at` ends, or None if it is not all there. Says at once what will not be accepted."""
        if len(self._kept) - at < 8:
            return None
        head, flagged = struct.unpack_from(">II", self._kept, at)
        length = flagged & LARGEST_DATA
        if head >> 31:
            self._check_control(head, length)
        elif not head:
            raise _Unreadable("DATA on stream 0: streams are numbered from 1")
        end = at + 8 + length
        return end if end <= len(self._kept) else None

    @staticmethod
    def _check_control(head: int, length: int) -> None:
        version, kind = head >> 16 & 0x7FFF, head & 0xFFFF
        if version != VERSION:
            raise _Unreadable(f"a control frame of SPDY version {version}: {VERSION} is spoken here")
        name = _KINDS.get(kind, f"a control frame of kind {kind}")
        if length > LARGEST_CONTROL:
            raise _Unreadable(f"{name} of {length} bytes: at most {LARGEST_CONTROL} are accepted")
        if length != _LENGTHS.get(kind, length) or length < _SHORTEST.get(kind, 0):
            expected = _LENGTHS.get(kind) or f"at least {_SHORTEST[kind]}"
            raise _Unreadable(f"{name} of {length} bytes: it has {expected}")

    def _frame(self, at: int, end: int) -> Read:
        head, flagged = struct.unpack_from(">II", self._kept, at)
        payload = bytes(self._kept[at + 8 : end])
        fin = bool(flagged >> 24 & _FIN)
        if not head >> 31:
            return Data(head, payload, fin)
        kind = head & 0xFFFF
        match kind:
            case 1 | 2 | 8:
                return self._with_headers(kind, flagged >> 24, payload)
            case 4:
                return _settings(payload, clear=fin)
            case 6:
                return Ping(_numbers(payload)[0])
            case 3:
                stream, status = _numbers(payload)
                return RstStream(_checked(stream, "RST_STREAM"), status)
            case 7:
                last, status = _numbers(payload)
                return GoAway(last & LARGEST_ID, status)
            case 9:
                stream, delta = (number & LARGEST_ID for number in _numbers(payload))
                if delta:
                    return WindowUpdate(stream, delta)
                return Malformed(_checked(stream, "WINDOW_UPDATE by 0 bytes"), Status.PROTOCOL_ERROR, "by 0 bytes")
            case _:
                return Unknown(kind, payload)

    def _with_headers(self, kind: int, flags: int, payload: bytes) -> Read:
        """SYN_STREAM, SYN_REPLY or HEADERS. What is wrong with the headers alone ends the stream alone: all were inflated."""
        stream = _checked(struct.unpack_from(">I", payload)[0], _KINDS[kind])
        try:
            headers = unpack(self._inflated(payload[10 if kind == 1 else 4 :]))
        except BlockError as error:
            return Malformed(stream, Status.PROTOCOL_ERROR, f"{_KINDS[kind]}: {error}")
        fin = bool(flags & _FIN)
        match kind:
            case 1:
                associated, priority, slot = struct.unpack_from(">IBB", payload, 4)
                one_way = bool(flags & _UNIDIRECTIONAL)
                return SynStream(stream, headers, fin, one_way, associated & LARGEST_ID, priority >> 5, slot)
            case 2:
                return SynReply(stream, headers, fin)
            case _:
                return Headers(stream, headers, fin)

    def _inflated(self, packed: bytes) -> bytes:
        try:
            block = self._inflate.decompress(packed, LARGEST_BLOCK)
        except zlib.error as error:
            raise _Unreadable(f"headers that cannot be inflated: {error}") from error
        if self._inflate.unconsumed_tail or self._inflate.eof:
            raise _Unreadable(f"headers that are more than {LARGEST_BLOCK} bytes when inflated, or the last of them")
        return block


def _numbers(payload: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(payload) // 4}I", payload)


def _checked(stream: int, name: str) -> int:
    stream &= LARGEST_ID
    if not stream:
        raise _Unreadable(f"{name} on stream 0: streams are numbered from 1")
    return stream


def _settings(payload: bytes, *, clear: bool) -> Settings:
    count = struct.unpack_from(">I", payload)[0]
    if len(payload) != 4 + 8 * count:
        raise _Unreadable(f"SETTINGS of {len(payload)} bytes: {count} settings have {4 + 8 * count}")
    pairs = struct.iter_unpack(">II", payload[4:])
    return Settings(tuple(Setting(head & 0xFFFFFF, value, head >> 24) for head, value in pairs), clear)


class Encoder:
    """Frames to bytes, for one direction of one session: headers are deflated in the order they are encoded in."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(level=zlib.Z_BEST_COMPRESSION, zdict=DICTIONARY)

    def encode(self, frame: Frame) -> bytes:
        """The frame as it travels. ValueError if it has a number or a size that the format cannot hold."""
        match frame:
            case Data(stream, data, fin):
                if len(data) > LARGEST_DATA:
                    raise ValueError(f"DATA of {len(data)} bytes: a frame holds at most {LARGEST_DATA}")
                return struct.pack(">II", _number(stream, 1), fin << 24 | len(data)) + data
            case SynStream(stream, headers, fin, one_way, associated, priority, slot):
                head = struct.pack(">IIBB", _number(stream, 1), _number(associated), priority << 5, slot)
                return _control(1, head + self._deflated(headers), fin | one_way * _UNIDIRECTIONAL)
            case SynReply(stream, headers, fin):
                return _control(2, struct.pack(">I", _number(stream, 1)) + self._deflated(headers), int(fin))
            case Headers(stream, headers, fin):
                return _control(8, struct.pack(">I", _number(stream, 1)) + self._deflated(headers), int(fin))
            case RstStream(stream, status):
                return _control(3, struct.pack(">II", _number(stream, 1), status))
            case Settings(values, clear):
                pairs = b"".join(struct.pack(">II", each.flags << 24 | each.number, each.value) for each in values)
                return _control(4, struct.pack(">I", len(values)) + pairs, int(clear))
            case Ping(number):
                return _control(6, struct.pack(">I", number))
            case GoAway(last, status):
                return _control(7, struct.pack(">II", _number(last), status))
            case WindowUpdate(stream, delta):
                return _control(9, struct.pack(">II", _number(stream), _number(delta, 1)))
            case _:
                assert_never(frame)

    def _deflated(self, headers: Block) -> bytes:
        return self._deflate.compress(pack(headers)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)


def _number(number: int, least: int = 0) -> int:
    if not least <= number <= LARGEST_ID:
        raise ValueError(f"{number}: streams and windows are numbers from {least} to {LARGEST_ID}")
    return number


def _control(kind: int, payload: bytes, flags: int = 0) -> bytes:
    if len(payload) > LARGEST_CONTROL:
        raise ValueError(f"{_KINDS[kind]} of {len(payload)} bytes: at most {LARGEST_CONTROL} are accepted anywhere")
    return struct.pack(">II", 1 << 31 | VERSION << 16 | kind, flags << 24 | len(payload)) + payload
