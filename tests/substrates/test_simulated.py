"""Systems that are only models, under virtual time."""

import asyncio
from contextlib import closing
from pathlib import Path

import looptime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clock import now
from harness.errors import FaultError, SubstrateError
from harness.model.history import WriteOutcome
from harness.model.topology import Postgres, Role, Topology, Workload
from harness.model.units import SECOND, Ns, milliseconds, seconds
from harness.ports import Capability, Injection, Instrument
from harness.substrates.simulated import Model, Reaction, Simulated, SimulatedEnvironment

pytestmark = pytest.mark.looptime

TOPOLOGY = Topology(
    "shop",
    databases=(Postgres(name="main", database="shop", owner=Role("app"), hosts=("db.internal",)),),
    workloads=(Workload(name="api", image="shop", port=8000),),
)
HERE = Path()
QUICK = Model(bites_after=seconds(1), injecting=0, healing=0)


def outages(instrument: Instrument, began: Ns) -> list[tuple[float, float]]:
    """From and to of every run of bad samples, in seconds since the beginning, by when they were due."""
    found: list[tuple[float, float]] = []
    begun: float | None = None
    for sample in instrument.samples(0):
        at = (sample.scheduled - began) / SECOND
        if not sample.good and begun is None:
            begun = at
        if sample.good and begun is not None:
            found.append((begun, at))
            begun = None
    return found + ([(begun, float("inf"))] if begun is not None else [])


async def lived(
    model: Model,
    *,
    fault_at: float | None = 2.0,
    command: tuple[float, str] | None = None,
    heal_at: float | None = None,
) -> SimulatedEnvironment:
    """An environment that was watched for 20 s (and 2 s more, for late answers)."""
    async with Simulated(model).environment(TOPOLOGY, run="t", folder=HERE) as environment:
        instants: list[tuple[float, str]] = [
            (at, what) for at, what in ((fault_at, "inject"), (heal_at, "heal")) if at is not None
        ]
        instants += [command] if command else []
        began = now()
        for at, what in sorted(instants):
            await asyncio.sleep(at - (now() - began) / SECOND)
            if what == "inject":
                await environment.inject("it")
            elif what == "heal":
                await environment.heal("it")
            else:
                await environment.operate(("bash", "-c", what), timeout=seconds(10))
        await asyncio.sleep(22 - (now() - began) / SECOND)
        return environment


async def test_a_model_left_alone_is_always_good() -> None:
    environment = await lived(Model(), fault_at=None)
    samples = environment.instrument().samples(0)
    assert all(sample.good for sample in samples)
    assert len(samples) >= 2 * 22 * 20


