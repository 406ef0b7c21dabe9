"""Images: names that stand for commands, from TOML tables. Nothing is pulled; a name that is in no table is in no registry."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from harness.errors import InputError, Problem
from harness.model.source import Source
from harness.substrates.cri.refusals import InvalidError, NotFoundError

_DEFAULT_REGISTRY = "docker.io"
_BUSYBOX = "docker.io/library/busybox"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<name>(?:[A-Za-z0-9.-]+(?::[0-9]+)?/)?{_PART}(?:/{_PART})*)(?::(?P<tag>[\w][\w.-]{{0,127}}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
"""A reference as Docker's registries have it (distribution/reference, regexp.go)."""


_LINE = re.compile(r"at line (\d+)")
_REMEDY = "docs/kubernetes-local.md says what a table of images is"


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One image as it is written: `command` is its ENTRYPOINT, `arguments` its CMD; `ready` and `health` are for others."""

    command: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    env: dict[str, str] = {}
    workdir: str = ""
    files: dict[str, str] = {}
    user: str = ""
    stop_signal: str = ""
    ready: str = ""
    health: str = ""


@dataclass(frozen=True, slots=True)
class Image:
    """What a name stands for. `tag` and `digest` are references in full; `id` is the digest of the definition; `files` are
    folders of the node by where they are seen; `size` in bytes."""

    tag: str
    id: str
    entrypoint: tuple[str, ...]
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    workdir: str
    files: tuple[tuple[str, str], ...]
    uid: int
    gid: int
    stop_signal: str
    size: int

    @property
    def digest(self) -> str:
        """The reference by digest."""
        return f"{self.tag.rpartition(':')[0]}@{self.id}"

    @property
    def is_busybox(self) -> bool:
        """Whether it is busybox: any tag of it is there, and it is a shell."""
        return self.tag.startswith(f"{_BUSYBOX}:")

    @property
    def needs_python(self) -> bool:
        """Whether its command is run by the environment's Python."""
        return any("{python}" in word for word in (*self.entrypoint, *self.arguments))


def normal(reference: str) -> str:
    """A reference in full: registry, repository, and a tag or digest. InvalidError as containerd words it."""
    if not (found := _REFERENCE.fullmatch(reference)):
        raise InvalidError(f'failed to parse image name "{reference}": invalid reference format')
    name = found["name"]
    first, slash, _ = name.partition("/")
    if not slash:
        name = f"{_DEFAULT_REGISTRY}/library/{name}"
    elif not ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        name = f"{_DEFAULT_REGISTRY}/{name}"
    return f"{name}@{found['digest']}" if found["digest"] else f"{name}:{found['tag'] or 'latest'}"


class Images:
    """The images of one node: all of the tables are there from the start, as if they had been pulled before."""

    def __init__(self, known: Iterable[Image]) -> None:
        self._known = {image.tag: image for image in known}
        self._here = dict(self._known)

    def all(self) -> tuple[Image, ...]:
        """Those that are on the node."""
        return tuple(self._here.values())

    def find(self, reference: str) -> Image | None:
        """The image that is on the node by that reference or id; None if there is none."""
        if reference.startswith("sha256:"):
            return next((image for image in self._here.values() if image.id == reference), None)
        wanted = normal(reference)
        if wanted.startswith(f"{_BUSYBOX}:") and wanted not in self._here:
            self._here[wanted] = self._known[wanted] = _busybox(wanted)
        return next((image for image in self._here.values() if wanted in {image.tag, image.digest}), None)

    def pull(self, reference: str) -> Image:
        """The image of that reference, on the node from now on; NotFoundError in a registry's usual words."""
        wanted = normal(reference)
        for image in (self.find(reference), *self._known.values()):
            if image and wanted in {image.tag, image.digest}:
                self._here[image.tag] = image
                return image
        raise NotFoundError(
            f'failed to pull and unpack image "{wanted}": failed to resolve reference "{wanted}": {wanted}: not found'
        )

    def remove(self, reference: str) -> None:
        """Take it from the node; nothing if it is not there."""
        if image := self.find(reference):
            self._here.pop(image.tag, None)


def load(paths: Iterable[Path]) -> tuple[Image, ...]:
    """The images of those TOML files. InputError names every one that is not as expected."""
    problems: list[Problem] = []
    found = [image for path in paths for image in _images(path, problems)]
    if problems:
        raise InputError(problems)
    return tuple(found)


def _images(path: Path, problems: list[Problem]) -> Iterator[Image]:
    """The images of one file; what is wrong goes to `problems`, each at its line."""

    def wrong(why: str, line: int) -> None:
        problems.append(Problem(why, Source(str(path), line, line), remedy=_REMEDY))

    try:
        text = path.read_text(encoding="utf-8")
        table = msgspec.toml.decode(text, type=dict[str, object])
    except OSError as error:
        wrong(str(error.strerror), 1)
        return
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        wrong(f"not TOML: {error}", int(found[1]) if (found := _LINE.search(str(error))) else 1)
        return
    for name, each in ({path.resolve().parent.name: table} if "command" in table else table).items():
        try:
            yield _image(name, msgspec.convert(each, _Table), path)
        except (msgspec.ValidationError, InvalidError, ValueError) as error:
            wrong(f"image {name!r}: {error}", _line(text, name))


def _line(text: str, name: str) -> int:
    """Where the table of that name begins."""
    headers = ((number, line.partition("#")[0].strip()) for number, line in enumerate(text.splitlines(), 1))
    return next((n for n, line in headers if line[:1] == "[" and line.strip("[] ").strip("\"'") == name), 1)


def _image(name: str, table: _Table, path: Path) -> Image:
    uid, _, gid = table.user.partition(":")
    if not all(part.isdecimal() for part in (uid or "0", gid or "0")):
        raise ValueError(f"user: expected `uid` or `uid:gid` in digits; found {table.user!r}")
    tag = normal(name)
    shell = tag.startswith(f"{_BUSYBOX}:")
    files = tuple((target, str(_folder(source, path))) for target, source in table.files.items())
    image = Image(
        tag=tag,
        id="",
        entrypoint=() if shell else table.command,
        arguments=table.command if shell else table.arguments,
        environment=tuple({**table.env, **table.environment}.items()),
        workdir=table.workdir,
        files=files,
        uid=int(uid or 0),
        gid=int(gid or 0),
        stop_signal=table.stop_signal,
        size=sum(_size(Path(source)) for _, source in files),
    )
    return _identified(image)


def _folder(source: str, table: Path) -> Path:
    """A folder of files: beside its table, since nothing else of the machine is seen where containers start."""
    beside = table.resolve().parent
    folder = (beside / source).resolve()
    if not folder.is_dir() or not folder.is_relative_to(beside):
        raise ValueError(f"files: expected a folder in {beside}; found {source!r}")
    return folder


def _busybox(tag: str) -> Image:
    return _identified(
        Image(
            tag=tag,
            id="",
            entrypoint=(),
            arguments=("sh",),
            environment=(),
            workdir="/",
            files=(),
            uid=0,
            gid=0,
            stop_signal="",
            size=0,
        )
    )


def _identified(image: Image) -> Image:
    """The image with the digest of its definition as its id; it counts as part of the size, which must not be 0."""
    definition = msgspec.json.encode(image)
    return replace(image, id=f"sha256:{hashlib.sha256(definition).hexdigest()}", size=image.size + len(definition))


def _size(folder: Path) -> int:
    return sum((Path(place) / name).lstat().st_size for place, _, names in os.walk(folder) for name in names)
