"""Landlock: what a process and its children may write, read, connect to and signal, without namespaces or privileges.

After include/uapi/linux/landlock.h; rights a kernel does not know yet are left out, as its documentation asks.
"""

import os
import stat
import struct
from collections.abc import Iterable

from harness.substrates.inside import kernel

_EXECUTE = 1 << 0
_WRITE_FILE = 1 << 1
_READ_FILE = 1 << 2
_READ_DIR = 1 << 3
_TRUNCATE = 1 << 14
_IOCTL_DEV = 1 << 15
_READING = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV

_CONNECT_TCP = 1 << 1
_SCOPE_ABSTRACT_SOCKETS = 1 << 0
_SCOPE_SIGNALS = 1 << 1

_BENEATH = 1
_PORT = 2


def _known_rights(version: int) -> int:
    bits = 13 + (version >= 2) + (version >= 3)
    return (1 << bits) - 1 | (_IOCTL_DEV if version >= 5 else 0)


def restrict(
    *,
    writable: Iterable[str],
    readable: Iterable[str] | None = None,
    ports: Iterable[int] | None = None,
    scoped: bool = False,
) -> bool:
    """Restrict this process for good; False where the kernel has no Landlock.

    Writing is limited to what lies beneath `writable`; reading, if `readable` is given, to both; outgoing TCP, if `ports`
    is given, to those (ABI 4); `scoped` forbids signals and abstract sockets to processes outside (ABI 6).
    """
    version = kernel.landlock_version()
    if not version:
        return False
    rights = _known_rights(version)
    handled = rights if readable is not None else rights & ~_READING
    network = _CONNECT_TCP if ports is not None and version >= 4 else 0
    scopes = _SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS if scoped and version >= 6 else 0
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = kernel.landlock_ruleset(struct.pack("=QQQ", handled, network, scopes)[:size])
    try:
        for path in readable or ():
            _allow(ruleset, path, handled & _READING)
        for path in writable:
            _allow(ruleset, path, handled)
        for port in (ports or ()) if network else ():
            kernel.landlock_rule(ruleset, _PORT, struct.pack("=QQ", _CONNECT_TCP, port))
        kernel.no_new_privileges()
        kernel.landlock_restrict(ruleset)
    finally:
        os.close(ruleset)
    return True


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there, or not to be reached by this user, needs no permission
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _OF_FILES
        if rights:
            kernel.landlock_rule(ruleset, _BENEATH, struct.pack("=Qi", rights, fd))
    finally:
        os.close(fd)
