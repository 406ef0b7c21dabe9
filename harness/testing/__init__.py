"""For implementers: conformance checks of substrates and faults, and a fault for simulated systems. Needs no test framework."""

from harness.testing.breaking import Break
from harness.testing.conformance import NonConformance
from harness.testing.faults import check_fault
from harness.testing.substrates import check_substrate

__all__ = ["Break", "NonConformance", "check_fault", "check_substrate"]
