"""Settings of the network namespace that the calling thread is in, by their path below /proc/sys. Not the machine's.

In an environment /proc is read-only for everybody; whoever is root of the environment's user namespace can have another one,
which is mounted nowhere and which only the holder of its descriptor sees.
"""

import ctypes
import errno
import os

_LIBC = ctypes.CDLL(None, use_errno=True)
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
_CLOEXEC = 1
_FSCONFIG_CMD_CREATE = 6
_NOSUID_NODEV_NOEXEC = 0x2 | 0x4 | 0x8


def write(name: str, value: str) -> None:
    """Set one, such as `net/ipv4/ip_forward`. OSError where that is not allowed."""
    try:
        _write(os.open(f"/proc/sys/{name}", os.O_WRONLY | os.O_CLOEXEC), value)
    except OSError as error:
        if error.errno not in {errno.EROFS, errno.EACCES}:
            raise
        folder = _own_proc()
        try:
            _write(os.open(f"sys/{name}", os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder), value)
        finally:
            os.close(folder)


def _write(file: int, value: str) -> None:
    try:
        os.write(file, value.encode())
    finally:
        os.close(file)


def _own_proc() -> int:
    """A mount of proc with no place (fsopen(2) and its like, Linux 5.2; the numbers are the same on every architecture)."""
    context = _call(_FSOPEN, ctypes.c_char_p(b"proc"), ctypes.c_uint(_CLOEXEC))
    try:
        _call(_FSCONFIG, ctypes.c_int(context), ctypes.c_uint(_FSCONFIG_CMD_CREATE), None, None, ctypes.c_int(0))
        flags = ctypes.c_uint(_NOSUID_NODEV_NOEXEC)
        return _call(_FSMOUNT, ctypes.c_int(context), ctypes.c_uint(_CLOEXEC), flags)
    finally:
        os.close(context)


def _call(number: int, *arguments: object) -> int:
    result: int = _LIBC.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"a private /proc: {os.strerror(code)}")
    return result
