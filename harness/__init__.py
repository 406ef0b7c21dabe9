"""Rundrill: proves, by running them, that operations runbooks work."""

__version__ = "0.1.0"
