"""What a drill may ask of one process while it runs: to hold memory or database connections, burn CPU, fail its health check,
fill a volume, die.

Only where STRAIN is on. It knows nothing of who asks, and forgets everything when the process ends.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import psycopg
from aiohttp import web
from psycopg import AsyncConnection

MIB = 1 << 20
BALLAST = "ballast"
LARGEST_VOLUME = 512 * MIB
"""A volume that is larger is not one that was made to be filled."""


class Strain:
    """The switches of this process. POST /debug/strain {"memory_mb": N, "burners": N, "connections": N, "ready": true,
    "fill": "/folder" or "", "crash": true}, each of them optional; the answer to it and to GET is the state. Connections are
    as `conninfo` says, beside the pool's, and idle."""

    def __init__(self, conninfo: str = "") -> None:
        self.ready = True
        self._conninfo = conninfo
        self._leaked: list[AsyncConnection] = []
        self._leaking: asyncio.Task[None] | None = None
        self._refused = 0
        self._held: list[bytearray] = []
        self._wanted = 0
        self._burners: list[asyncio.subprocess.Process] = []
        self._filled = ""

    def routes(self) -> list[web.RouteDef]:
        """What it answers."""
        return [
            web.get("/debug/strain", self.state),
            web.post("/debug/strain", self.change),
            web.get("/debug/reach", self.reach),
        ]

    async def running(self, _: web.Application) -> AsyncIterator[None]:
        """No burner outlives the application."""
        yield
        await self._burn(0)
        await self._leak(0)

    async def state(self, _: web.Request) -> web.Response:
        """GET /debug/strain."""
        return web.json_response(self._state())

    async def change(self, request: web.Request) -> web.Response:
        """POST /debug/strain."""
        try:
            asked = await request.json()
            memory, burners, leaked = (int(asked.get(name, -1)) for name in ("memory_mb", "burners", "connections"))
            ready, fill, crash = (
                bool(asked.get("ready", self.ready)),
                asked.get("fill"),
                bool(asked.get("crash", False)),
            )
        except (ValueError, TypeError, AttributeError) as error:
            return web.json_response({"error": f"expected an object of switches: {error}"}, status=400)
        self.ready = ready
        if fill is not None and (why := await asyncio.to_thread(self._fill, str(fill))):
            return web.json_response({"error": why}, status=409)
        if burners >= 0:
            await self._burn(min(burners, 64))
        if leaked >= 0:
            await self._leak(leaked)
        if memory >= 0:
            await self._hold(memory)
        if crash:
            asyncio.get_running_loop().call_later(0.05, os._exit, 70)  # nothing is cleaned up, as in a crash
        return web.json_response(self._state())

    async def reach(self, request: web.Request) -> web.Response:
        """GET /debug/reach?host=H&port=N: whether a connection from here is accepted within half a second."""
        host, port = request.query.get("host", ""), request.query.get("port", "")
        try:
            async with asyncio.timeout(0.5):
                _, writer = await asyncio.open_connection(host, int(port))
            writer.close()
        except (OSError, ValueError, TimeoutError) as error:
            return web.json_response({"reached": False, "why": f"{type(error).__name__}: {error}".rstrip(": ")})
        return web.json_response({"reached": True, "why": ""})

    def _state(self) -> dict[str, object]:
        used = os.times()
        burnt = sum(_cpu(burner.pid) for burner in self._burners if burner.returncode is None)
        return {
            "memory_mb": sum(map(len, self._held)) // MIB,
            "burners": sum(burner.returncode is None for burner in self._burners),
            "connections": sum(not each.closed for each in self._leaked),
            "refused": self._refused,
            "cpu_s": round(used.user + used.system + burnt, 2),
            "ready": self.ready,
            "filled": self._filled,
            "free_kb": _free(self._filled) // 1024 if self._filled else -1,
        }

    async def _hold(self, megabytes: int) -> None:
        """Take memory, and touch it, MiB by MiB, so that the process goes on answering, also to be told that it is less."""
        self._wanted = megabytes
        del self._held[megabytes:]
        while len(self._held) < self._wanted:
            self._held.append(bytearray(b"\1") * MIB)
            await asyncio.sleep(0)

    async def _leak(self, count: int) -> None:
        """Have that many connections; where the server refuses, take each one that others give back, until there are."""
        if self._leaking is not None:
            self._leaking.cancel()
            with suppress(asyncio.CancelledError):
                await self._leaking
            self._leaking = None
        for connection in self._leaked[count:]:
            await connection.close()
        del self._leaked[count:]
        if count:
            self._leaking = asyncio.create_task(self._take(count))

    async def _take(self, count: int) -> None:
        while len(self._leaked) < count:
            try:
                self._leaked.append(await AsyncConnection.connect(self._conninfo, autocommit=True))
            except psycopg.Error:
                self._refused += 1
                await asyncio.sleep(0.02)

    async def _burn(self, count: int) -> None:
        for burner in self._burners[count:]:
            with suppress(ProcessLookupError):
                burner.kill()
            await burner.wait()
        del self._burners[count:]
        while len(self._burners) < count:
            spinning = "while True: pass"
            self._burners.append(await asyncio.create_subprocess_exec(sys.executable, "-c", spinning))

    def _fill(self, folder: str) -> str:
        """Fill a volume of its own, or empty the one that was filled; why not, "" if it was done."""
        if self._filled:
            Path(self._filled, BALLAST).unlink(missing_ok=True)
            self._filled = ""
        if not folder:
            return ""
        if not os.path.ismount(folder):
            return f"{folder} is not a volume of its own"
        size = os.statvfs(folder)
        if size.f_blocks * size.f_frsize > LARGEST_VOLUME:
            return f"{folder} has {size.f_blocks * size.f_frsize // MIB} MiB, more than a volume that is there to be filled"
        self._filled = folder
        with Path(folder, BALLAST).open("wb", buffering=0) as file:
            for chunk in (MIB, 4096, 1):
                with suppress(OSError):
                    while file.write(b"\0" * chunk):
                        pass
        return ""


def _free(folder: str) -> int:
    size = os.statvfs(folder)
    return size.f_bavail * size.f_frsize


def _cpu(pid: int) -> float:
    """The CPU seconds of a process; fields 14 and 15 of proc_pid_stat(5)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
