"""What all tests share: pytest's own tester, and no event loop but those that are closed again."""

import asyncio

import pytest

pytest_plugins = ["pytester"]


def pytest_configure(config: pytest.Config) -> None:
    """Plugins ask for the main thread's event loop, and where none was ever set, that makes one that nobody closes."""
    asyncio.set_event_loop(None)
