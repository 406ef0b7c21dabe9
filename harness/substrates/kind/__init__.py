"""The `kind` substrate: a Kubernetes cluster of kind's, with databases in containers on its network. The reference."""

from harness.substrates.kind.substrate import Kind

__all__ = ["Kind"]
