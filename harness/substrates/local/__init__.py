"""The `local` substrate: real servers as processes, in namespaces of their own or kept apart as processes."""

from harness.substrates.local.substrate import Local

__all__ = ["Local"]
