"""What reports print of a fault."""

import pytest

from harness import faults
from harness.model.units import milliseconds, minutes
from harness.ports import Capability, Fault


@pytest.mark.parametrize(("fault", "printed"), [
    (faults.ExhaustConnections(database="main", application_name="export", age=minutes(11)),
     "export leaks connections to main until it refuses more (idle, 11 min ago)"),
    (faults.ExhaustConnections(database="main", count=8, state="idle_in_transaction"),
     "reporting-job leaks 8 connections to main (idle in transaction)"),
    (faults.HoldLock(database="main", table="products", age=minutes(6)),
     "reporting-job holds ACCESS EXCLUSIVE on products of main for 6 min (active)"),
    (faults.DropIndex(database="main", index="idx_a"), "the index idx_a of main is dropped"),
    (faults.LoseData(database="main", tables=("a", "b")), "a, b of main are dropped"),
    (faults.LoseData(database="main", tables=("a",), how="truncate"), "a of main is truncated"),
    (faults.LoseData(database="main", tables=("a",), how="delete", share=0.25), "25% of the rows of a of main are deleted"),
    (faults.LoseData(database="main", tables=("a",), statement="DELETE\n  FROM a"),
     "data of a of main are lost by: DELETE FROM a"),
    (faults.CrashDatabase(database="main"), "the server of main crashes"),
    (faults.Kill(target="api", which="one", signal="TERM"), "one process of api gets SIGTERM"),
    (faults.Pause(target="api"), "all processes of api stand still"),
    (faults.FillDisk(database="main"), "the volume of main is full"),
    (faults.FillDisk(database="main", leave_kb=64), "the volume of main is full but for 64 KiB"),
    (faults.Latency(database="main", delay=milliseconds(80), jitter=milliseconds(5)),
     "the network to main takes 80 ms ± 5 ms longer each way"),
    (faults.Partition(database="main"), "the network to main is cut"),
    (faults.Reset(database="main", refuse=True), "connections to main are reset and new ones refused"),
    (faults.LoadSpike(factor=8), "8 times as many users"),
])  # fmt: skip
def test_a_fault_is_printed_as_a_person_would_say_it(fault: Fault, printed: str) -> None:
    assert str(fault) == printed


def test_a_fault_needs_a_movable_clock_only_where_it_has_an_age() -> None:
    assert Capability.CLOCK not in faults.ExhaustConnections(database="main").needs
    assert Capability.CLOCK in faults.ExhaustConnections(database="main", age=1).needs
    assert Capability.CLOCK not in faults.HoldLock(database="main", table="t").needs
    assert Capability.CLOCK in faults.HoldLock(database="main", table="t", age=1).needs
