"""Frozen values that every layer speaks. No I/O, no clock, no Any."""
