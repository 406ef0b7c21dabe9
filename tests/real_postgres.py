"""A PostgreSQL of the tests' own on a free loopback port, for tests of workers that need no whole environment."""

import asyncio
import functools
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from harness.substrates.local import wheels

NOBODY = 65534


@functools.cache
def programs() -> Path:
    """The folder of initdb and postgres, where user nobody, who runs them for root, can read them."""
    installed = wheels.installation()
    assert installed
    found = installed / "bin"
    for place, instead in asyncio.run(wheels.readable()) if os.geteuid() == 0 else ():
        if found.is_relative_to(place):
            return Path(instead) / found.relative_to(place)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def conninfo(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [programs() / "postgres", "-D", self.folder / "data", "-p", str(self.port), "-c", "fsync=off",
                 "-c", f"unix_socket_directories={self.folder}", "-c", "listen_addresses=127.0.0.1"],
                stdout=log, stderr=log, **_unprivileged(),
            )  # fmt: skip
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                psycopg.connect(self.conninfo, connect_timeout=2).close()
            except psycopg.OperationalError:
                if self.process.poll() is not None:
                    break
            else:
                return
        raise AssertionError((self.folder / "log").read_text())

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(20)
            self.process = None

    def run(self, text: str) -> None:
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            connection.execute(text.encode())


@contextmanager
def postgres(folder: Path) -> Iterator[Server]:
    """A server that is up; it is gone when the scope is left."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        for place in (folder, *folder.parents):
            if place.owner() == "root" and place != Path("/") and place != Path("/tmp"):
                place.chmod(place.stat().st_mode | 0o011)
        os.chown(folder, NOBODY, NOBODY)
    subprocess.run(
        [programs() / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
        check=True, capture_output=True, **_unprivileged(),
    )  # fmt: skip
    server = Server(folder, free_port())
    server.start()
    try:
        yield server
    finally:
        if server.process is not None:
            server.process.send_signal(signal.SIGCONT)
            server.stop(signal.SIGQUIT)


def _unprivileged() -> dict[str, object]:
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
