"""Workloads of a local environment: what an image's name stands for, and one service that is up."""

import signal
from collections.abc import Sequence
from pathlib import Path

import msgspec

import harness
from harness.errors import Problem, SubstrateError
from harness.measuring import procfs
from harness.model.source import Source
from harness.model.topology import Workload
from harness.ports import Seen
from harness.substrates.inside.services import Ready, Spec
from harness.substrates.local.site import Site

PATIENCE_S = 15.0


class Image(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an image's name stands for: the command (`{python}` is the environment's), its variables, HTTP paths.

    clusters/workloads/<image>/image.toml is either one of these, or a table of them by name and tag, as container runtimes
    have them; there the variables are called `environment`. The rest is for containers: a process has the folder itself.
    """

    command: tuple[str, ...]
    env: dict[str, str] = {}
    environment: dict[str, str] = {}
    ready: str = "/"
    health: str = ""
    workdir: str = ""
    files: dict[str, str] = {}
    arguments: tuple[str, ...] = ()
    user: str = ""
    stop_signal: str = ""

    @property
    def variables(self) -> dict[str, str]:
        """Its variables, whichever way they were written."""
        return {**self.env, **self.environment}


def images() -> Path:
    """The folder of images: beside the package in a checkout, within it where it is installed."""
    package = Path(harness.__file__).parent
    beside = package.parent / "clusters"
    return (beside if beside.is_dir() else package / "_clusters") / "workloads"


def load_image(name: str) -> tuple[Image, Path]:
    """What an image's name stands for (`shop:1.1`; without a tag the table's first), and its folder. SubstrateError names what
    there is, or the wrong line."""
    folder = images() / name.partition(":")[0]
    path = folder / "image.toml"
    if not path.is_file():
        known = ", ".join(sorted(entry.parent.name for entry in images().glob("*/image.toml"))) or "none"
        raise SubstrateError(str(Problem(f"image {name!r}: expected one of: {known}", remedy=f"add {path}")))
    try:
        text = path.read_bytes()
        single = "command" in msgspec.toml.decode(text, type=dict[str, object])
        table = {} if single else msgspec.toml.decode(text, type=dict[str, Image])
        found = msgspec.toml.decode(text, type=Image) if single else _tagged(table, name)
    except msgspec.DecodeError as error:
        raise SubstrateError(str(Problem(str(error), Source(str(path), 1, 1)))) from error
    if found is None:
        known = ", ".join(table) or "none"
        raise SubstrateError(str(Problem(f"image {name!r}: expected one of: {known}", remedy=f"add it to {path}")))
    return found, folder


def _tagged(table: dict[str, Image], name: str) -> Image | None:
    """The image of that name and tag; of that name alone the first."""
    tagged = (image for each, image in table.items() if name in {each, each.partition(":")[0]})
    return next(tagged, None)


class LocalService:
    """One workload. Fulfils ports.Service."""

    def __init__(self, spec: Workload, site: Site) -> None:
        self._spec = spec
        self._site = site
        self._address = site.addresses.workloads[spec.name]
        self._log = f"/var/log/{spec.name}/{spec.name}.log"

    @property
    def spec(self) -> Workload:
        """What was asked for."""
        return self._spec

    @property
    def pids(self) -> tuple[int, ...]:
        """Its processes' pids as the harness sees them."""
        return self._site.pids(self._spec.name)

    async def processes(self) -> Sequence[Seen]:
        """The processes that it consists of, less those that ended, then all below them."""
        return procfs.descendants(self.pids)

    async def signal(self, processes: Sequence[Seen], number: int) -> None:
        """Send a signal to those of its processes that still run, in that order."""
        procfs.send(processes, number)

    async def prepare(self) -> None:
        """Write its environment file and tell the supervisor of it."""
        image, folder = load_image(self._spec.image)
        given = {name: self._site.rewritten(value) for name, value in self._spec.env}
        if self._spec.env_file:
            lines = "".join(f"{name}={value}\n" for name, value in given.items())
            self._site.own_file(self._spec.env_file, lines, self._site.users.operator)
        for path in (f"/var/log/{self._spec.name}", f"/srv/{self._spec.name}"):
            self._site.own_folder(path, self._site.users.app)
        env = {
            **self._site.base_environment(),
            **self._site.client_environment(owner=True),
            **self._site.under_any_name,
            **image.variables,
            "SERVICE_NAME": self._spec.name,
            **given,
            **self._site.layout.imports(folder),
            "PYTHONUNBUFFERED": "1",
        }
        await self._site.define(
            Spec(
                name=self._spec.name,
                aliases=self._spec.aliases,
                argv=tuple(part.replace("{python}", self._site.layout.python) for part in image.command),
                processes=self._spec.processes,
                env=env,
                env_file=self._site.layout.path(self._spec.env_file) if self._spec.env_file else "",
                last={"HOST": self._address.host, "PORT": str(self._address.port)},
                cwd=self._site.layout.program(folder),
                log=self._site.layout.path(self._log),
                ready=Ready(pidfile="", host=self._address.host, port=self._address.port, path=image.ready),
                stop=signal.SIGTERM,
                patience_s=PATIENCE_S,
                identity=self._site.users.app,
            )
        )

    async def start(self) -> None:
        """Start its processes and return when they listen and answer; SubstrateError with the log if they do not."""
        await self._control("start")

    async def restart(self) -> None:
        """Stop and start all its processes, reading its environment file anew; return when they listen."""
        await self._control("restart")

    async def _control(self, verb: str) -> None:
        try:
            await self._site.control(self._spec.name, verb)
        except SubstrateError as error:
            raise SubstrateError(f"{self._spec.name}: {error}\n{self._site.tail(self._log, 20)}") from error
