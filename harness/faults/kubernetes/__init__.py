"""What is done to a cluster and what runs in it: faults for the substrates that have Kubernetes. Imported apart from
harness.faults, whose FillDisk fills a server's volume and not a pod's."""

from harness.faults.kubernetes.network import BlockTraffic, BreakProvider
from harness.faults.kubernetes.nodes import CordonNode, DrainNode, KillNode, RestartNode
from harness.faults.kubernetes.pods import CrashLoop, DeletePod, FailReadiness, KillPod, ScaleToZero
from harness.faults.kubernetes.releases import BadImage, BadRelease
from harness.faults.kubernetes.settings import BreakSelector, WrongConfig
from harness.faults.kubernetes.strain import CpuHog, FillDisk, LeakConnections, MemoryHog

__all__ = [
    "BadImage",
    "BadRelease",
    "BlockTraffic",
    "BreakProvider",
    "BreakSelector",
    "CordonNode",
    "CpuHog",
    "CrashLoop",
    "DeletePod",
    "DrainNode",
    "FailReadiness",
    "FillDisk",
    "KillNode",
    "KillPod",
    "LeakConnections",
    "MemoryHog",
    "RestartNode",
    "ScaleToZero",
    "WrongConfig",
]
