"""Kubernetes in a local environment: the real control plane and kubelets as processes. Not the container runtime, not the
network: those are harness.substrates.cri and harness.substrates.network.
"""