async def test_samples_come_one_after_another_on_schedule_and_only_once_they_are_answered() -> None:
    async with Simulated(Model(outages=((seconds(1), seconds(2)),))).environment(
        TOPOLOGY, run="t", folder=HERE
    ) as environment:
        seen = 0
        for _ in range(40):
            await asyncio.sleep(0.1)
            new = environment.instrument().samples(seen)
            assert all(sample.done <= now() for sample in new)
            seen += len(new)
        samples = environment.instrument().samples(0)
    assert len(samples) == seen
    due = [(sample.scheduled - environment.system.began) for sample in samples]
    assert due == [number // 2 * milliseconds(50) for number in range(len(due))]
    bad = [sample for sample in samples if not sample.good]
    assert {sample.latency for sample in bad} == {seconds(1)}
    assert outages(environment.instrument(), environment.system.began) == [(1.0, 2.0)]


async def test_a_fault_bites_after_a_while_and_for_good() -> None:
    environment = await lived(QUICK)
    assert outages(environment.instrument(), environment.system.began) == [(3.0, float("inf"))]


async def test_a_fault_that_is_undone_is_over_also_before_it_has_bitten() -> None:
    environment = await lived(QUICK, heal_at=5)
    assert outages(environment.instrument(), environment.system.began) == [(3.0, 5.0)]
    environment = await lived(QUICK, heal_at=2.5)
    assert outages(environment.instrument(), environment.system.began) == []


async def test_a_system_that_heals_itself_does() -> None:
    environment = await lived(Model(bites_after=seconds(1), heals_after=seconds(4), injecting=0))
    assert outages(environment.instrument(), environment.system.began) == [(3.0, 6.0)]


async def test_a_command_that_matches_cures_after_a_delay_and_others_do_not() -> None:
    cure = Reaction(pattern=r"restart\s+api", took=seconds(1), stdout="done\n", cures_after=seconds(2))
    model = Model(bites_after=seconds(1), injecting=0, reactions=(cure,))
    environment = await lived(model, command=(5, "service  restart  api"))
    assert outages(environment.instrument(), environment.system.began) == [(3.0, 8.0)]
    assert environment.operated[0].completed.stdout == "done\n"
    assert environment.operated[0].completed.took == seconds(1)
    environment = await lived(model, command=(5, "service restart web"))
    assert outages(environment.instrument(), environment.system.began) == [(3.0, float("inf"))]


async def test_a_command_can_make_it_worse_and_undoing_the_fault_does_not_help() -> None:
    harm = Reaction(pattern="rm -rf", harms_after=seconds(1), took=0)
    environment = await lived(Model(reactions=(harm,)), fault_at=None, command=(5, "rm -rf /"), heal_at=8)
    assert outages(environment.instrument(), environment.system.began) == [(6.0, float("inf"))]


async def test_a_command_that_takes_too_long_is_killed_and_has_no_effect() -> None:
    slow = Reaction(pattern="slow", took=seconds(60), cures_after=0)
    environment = await lived(Model(bites_after=seconds(1), injecting=0, reactions=(slow,)), command=(5, "slow"))
    assert environment.operated[0].completed.status is None
    assert environment.operated[0].completed.took == seconds(10)
    assert outages(environment.instrument(), environment.system.began) == [(3.0, float("inf"))]


async def test_a_command_fails_as_the_model_says() -> None:
    failing = Reaction(pattern="psql", status=2, stderr="connection refused")
    async with Simulated(Model(reactions=(failing,))).environment(TOPOLOGY, run="t", folder=HERE) as environment:
        completed = await environment.operate(("bash",), stdin="psql -c 'SELECT 1'", timeout=seconds(1))
        assert (completed.status, completed.stderr) == (2, "connection refused")
        assert (await environment.operate(("true",), timeout=seconds(1))).ok


@pytest.mark.parametrize(("share", "lo", "hi"), [(0.0, 0, 0), (0.1, 0.05, 0.15), (1.0, 1, 1)])
async def test_a_background_of_errors_is_as_large_as_the_model_says(share: float, lo: float, hi: float) -> None:
    environment = await lived(Model(errors=share, timeout=milliseconds(100)), fault_at=None)
    samples = environment.instrument().samples(0)
    assert lo <= sum(not sample.good for sample in samples) / len(samples) <= hi
    assert samples == environment.instrument().samples(0)


async def test_acknowledged_rows_are_lost_by_the_fault_and_by_commands() -> None:
    loses = Reaction(pattern="restore", loses=5, took=0)
    model = Model(bites_after=seconds(1), loses=20, injecting=0, reactions=(loses,))
    environment = await lived(model, command=(10, "restore"), heal_at=8)
    writes = environment.instrument().writes()
    acknowledged = [write for write in writes if write.outcome is WriteOutcome.OK]
    rows = {row.seq for row in environment.instrument().reading().rows}
    lost = [write for write in acknowledged if write.seq not in rows]
    assert len(lost) == 25
    began = environment.system.began
    at = [(write.done - began) / SECOND for write in lost]
    assert [2.0 <= instant <= 3.0 for instant in at].count(True) == 20
    assert [9.7 <= instant <= 10.0 for instant in at].count(True) == 5
    assert {write.outcome for write in writes if 3 < (write.invoked - began) / SECOND < 8} == {WriteOutcome.FAIL}


async def test_it_is_known_which_faults_are_in_force_and_which_were_left_behind() -> None:
    substrate = Simulated(Model(injecting=seconds(1)))
    async with substrate.environment(TOPOLOGY, run="t", folder=HERE) as environment:
        injecting = asyncio.create_task(environment.inject("one"))
        await asyncio.sleep(0.5)
        assert environment.in_force == ["one"]
        await injecting
        await environment.heal("one")
        await environment.heal("one")
        assert environment.in_force == []
        await environment.inject("two")
        assert not environment.left
    assert environment.left
    assert environment.left_behind == ("two",)
    assert substrate.environments == [environment]


async def test_nothing_happens_after_it_was_left() -> None:
    async with Simulated().environment(TOPOLOGY, run="t", folder=HERE) as environment:
        await asyncio.sleep(1)
    samples = environment.instrument().samples(0)
    await asyncio.sleep(10)
    assert environment.instrument().samples(0) == samples


async def test_a_fault_that_is_not_felt_or_cannot_be_undone_says_so() -> None:
    async with Simulated(Model(felt=False, stuck="the disk is gone")).environment(
        TOPOLOGY, run="t", folder=HERE
    ) as environment:
        injection: Injection = await environment.inject("it")
        assert not injection.felt
        assert injection.why
        with pytest.raises(FaultError, match="it: the disk is gone"):
            await environment.heal("it")
        assert environment.in_force == ["it"]


async def test_what_is_not_there_is_a_key_error_and_what_is_not_real_a_substrate_error() -> None:
    async with Simulated().environment(TOPOLOGY, run="t", folder=HERE) as environment:
        for ask in (environment.database, environment.service, environment.link, environment.peer):
            with pytest.raises(KeyError):
                ask("nowhere")
        assert environment.database("main").spec == TOPOLOGY.databases[0]
        assert environment.peer("main").host == "db.internal"
        with pytest.raises(SubstrateError, match="nothing is real"):
            environment.database("main").conninfo()
        with pytest.raises(SubstrateError, match="nothing is real"):
            await environment.run(("true",), timeout=1)


async def test_an_environment_that_does_not_come_up_says_why() -> None:
    substrate = Simulated(Model(trouble="no room"))
    with pytest.raises(SubstrateError, match="no room"):
        async with substrate.environment(TOPOLOGY, run="t", folder=HERE):
            pytest.fail("it came up")
    assert substrate.environments == []
    with pytest.raises(SubstrateError, match="no network"):
        async with Simulated().environment(TOPOLOGY, run="t", folder=HERE, links=frozenset({"main"})):
            pytest.fail("it came up")


async def test_what_it_lacks_is_what_it_is_not_said_to_provide() -> None:
    substrate = Simulated(provides=frozenset({Capability.SHELL}))
    problems = substrate.lacks(frozenset({Capability.SHELL, Capability.VOLUMES, Capability.CLOCK}))
    assert [str(problem).split("\n")[0] for problem in problems] == [
        "the simulated substrate has no a server clock that can be moved",
        "the simulated substrate has no size-limited volumes",
    ]


@given(
    spans=st.lists(st.tuples(st.integers(0, 300), st.integers(1, 60)), max_size=4),
    asked=st.lists(st.integers(1, 200), max_size=8),
)
def test_however_samples_are_asked_for_they_are_the_same(spans: list[tuple[int, int]], asked: list[int]) -> None:
    """In steps of 50 ms."""
    step = milliseconds(50)
    model = Model(outages=tuple((start * step, (start + length) * step) for start, length in spans), errors=0.05)

    async def piecemeal() -> bool:
        async with Simulated(model).environment(TOPOLOGY, run="t", folder=HERE) as environment:
            kept = []
            for steps in asked:
                await asyncio.sleep(steps * 0.05)
                kept += environment.instrument().samples(len(kept))
            whole = environment.instrument().samples(0)
            return list(whole[: len(kept)]) == kept

    with closing(looptime.new_event_loop(start=0)) as loop:
        assert loop.run_until_complete(piecemeal())
