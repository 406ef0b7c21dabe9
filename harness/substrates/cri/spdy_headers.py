"""Header blocks of SPDY/3 as they are before they are deflated, and the dictionary they are deflated with.

draft-mbelshe-httpbis-spdy-00, 2.6.10. Names are lower case and come once; several values are separated by NUL in one.
"""

import struct

Block = tuple[tuple[str, str], ...]
"""Names and values, in order; the characters are the bytes (ISO 8859-1)."""

# The one-word names are written as words; the others hold a space or a capital.
_NAMES = (
    *(  # noqa: SIM905 - seven lines rather than sixty
        "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age "
        "allow authorization cache-control connection content-base content-encoding content-language content-length "
        "content-location content-md5 content-range content-type date etag expect expires from host if-match "
        "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
        "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
        "user-agent vary via warning www-authenticate method get status"
    ).split(),
    *("200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin"),
)
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


class BlockError(ValueError):
    """A header block that is not one; says why."""


def _string(text: str) -> bytes:
    data = text.encode("latin-1")
    return struct.pack(">I", len(data)) + data


DICTIONARY = b"".join(map(_string, _NAMES)) + _TAIL.encode()


def pack(headers: Block) -> bytes:
    """The block of `headers`. BlockError if a name is empty, not lower case or there twice, or a character is no byte."""
    _check(headers)
    try:
        return struct.pack(">I", len(headers)) + b"".join(_string(name) + _string(value) for name, value in headers)
    except UnicodeEncodeError as error:
        raise BlockError(f"a header with characters that are no bytes: {error.object!r}") from error


def unpack(block: bytes) -> Block:
    """The headers of a block. BlockError if it ends early or late, or its names are not as `pack` wants them."""
    if len(block) < 4:
        raise BlockError(f"a block of {len(block)} bytes: it begins with the number of its headers, 4 bytes")
    count = struct.unpack_from(">I", block)[0]
    at = 4
    headers = []
    for _ in range(count):
        name, at = _string_at(block, at)
        value, at = _string_at(block, at)
        headers.append((name, value))
    if at != len(block):
        raise BlockError(f"{len(block) - at} bytes after the last of {count} headers")
    _check(tuple(headers))
    return tuple(headers)


def _string_at(block: bytes, at: int) -> tuple[str, int]:
    if at + 4 > len(block):
        raise BlockError(f"a block that ends in byte {len(block)}, where the length of a string was expected")
    length = struct.unpack_from(">I", block, at)[0]
    end = at + 4 + length
    if end > len(block):
        raise BlockError(f"a string of {length} bytes in a block that has {len(block) - at - 4} more")
    return block[at + 4 : end].decode("latin-1"), end


def _check(headers: Block) -> None:
    names = [name for name, _ in headers]
    for name in names:
        if not name or name != name.lower():
            raise BlockError(f"the header name {name!r}: names are in lower case and not empty")
    if len(set(names)) < len(names):
        raise BlockError(f"the header {next(name for name in names if names.count(name) > 1)!r} twice")
