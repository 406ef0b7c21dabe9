"""The system calls Python has no function for. Not a policy: what they are used for is decided by the callers.

Numbers from 424 on are the same on every architecture (Linux, include/uapi/asm-generic/unistd.h).
"""

import ctypes
import fcntl
import os
import socket
import struct

_LIBC = ctypes.CDLL(None, use_errno=True)

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
_SYS_OPEN_TREE = 428
_SYS_MOVE_MOUNT = 429
_SYS_MOUNT_SETATTR = 442
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 4
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_SECCOMP = 22
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38

_SECCOMP_MODE_FILTER = 2

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1

_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_ADD_RULE = 445
_LANDLOCK_RESTRICT_SELF = 446


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def mount(source: str, target: str, kind: str, *, flags: int = 0, data: str = "") -> None:
    """Mount (mount(2))."""
    result = _LIBC.mount(
        source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode() if data else None
    )
    _checked(result, f"mount {kind or 'bind'} {source} at {target}")


def unmount(target: str) -> None:
    """Unmount lazily (umount2(2))."""
    _checked(_LIBC.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def set_mount(target: str, attributes: int) -> None:
    """mount_setattr(2), on the mount at `target` and all below it. Linux 5.12."""
    attr = struct.pack("=QQQQ", attributes, 0, 0, 0)
    result = _LIBC.syscall(
        ctypes.c_long(_SYS_MOUNT_SETATTR),
        ctypes.c_int(_AT_FDCWD),
        ctypes.c_char_p(target.encode()),
        ctypes.c_uint(_AT_RECURSIVE),
        ctypes.c_char_p(attr),
        ctypes.c_size_t(len(attr)),
    )
    _checked(result, f"mount_setattr {target}")


def copy_mounts(source: str) -> int:
    """A descriptor of a copy of what is mounted at and below `source`, itself mounted nowhere (open_tree(2)). Linux 5.2."""
    flags = _OPEN_TREE_CLONE | _AT_RECURSIVE | os.O_CLOEXEC
    result = _LIBC.syscall(
        ctypes.c_long(_SYS_OPEN_TREE), ctypes.c_int(_AT_FDCWD), ctypes.c_char_p(source.encode()), ctypes.c_uint(flags)
    )
    return _checked(result, f"open_tree {source}")


def attach_mounts(tree: int, target: str) -> None:
    """Mount what `copy_mounts` gave (move_mount(2)), and close it."""
    result = _LIBC.syscall(
        ctypes.c_long(_SYS_MOVE_MOUNT),
        ctypes.c_int(tree),
        ctypes.c_char_p(b""),
        ctypes.c_int(_AT_FDCWD),
        ctypes.c_char_p(target.encode()),
        ctypes.c_uint(_MOVE_MOUNT_F_EMPTY_PATH),
    )
    os.close(tree)
    _checked(result, f"move_mount {target}")


def pivot_root() -> None:
    """Make the working directory the root, with nothing of the old one left (pivot_root(2), "pivot_root(".", ".")")."""
    _checked(_LIBC.pivot_root(b".", b"."), "pivot_root")
    unmount(".")
    os.chdir("/")


def unshare(flags: int) -> None:
    """Leave the namespaces of the parent (unshare(2))."""
    _checked(_LIBC.unshare(ctypes.c_int(flags)), "unshare")


def enter(namespace: int, kind: int) -> None:
    """Enter the namespace of that descriptor, or those kinds of a process's (a pidfd, Linux 5.8) at once (setns(2)).

    For CLONE_NEWPID it is the children forked from now on that are in it.
    """
    _checked(_LIBC.setns(ctypes.c_int(namespace), ctypes.c_int(kind)), "setns")


def _prctl(option: int, value: int) -> None:
    zero = ctypes.c_ulong(0)
    _checked(_LIBC.prctl(ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero), f"prctl {option}")


def die_with_parent(number: int) -> None:
    """Have this process sent a signal when its parent ends."""
    _prctl(_PR_SET_PDEATHSIG, number)


def adopt_orphans() -> None:
    """Become the parent of every descendant that loses its own."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def no_new_privileges() -> None:
    """Let no program that is executed from now on gain anything (setuid bits, file capabilities)."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def drop_capability(number: int) -> None:
    """Never again have that capability after executing a program (capabilities(7), the bounding set)."""
    _prctl(_PR_CAPBSET_DROP, number)


def call_itself(path: str, stat: str) -> None:
    """Have this process listed as that program, by name and command line; `stat` is what /proc/self/stat says of it."""
    name = path.rpartition("/")[2]
    _checked(_LIBC.prctl(ctypes.c_int(_PR_SET_NAME), ctypes.c_char_p(name.encode())), "prctl PR_SET_NAME")
    fields = stat.rpartition(")")[2].split()
    start, end = (int(fields[number - 3]) for number in (48, 49))  # proc_pid_stat(5): arg_start, arg_end
    ctypes.memmove(start, path.encode().ljust(end - start, b"\0")[: end - start], end - start)


def filter_calls(program: bytes) -> None:
    """Have a classic BPF program decide on every system call from now on (seccomp(2)); it needs no_new_privileges."""
    mode = ctypes.c_ulong(_SECCOMP_MODE_FILTER)
    instructions = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HxxxxxxP", len(program) // 8, ctypes.addressof(instructions))
    zero = ctypes.c_ulong(0)
    _checked(_LIBC.prctl(ctypes.c_int(_PR_SET_SECCOMP), mode, ctypes.c_char_p(header), zero, zero), "seccomp")


def loopback_up() -> None:
    """Bring up `lo` of this network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(sock, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))


_RTM_NEWADDR = 20
_RTM_NEWROUTE = 24
_NLM_F_REQUEST_ACK_CREATE = 0x1 | 0x4 | 0x400
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF = 1, 4
_RT_TABLE_LOCAL = 255
_RTPROT_BOOT = 3
_RT_SCOPE_HOST = 254
_RTN_LOCAL = 2


def add_address(address: str) -> None:
    """Give `lo` one more IPv4 address, which goes out as well: of global scope (rtnetlink(7))."""
    packed = socket.inet_aton(address)
    header = struct.pack("=BBBBI", socket.AF_INET, 32, 0, 0, socket.if_nametoindex("lo"))
    _route(_RTM_NEWADDR, header + _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed), address)


def make_local(network: str) -> None:
    """Have every address of an IPv4 network such as 10.0.0.0/16 be this machine's own, without being on an interface."""
    address, _, length = network.partition("/")
    kind = (_RT_TABLE_LOCAL, _RTPROT_BOOT, _RT_SCOPE_HOST, _RTN_LOCAL)
    header = struct.pack("=BBBBBBBBI", socket.AF_INET, int(length), 0, 0, *kind, 0)
    lo = struct.pack("=I", socket.if_nametoindex("lo"))
    _route(_RTM_NEWROUTE, header + _attribute(_RTA_DST, socket.inet_aton(address)) + _attribute(_RTA_OIF, lo), network)


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data


def _route(kind: int, body: bytes, what: str) -> None:
    """One request of rtnetlink(7), and its answer: 16 bytes of header, then the negated errno."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
        sock.send(struct.pack("=IHHII", 16 + len(body), kind, _NLM_F_REQUEST_ACK_CREATE, 1, 0) + body)
        number = -struct.unpack("=i", sock.recv(4096)[16:20])[0]
    if number:
        raise OSError(number, f"{what}: {os.strerror(number)}")


def remove_shared_memory(segment: int) -> None:
    """Remove a System V segment (shmctl(2), IPC_RMID); nothing if there is none or it is another user's."""
    _LIBC.shmctl(ctypes.c_int(segment), ctypes.c_int(0), None)


def landlock_version() -> int:
    """The kernel's Landlock ABI; 0 where it has none or it is forbidden."""
    version: int = _LIBC.syscall(ctypes.c_long(_LANDLOCK_CREATE_RULESET), None, ctypes.c_size_t(0), ctypes.c_uint(1))
    return max(0, version)


def landlock_ruleset(attributes: bytes) -> int:
    """landlock_create_ruleset(2): a descriptor."""
    result = _LIBC.syscall(
        ctypes.c_long(_LANDLOCK_CREATE_RULESET),
        ctypes.c_char_p(attributes),
        ctypes.c_size_t(len(attributes)),
        ctypes.c_uint(0),
    )
    return _checked(result, "landlock_create_ruleset")


def landlock_rule(ruleset: int, kind: int, rule: bytes) -> None:
    """landlock_add_rule(2)."""
    result = _LIBC.syscall(
        ctypes.c_long(_LANDLOCK_ADD_RULE),
        ctypes.c_int(ruleset),
        ctypes.c_int(kind),
        ctypes.c_char_p(rule),
        ctypes.c_uint(0),
    )
    _checked(result, "landlock_add_rule")


def landlock_restrict(ruleset: int) -> None:
    """landlock_restrict_self(2); it needs no_new_privileges."""
    result = _LIBC.syscall(ctypes.c_long(_LANDLOCK_RESTRICT_SELF), ctypes.c_int(ruleset), ctypes.c_uint(0))
    _checked(result, "landlock_restrict_self")
