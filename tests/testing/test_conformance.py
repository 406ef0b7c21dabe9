"""Every built-in substrate and fault keeps to its port; and the checks find it out when one does not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness import faults
from harness.clock import now
from harness.errors import FaultError, Problem
from harness.faults.server import session
from harness.model.topology import Topology
from harness.model.units import milliseconds, minutes
from harness.ports import Capability, ContainerState, Environment, Fault, Injection, Stage
from harness.substrates.local import Local
from harness.substrates.simulated import Model, Simulated, SimulatedEnvironment
from harness.testing import Break, NonConformance, check_fault, check_substrate
from tests.faults.conftest import API, DATABASE

TOPOLOGY = Topology("store", databases=(DATABASE,), workloads=(API,))

Intact = Callable[[Environment], Awaitable[bool]]


async def nobody_leaks(environment: Environment) -> bool:
    async with session(environment.database("main")) as server:
        ahead = await server.number("SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::bigint")
        mine = await server.number("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'reporting-job'")
        return mine == 0 and ahead < 300


async def index_is_there(environment: Environment) -> bool:
    async with session(environment.database("main")) as server:
        return await server.number("SELECT count(to_regclass('idx_orders_user_created'))") == 1


async def server_answers(environment: Environment) -> bool:
    try:
        async with session(environment.database("main"), within=milliseconds(300)) as server:
            return await server.number("SELECT 1") == 1
    except FaultError:
        return False


async def service_is_whole(environment: Environment) -> bool:
    service = environment.service("api")
    found = await service.processes()
    return len(found) == 2 and all(one.state != "T" for one in found)


async def there_is_room(environment: Environment) -> bool:
    database = environment.database("main")
    room = await database.room()
    return await database.up() and room.free > room.size // 10


async def network_answers(environment: Environment) -> bool:
    answer = await faults.network._knock(Stage(environment), "main", timeout=milliseconds(300))
    return not answer.trouble and answer.took < milliseconds(100)


REVERSIBLE: list[tuple[Fault, Intact]] = [
    (faults.ExhaustConnections(database="main"), nobody_leaks),
    (faults.ExhaustConnections(database="main", count=3, state="active", age=minutes(6)), nobody_leaks),
    (faults.HoldLock(database="main", table="orders", age=minutes(6)), nobody_leaks),
    (faults.DropIndex(database="main", index="idx_orders_user_created"), index_is_there),
    (faults.CrashDatabase(database="main"), server_answers),
    (faults.Kill(target="main"), server_answers),
    (faults.Kill(target="api"), service_is_whole),
    (faults.Pause(target="main"), server_answers),
    (faults.Pause(target="api", which="one"), service_is_whole),
    (faults.FillDisk(database="main", leave_kb=64), there_is_room),
    (faults.Latency(database="main", delay=milliseconds(80)), network_answers),
    (faults.Partition(database="main"), network_answers),
    (faults.Reset(database="main", refuse=True), network_answers),
]


async def containers_run(environment: Environment) -> bool:
    found = [one for name in ("main", "api") for one in await environment.containers(name)]
    return [await one.state() for one in found] == [ContainerState.RUNNING] * 3 and await server_answers(environment)


OF_CONTAINERS: list[tuple[Fault, Intact]] = [
    (faults.KillContainer(target="main"), containers_run),
    (faults.KillContainer(target="api", which="one"), containers_run),
    (faults.PauseContainer(target="main"), containers_run),
    (faults.PauseContainer(target="api"), containers_run),
]
"""Held to their port where there are containers: tests/substrates/containers."""


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize(("fault", "intact"), REVERSIBLE, ids=[str(fault) for fault, _ in REVERSIBLE])
async def test_a_built_in_fault_is_felt_and_undone_however_it_ends(
    fault: Fault, intact: Intact, tmp_path: Path
) -> None:
    local = Local()
    if problems := local.lacks(fault.needs):
        pytest.skip("; ".join(str(problem) for problem in problems))
    topology = replace(TOPOLOGY, databases=(replace(DATABASE, movable_clock=Capability.CLOCK in fault.needs),))
    async with local.environment(topology, run="check", folder=tmp_path, links=fault.links) as environment:

        async def asked() -> bool:
            return await intact(environment)

        assert await asked()
        injection = await check_fault(fault, Stage(environment, folder=tmp_path), intact=asked)
        assert injection.felt


@pytest.mark.real
async def test_a_loss_of_data_is_felt_and_not_undone(tmp_path: Path) -> None:
    fault = faults.LoseData(database="main", tables=("orders",))
    topology = Topology("store", databases=(DATABASE,))
    async with Local().environment(topology, run="check", folder=tmp_path) as environment:
        await check_fault(fault, Stage(environment), reversible=False)


def test_every_fault_there_is_is_checked_here() -> None:
    checked = {type(fault).__name__ for fault, _ in REVERSIBLE} | {"LoseData"}
    elsewhere = {"LoadSpike"}  # with its load, in tests/faults/test_load.py
    elsewhere |= {type(fault).__name__ for fault, _ in OF_CONTAINERS}
    assert set(faults.__all__) == checked | elsewhere


# Programs that end with their environment leave the socket of their input to the garbage collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.real
@pytest.mark.slow
async def test_the_local_substrate_keeps_to_its_port(tmp_path: Path) -> None:
    local = Local()
    if problems := local.lacks(frozenset({Capability.POSTGRES, Capability.PROCESSES})):
        pytest.skip("; ".join(str(problem) for problem in problems))
    await check_substrate(local, TOPOLOGY, tmp_path)


@pytest.mark.looptime
async def test_the_simulated_substrate_keeps_to_its_port(tmp_path: Path) -> None:
    skipped = await check_substrate(Simulated(), TOPOLOGY, tmp_path)
    assert any("real processes" in one for one in skipped)
    assert any("servers are the model's" in one for one in skipped)


@asynccontextmanager
async def simulated(model: Model | None = None) -> AsyncIterator[SimulatedEnvironment]:
    async with Simulated(model).environment(Topology("t"), run="t", folder=Path()) as environment:
        yield environment


async def problems_of(fault: Fault, model: Model | None = None) -> str:
    """What is found wrong with it in a simulated environment."""
    async with simulated(model) as environment:

        async def intact() -> bool:
            return not environment.in_force

        with pytest.raises(NonConformance) as caught:
            await check_fault(fault, Stage(environment), intact=intact)
        return str(caught.value)


@pytest.mark.looptime
async def test_a_simulated_system_breaks_and_is_whole_again() -> None:
    async with simulated() as environment:

        async def intact() -> bool:
            return not environment.in_force

        await check_fault(Break(), Stage(environment), intact=intact)
    assert environment.left_behind == ()


@pytest.mark.looptime
async def test_a_fault_that_is_not_felt_is_found_out() -> None:
    assert "it was not felt" in await problems_of(Break(), Model(felt=False))


@dataclass(frozen=True)
class Careless:
    """A fault that is undone only when its scope is left in peace."""

    evidence: bool = True
    needs: frozenset[Capability] = frozenset()
    links: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return "a careless fault"

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        environment = stage.environment
        assert isinstance(environment, SimulatedEnvironment)
        injection = await environment.inject("it")
        yield injection if self.evidence else Injection(felt=True, at=now())
        await environment.heal("it")


@pytest.mark.looptime
async def test_a_fault_that_is_not_undone_on_error_and_cancellation_is_found_out() -> None:
    found = await problems_of(Careless())
    assert "not intact after an error left the scope" in found
    assert "not intact after it was cancelled 0 ms into its injection" in found
    assert "not intact after the scope was left" not in found


@pytest.mark.looptime
async def test_a_fault_without_evidence_or_needs_is_found_out() -> None:
    assert "expected evidence" in await problems_of(Careless(evidence=False))
    assert "to need LINKS" in await problems_of(Careless(links=frozenset({"main"})))


class Boastful(Simulated):
    """A substrate that provides what it lacks, and whose environments share a name."""

    def lacks(self, needs: frozenset[Capability]) -> tuple[Problem, ...]:
        return tuple(Problem("no") for _ in needs)

    @asynccontextmanager
    async def environment(
        self, topology: Topology, *, run: str, folder: Path, links: frozenset[str] = frozenset()
    ) -> AsyncIterator[SimulatedEnvironment]:
        async with super().environment(topology, run=run, folder=folder, links=links) as environment:
            environment.id = "always the same"
            yield environment


@pytest.mark.looptime
async def test_a_substrate_that_promises_too_much_is_found_out(tmp_path: Path) -> None:
    with pytest.raises(NonConformance) as caught:
        await check_substrate(Boastful(), TOPOLOGY, tmp_path)
    found = str(caught.value)
    assert "it lacks what it provides" in found
    assert "no remedy for lacking Docker" in found
    assert "two environments are called 'always the same'" in found


@pytest.mark.looptime
async def test_breaking_something_real_is_refused() -> None:
    class Real:
        isolation = "namespaces"

    with pytest.raises(FaultError, match="expected a simulated environment; found namespaces"):
        async with Break().applied_to(Stage(Real())):  # type: ignore[arg-type]
            pytest.fail("it was applied")


@pytest.mark.looptime
async def test_for_any_moment_of_cancellation_the_simulated_fault_is_healed() -> None:
    for moment in range(0, 400, 7):
        substrate = Simulated(Model(injecting=milliseconds(100), healing=milliseconds(100)))

        async def trial(substrate: Simulated = substrate) -> None:
            async with AsyncExitStack() as stack:
                system = substrate.environment(Topology("t"), run="t", folder=Path())
                environment = await stack.enter_async_context(system)
                await stack.enter_async_context(Break().applied_to(Stage(environment)))
                await asyncio.sleep(0.05)

        task = asyncio.create_task(trial())
        await asyncio.sleep(moment / 1000)
        task.cancel()
        await asyncio.wait((task,))
        assert all(environment.left and not environment.left_behind for environment in substrate.environments)
