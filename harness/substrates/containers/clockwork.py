"""A clock of its own for a server in a container: libfaketime in its volume, and the file that the library reads."""

import asyncio
from dataclasses import dataclass

from harness.errors import SubstrateError
from harness.model.units import SECOND, Ns
from harness.substrates.containers.daemon import tar
from harness.substrates.containers.yard import Keeper
from harness.substrates.local.wheels import faketime

LIBRARY = "libfaketime.so.1"
CLOCK = "clock"
BIN = "bin"
"""The folder of the volume whose `postgres` is to come before the server's own in the PATH."""


@dataclass(frozen=True, slots=True)
class Clockwork:
    """The clock of one server, in the volume that its keeper has."""

    server: str
    keeper: Keeper

    async def bring(self, mount: str, *, image: str, ahead: float) -> None:
        """Put the library and a start of the server with it where the server sees its volume at `mount`; its clock is then
        `ahead` s before the host's. SubstrateError with the remedy where it cannot be moved."""
        library = faketime()
        if library is None:
            raise SubstrateError(f"{self.server}: expected the wheel `libfaketime`\n    pip install libfaketime")
        if "musl" in await self.keeper.sh("ls /lib"):
            raise SubstrateError(
                f"{self.server}: expected an image with glibc, to move its clock by libfaketime; {image} has musl\n"
                "    name a Debian image: [images] postgres in rundrill.toml"
            )
        real = (await self.keeper.sh("command -v postgres")).strip()
        files = {
            LIBRARY: await asyncio.to_thread(library.read_bytes),
            f"{BIN}/postgres": _start(real, mount).encode(),
        }
        await self.keeper.put(self.server, self.keeper.place(self.server), tar(files))
        await self.set(round(ahead * SECOND))

    async def set(self, ahead: Ns) -> None:
        """Replace the file that libfaketime reads (README, "FAKETIME_TIMESTAMP_FILE"): never half a number."""
        script = 'printf "%s\\n" "$1" > "$2.new" && mv "$2.new" "$2"'
        await self.keeper.sh(script, f"{ahead / SECOND:+.6f}", f"{self.keeper.place(self.server)}/{CLOCK}")


def _start(real: str, mount: str) -> str:
    """What stands before the server's program in the PATH: the entry point changes users on its way to it, and what the
    library makes as one user cannot be used by the other."""
    variables = {
        "LD_PRELOAD": f"{mount}/{LIBRARY}",
        "FAKETIME_TIMESTAMP_FILE": f"{mount}/{CLOCK}",
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    lines = "".join(f"export {name}={value}\n" for name, value in variables.items())
    return f'#!/bin/sh\n{lines}exec {real} "$@"\n'
