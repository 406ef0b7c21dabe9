"""Probes: questions asked of a system, each answered by one dated sample."""
