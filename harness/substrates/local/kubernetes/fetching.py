"""The official programs of Kubernetes and etcd downloaded: pinned versions, their publishers' SHA-256, resumed where it broke
off. Not where they are kept.
"""

import hashlib
import http
import http.client
import platform
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError, Problem, UnableError
from harness.model.units import SECOND, Ns, seconds
from harness.substrates.local.kubernetes.binaries import VERSION
from harness.substrates.local.kubernetes.control_plane import NEEDED
from harness.substrates.local.workloads import images

ETCD = "3.6.5"
PUBLISHERS = ("https://dl.k8s.io", "https://github.com/etcd-io/etcd/releases/download")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
SILENCE: Ns = seconds(60)
TRIES = 5
CHUNK = 1 << 18

Progress = Callable[[str, int, int], None]
"""Told a file's name, how many of its bytes are there, and how many there will be (0: not known)."""


@dataclass(frozen=True, slots=True)
class File:
    """One download: `sums` is where its publisher says its SHA-256, as `SUM` alone or in lines `SUM  NAME`."""

    name: str
    url: str
    sums: str


def files(mirror: str = "") -> Sequence[File]:
    """What is downloaded for this machine, from the publishers or from a mirror that has both publishers' paths.

    UnableError where nothing is published for this machine.
    """
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise UnableError(
            Problem(f"expected one of {', '.join(ARCHITECTURES)}; found {machine}", remedy="rundrill kubernetes build")
        )
    kubernetes, etcd = (mirror.rstrip("/"),) * 2 if mirror else PUBLISHERS
    architecture = ARCHITECTURES[machine]
    base = f"{kubernetes}/v{VERSION}/bin/linux/{architecture}"
    archive = f"etcd-v{ETCD}-linux-{architecture}.tar.gz"
    return (
        *(File(name, f"{base}/{name}", f"{base}/{name}.sha256") for name in NEEDED if name != "etcd"),
        File(archive, f"{etcd}/v{ETCD}/{archive}", f"{etcd}/v{ETCD}/SHA256SUMS"),
    )


def fetch(wanted: Sequence[File], folder: Path, told: Progress) -> Path:
    """Download them to `folder`, which may hold the beginnings of an earlier try, and return the folder of programs.

    HarnessError with the address and what went wrong; what was downloaded stays for the next try, unless its sum is wrong.
    """
    folder.mkdir(parents=True, exist_ok=True)
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    pinned = _pinned()
    for file in wanted:
        path = folder / file.name
        program = programs / ("etcd" if path.name.endswith(".tar.gz") else path.name)
        if program.exists():
            continue
        expected = pinned.get(file.name) or _said(file)
        _download(file, path, told)
        _check(path, expected, file)
        if program.name == path.name:
            path.replace(program)
        else:
            _unpack(path, program)
    return programs


def _pinned() -> Mapping[str, str]:
    """The sums that we know ourselves (clusters/control-plane/SHA256SUMS), by name; without them the publisher's count."""
    path = images().parent / "control-plane" / "SHA256SUMS"
    return _sums(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _sums(text: str) -> Mapping[str, str]:
    pairs = [line.split() for line in text.splitlines() if len(line.split()) == 2]
    return {name.lstrip("*"): digest for digest, name in pairs}


def _said(file: File) -> str:
    """The SHA-256 that the publisher says."""
    text = ""
    for _ in range(TRIES):
        try:
            with _opened(file.sums) as response:
                text = response.read(1 << 20).decode("ascii", "replace")
            break
        except (OSError, http.client.HTTPException) as error:
            trouble: Exception = error
    else:
        raise _failed(file.sums, trouble) from trouble
    digest = _sums(text).get(file.name, text.split()[0] if len(text.split()) == 1 else "")
    if len(digest) != 2 * hashlib.sha256().digest_size:
        raise HarnessError(f"{file.sums}: expected a SHA-256 of {file.name}; found {text[:80]!r}")
    return digest.lower()


def _download(file: File, path: Path, told: Progress) -> None:
    """Go on where it ended, at most TRIES times without a new byte."""
    part = path.with_name(f"{path.name}.part")
    tries, trouble = 0, None
    while not path.exists():
        before = _size(part)
        try:
            if _more(file, part, told):
                part.replace(path)
                return
        except (OSError, http.client.HTTPException) as error:
            trouble = error
        tries = tries + 1 if _size(part) == before else 0
        if tries == TRIES:
            raise _failed(file.url, trouble) from trouble


def _more(file: File, part: Path, told: Progress) -> bool:
    """Append what the server still has of it; whether that was all. OSError when it breaks off."""
    begun = _size(part)
    try:
        response = _opened(file.url, begun)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and begun:
            if error.headers.get("Content-Range", "").rpartition("/")[2] == str(begun):
                return True
            part.unlink()
        raise
    with response, part.open("ab") as out:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            out.truncate(0)  # the server does not know ranges
            begun = 0
        total = begun + int(response.headers.get("Content-Length") or 0)
        done = begun
        while data := response.read(CHUNK):
            out.write(data)
            done += len(data)
            told(file.name, done, total)
    if total > begun and done < total:
        raise OSError(f"the connection ended after {done} of {total} bytes")
    return True


def _opened(url: str, begun: int = 0) -> http.client.HTTPResponse:
    headers = {"Range": f"bytes={begun}-"} if begun else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - http and https, as asked for
    response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=SILENCE / SECOND)  # noqa: S310
    return response


def _check(path: Path, expected: str, file: File) -> None:
    with path.open("rb") as data:
        found = hashlib.file_digest(data, "sha256").hexdigest()
    if found != expected:
        path.unlink()
        raise HarnessError(
            f"{file.url}: expected SHA-256 {expected}; found {found}\n    it was removed; try again, or use --from"
        )


def _unpack(archive: Path, target: Path) -> None:
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.name.rpartition("/")[2] == "etcd" and member.isfile() and (file := tar.extractfile(member)):
                unfinished = target.with_suffix(".part")
                unfinished.write_bytes(file.read())
                unfinished.replace(target)
                return
    raise HarnessError(f"{archive}: expected a program etcd in it; there is none")


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _failed(url: str, trouble: Exception | None) -> HarnessError:
    return HarnessError(
        f"{url}: cannot be downloaded: {trouble}\n"
        "    the same command goes on where it broke off; behind a proxy set https_proxy; without a network bring the\n"
        "    programs along: rundrill kubernetes get --from FILE|DIR"
    )
