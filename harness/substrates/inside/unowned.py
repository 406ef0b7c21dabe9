"""Executes a program to which giving files to other users seems to be done: `unowned.py PROGRAM ARGUMENT…`.

In a user namespace of one user there is nobody to give a file to, and the kernel says EINVAL. A kubelet gives a pod's token to
the pod's user, and does not start the pod if it cannot. That user is the same one by another number, and may read it anyway.
"""

# The standard library's slow modules are avoided: pathlib alone costs more than all the rest of the start.
# ruff: noqa: PTH100, S606
import os
import struct
import sys

sys.path.insert(0, os.path.abspath(__file__).rsplit("/harness/", 1)[0])

from harness.substrates.inside import kernel

_LOAD, _JUMP_IF, _RETURN = 0x20, 0x15, 0x06
"""BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K (include/uapi/linux/bpf_common.h)."""

_NUMBER_AT, _ARCHITECTURE_AT = 0, 4
"""Where struct seccomp_data has them."""

_ALLOW, _DONE = 0x7FFF0000, 0x00050000
"""SECCOMP_RET_ALLOW; SECCOMP_RET_ERRNO with no error: the call is not made, and 0 is what it returns."""

_CALLS = {
    "x86_64": (0xC000003E, (92, 93, 94, 260)),
    "aarch64": (0xC00000B7, (54, 55)),
}
"""AUDIT_ARCH_…, and the numbers of chown, fchown, lchown and fchownat as far as the architecture has them."""


def program(architecture: int, numbers: tuple[int, ...]) -> bytes:
    """The filter: these calls of this architecture are done without being made, all others are made."""
    last = len(numbers) + 3
    lines = [(_LOAD, 0, 0, _ARCHITECTURE_AT), (_JUMP_IF, 0, last - 2, architecture), (_LOAD, 0, 0, _NUMBER_AT)]
    lines += [(_JUMP_IF, last - index, 0, number) for index, number in enumerate(numbers, 3)]
    lines += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _DONE)]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def main() -> None:
    """Where the architecture is another, the program is executed as it is."""
    if found := _CALLS.get(os.uname().machine):
        kernel.no_new_privileges()
        kernel.filter_calls(program(*found))
    os.execv(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
