"""The `containers` substrate: databases and workloads in Docker containers, everything else in a local environment."""

from harness.substrates.containers.substrate import Containers

__all__ = ["Containers"]
