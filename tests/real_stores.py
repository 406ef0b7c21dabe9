"""Valkey and a MongoDB-protocol server of the tests' own on free loopback ports, for tests of workers that need no whole
environment."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness.substrates.local import redis
from tests.real_postgres import free_port


@dataclass
class Running:
    """A server that can be killed and started again on the same files and port."""

    argv: Sequence[str]
    folder: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        argv = [part.replace("{port}", str(self.port)) for part in self.argv]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, cwd=self.folder, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                continue
            return
        raise AssertionError((self.folder / "log").read_text())

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None


@contextmanager
def up(server: Running) -> Iterator[Running]:
    server.folder.mkdir(parents=True, exist_ok=True)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def valkey(folder: Path, *settings: str) -> Running:
    """Without persistence, unless the settings ask for it."""
    program = str(redis.server())
    where = ("--bind", "127.0.0.1", "--port", "{port}", "--dir", str(folder), "--save", "")
    return Running((program, *where, *settings), folder)


def mongo(folder: Path, *settings: str) -> Running:
    where = ("--host", "127.0.0.1", "--port", "{port}", "--storage-path", str(folder / "data"), "--cache-size", "64M")
    return Running((sys.executable, "-m", "secantus", *where, *settings), folder)
