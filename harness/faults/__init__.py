"""What is done to a system: each fault a frozen value, with evidence that its target felt it, undone however it ends."""

from harness.faults.containers import KillContainer, PauseContainer
from harness.faults.load import LoadSpike
from harness.faults.network import Latency, Partition, Reset
from harness.faults.postgres import CrashDatabase, DropIndex, LoseData
from harness.faults.processes import Kill, Pause
from harness.faults.resources import FillDisk
from harness.faults.sessions import ExhaustConnections, HoldLock

__all__ = [
    "CrashDatabase",
    "DropIndex",
    "ExhaustConnections",
    "FillDisk",
    "HoldLock",
    "Kill",
    "KillContainer",
    "Latency",
    "LoadSpike",
    "LoseData",
    "Partition",
    "Pause",
    "PauseContainer",
    "Reset",
]
