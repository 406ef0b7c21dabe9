"""The conformance check of substrates: what they provide they do, and nothing of an environment outlives it."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.errors import HarnessError
from harness.faults.server import session
from harness.measuring import procfs
from harness.model.topology import Topology
from harness.model.units import SECOND, Ns, milliseconds, seconds
from harness.ports import Capability, Environment, Process, Seen, Substrate
from harness.testing import clusters
from harness.testing.conformance import NonConformance

_LIMIT: Ns = seconds(20)
_HOME = Path.home()


async def check_substrate(substrate: Substrate, topology: Topology, folder: Path) -> tuple[str, ...]:
    """Bring `topology` up twice at a time and ask of it all that the substrate says it provides. What it does not provide,
    or the topology does not have, is not asked: returned is what, with the reason. Raises NonConformance."""
    asking = _Asking(substrate, topology)
    asking.itself()
    async with (
        substrate.environment(topology, run="check", folder=folder) as one,
        substrate.environment(topology, run="check", folder=folder) as other,
    ):
        asking.expect(one.id != other.id, f"two environments are called {one.id!r}")
        asking.names(one)
        left = await asking.programs(one, folder)
        await asking.operator(one, other)
        await asking.databases(one)
        if topology.cluster and asking.has(Capability.KUBERNETES):
            await clusters.ask(one, other, topology, asking.expect)
    asking.expect(not procfs.present(left), "a program survived its environment")
    await asking.cancelled(folder)
    if asking.problems:
        raise NonConformance([f"{substrate.name}: {problem}" for problem in asking.problems])
    return tuple(asking.skipped)


class _Asking:
    """What is asked of a substrate, what was wrong, and what was not asked."""

    def __init__(self, substrate: Substrate, topology: Topology) -> None:
        self._substrate = substrate
        self._topology = topology
        self.problems: list[str] = []
        self.skipped: list[str] = []

    def expect(self, holds: bool, problem: str) -> None:  # noqa: FBT001 - an assertion
        """Note the problem unless it holds."""
        if not holds:
            self.problems.append(problem)

    def has(self, capability: Capability) -> bool:
        """Whether the substrate provides it; if not, noted is why that is not asked."""
        lacking = self._substrate.lacks(frozenset({capability}))
        self.skipped.extend(f"{capability.value}: {problem}" for problem in lacking)
        return not lacking

    def itself(self) -> None:
        """What it says of itself."""
        substrate = self._substrate
        self.expect(bool(substrate.name), "it has no name")
        self.expect(
            substrate.isolation in {"namespaces", "processes", "simulated"},
            f"its isolation is {substrate.isolation!r}: expected namespaces, processes or simulated",
        )
        self.expect(not substrate.lacks(substrate.provides), "it lacks what it provides")
        for missing in set(Capability) - substrate.provides:
            found = substrate.lacks(frozenset({missing}))
            self.expect(len(found) == 1, f"it does not provide {missing.value}, and `lacks` has {len(found)} problems")
            self.expect(all(problem.remedy for problem in found), f"no remedy for lacking {missing.value}")

    def names(self, environment: Environment) -> None:
        """Names of what there is, and of what there is not."""
        self.expect(
            environment.isolation == self._substrate.isolation, "an environment has another isolation than announced"
        )
        for database in self._topology.databases:
            self.expect(environment.database(database.name).spec == database, f"{database.name}: another specification")
            self.expect(environment.peer(database.name).port > 0, f"{database.name}: no port")
        for workload in self._topology.workloads:
            self.expect(environment.service(workload.name).spec == workload, f"{workload.name}: another specification")
            self.expect(environment.peer(workload.name).port > 0, f"{workload.name}: no port")
        for method in (environment.database, environment.service, environment.link, environment.peer):
            with self._raising(KeyError, f"{method.__name__} of an unknown name"):
                method("no-such-name")

    @contextmanager
    def _raising(self, kind: type[Exception], what: str) -> Iterator[None]:
        try:
            yield
        except kind:
            return
        except HarnessError as error:
            self.problems.append(f"{what}: expected {kind.__name__}, found {error!r}")
        else:
            self.problems.append(f"{what}: expected {kind.__name__}")

    async def programs(self, environment: Environment, folder: Path) -> list[Seen]:
        """Programs of ours, run to their end and long-lived; returned are some that still run."""
        if not self.has(Capability.PROCESSES):
            return []
        script = "import os, sys, harness; print(os.environ['GIVEN'], sys.stdin.read()); sys.exit(3)"
        argv = (environment.python, "-c", script)
        done = await environment.run(argv, env={"GIVEN": "a value"}, stdin="an input", timeout=_LIMIT)
        self.expect(done.status == 3, f"run: expected status 3, found {done.status}: {done.stderr}")
        self.expect(done.stdout.strip() == "a value an input", f"run: its output is {done.stdout!r}")
        slow = await environment.run(self._sleeper(environment), timeout=milliseconds(300))
        self.expect(slow.status is None, f"run: expected no status at the time limit, found {slow.status}")
        stopped = await self._started(environment, folder / "check-stopped")
        self.expect(await stopped.stop() is not None, "start: stop() gives no status")
        self.expect(procfs.seen(stopped.pid) is None, "start: it runs after stop()")
        running = await self._started(environment, folder / "check-running")
        seen = procfs.seen(running.pid)
        self.expect(seen is not None, f"start: there is no process {running.pid}")
        return [seen] if seen else []

    def _sleeper(self, environment: Environment) -> Sequence[str]:
        return (environment.python, "-c", "import threading; threading.Event().wait(60)")

    async def _started(self, environment: Environment, path: Path) -> Process:
        return await environment.start(self._sleeper(environment), stdout=path, stderr=path)

    async def operator(self, one: Environment, other: Environment) -> None:
        """The operator's shell: what it is given, what lasts, and what is nobody else's."""
        if not self.has(Capability.SHELL):
            return
        if one.isolation == "simulated":
            self.skipped.append(f"{Capability.SHELL.value}: commands are the model's")
            return

        async def shell(environment: Environment, text: str, timeout: Ns = _LIMIT) -> tuple[int | None, str]:
            done = await environment.operate(("bash", "-c", text), env={"GIVEN": "a value"}, timeout=timeout)
            return done.status, done.stdout.strip()

        self.expect(
            await shell(one, 'echo "$GIVEN"; exit 4') == (4, "a value"), "operate: neither value nor status came back"
        )
        left = (
            "~/left /tmp/left" if self.has(Capability.NAMES) else '~/left "$TMPDIR/left"'
        )  # the machine's /tmp is not its
        self.expect((await shell(one, f"touch {left}"))[0] == 0, "operate: HOME or /tmp cannot be written to")
        self.expect((await shell(one, f"ls {left}"))[0] == 0, "operate: what was written did not last")
        self.expect((await shell(other, "ls ~/left"))[0] != 0, "operate: another environment has the same HOME")
        self.expect(not (_HOME / "left").exists(), "operate: it wrote to the harness's own HOME")
        variables = (await shell(one, "env"))[1]
        self.expect("VIRTUAL_ENV=" not in variables, "operate: the harness's own environment shows")
        self.expect((await shell(one, "sleep 60", milliseconds(300)))[0] is None, "operate: no end at the time limit")

    async def databases(self, environment: Environment) -> None:
        """Every server: accepts the superuser, stops, starts, keeps its data; its clock moves where that was asked for."""
        if not self.has(Capability.POSTGRES):
            return
        if environment.isolation == "simulated":
            self.skipped.append(f"{Capability.POSTGRES.value}: servers are the model's")
            return
        for spec in self._topology.databases:
            database = environment.database(spec.name)
            async with session(database) as server:
                await server.ask("CREATE TABLE conformance AS SELECT 42 AS answer")
                before = await server.number("SELECT extract(epoch FROM clock_timestamp())::bigint")
                if spec.movable_clock:
                    await database.move_clock(seconds(600))
                    after = await server.number("SELECT extract(epoch FROM clock_timestamp())::bigint")
                    self.expect(
                        599 <= after - before <= 602, f"{spec.name}: its clock moved by {after - before} s, not 600"
                    )
                    await database.move_clock(0)
                else:
                    self.skipped.append(f"{Capability.CLOCK.value}: the topology does not ask for it")
            if Capability.VOLUMES in self._substrate.provides:
                room = await database.room()
                self.expect(room.size == spec.volume_mb << 20, f"{spec.name}: its volume has {room.size} bytes")
            self.expect(await database.up(), f"{spec.name}: accepts sessions and is not up")
            self.expect(bool(await database.processes()), f"{spec.name}: is up without a process")
            await database.stop(mode="immediate")
            self.expect(not await database.up(), f"{spec.name}: its postmaster runs after stop()")
            self.expect(not await database.processes(), f"{spec.name}: has processes after stop()")
            await database.start()
            await database.start()
            async with session(database) as server:
                self.expect(await server.number("SELECT answer FROM conformance") == 42, f"{spec.name}: lost its data")

    async def cancelled(self, folder: Path) -> None:
        """Cancelled while it is up, an environment is gone; cancelled while it comes up, it ends."""
        running: list[Seen] = []
        inside = asyncio.Event()

        async def up() -> None:
            async with self._substrate.environment(self._topology, run="check", folder=folder) as environment:
                if not self._substrate.lacks(frozenset({Capability.PROCESSES})):
                    process = await self._started(environment, folder / "check-cancelled")
                    running.extend(one for one in (procfs.seen(process.pid),) if one)
                inside.set()
                await asyncio.sleep(_LIMIT / SECOND)

        for early in (True, False):
            inside.clear()
            task = asyncio.create_task(up())
            with suppress(TimeoutError):
                await asyncio.wait_for(inside.wait(), (milliseconds(50) if early else _LIMIT) / SECOND)
            task.cancel()
            await asyncio.wait((task,), timeout=_LIMIT / SECOND)
            self.expect(task.done() and task.cancelled(), "cancelled, an environment did not end as such")
        self.expect(not procfs.present(running), "a program survived the cancellation of its environment")
