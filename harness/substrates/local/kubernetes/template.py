"""The template of a cluster's data: what etcd holds once everything is there that every cluster has, with the keys it depends
on. One archive a version in the cache; not the programs, not the nodes.
"""

import hashlib
import io
import os
import signal
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

LAYOUT = 1
"""Raised when what goes into a template changes otherwise than by its key: an older one is then not found."""

_DATA = "etcd"
_KEYS = "keys"
_SEGMENT = 64 * 1024 * 1024
"""The size of a file of etcd's write-ahead log (server/storage/wal, SegmentSizeBytes): mostly zeros, which are left out."""

_PAGE = 4096


def key(version: str, parts: Sequence[str]) -> str:
    """What a template of Kubernetes `version` depends on: the programs' options and what is applied, `parts`."""
    digest = hashlib.sha256("\0".join((str(LAYOUT), version, *parts)).encode()).hexdigest()
    return f"kubernetes-{version}-{digest[:20]}"


def pack(data: Path, keys: Mapping[str, str], archive: Path) -> None:
    """Write etcd's directory, which nobody may be writing meanwhile, and the keys, for the caller alone to read."""
    with (
        os.fdopen(os.open(archive, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file,
        tarfile.open(fileobj=file, mode="w") as tar,
    ):
        for name, text in keys.items():
            _add(tar, f"{_KEYS}/{name}", text.encode())
        for path in sorted(data.rglob("*")):
            if path.is_file() and path.suffix != ".tmp":
                _add(tar, f"{_DATA}/{path.relative_to(data)}", _shortened(path))


def unpack(archive: Path, data: Path) -> Mapping[str, str]:
    """Put etcd's directory where it is to be, and return the keys. OSError or tarfile.TarError if it is not to be read."""
    keys: dict[str, str] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is None:
                continue
            kind, _, name = member.name.partition("/")
            if kind == _KEYS:
                keys[name] = file.read().decode()
                continue
            path = data / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_bytes(file.read())
            path.chmod(0o600)
            if path.suffix == ".wal":
                os.truncate(path, _SEGMENT)
    data.chmod(0o700)
    return keys


@contextmanager
def standing_still(pids: Sequence[int]) -> Iterator[None]:
    """Stop these processes meanwhile: what they have written is then as after a crash, which etcd is made to survive."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def _shortened(path: Path) -> bytes:
    """The content without the zeros at its end, as far as they are not needed to see that it ends there."""
    data = path.read_bytes()
    if path.suffix != ".wal":
        return data
    end = len(data.rstrip(b"\0"))
    return data[: (end // _PAGE + 2) * _PAGE]


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    entry.mode = 0o600
    tar.addfile(entry, io.BytesIO(data))
