"""What all tests share: pytest's own tester, and no event loop but those that are closed again."""

import asyncio
import signal
from collections.abc import Iterator

import pytest

pytest_plugins = ["pytester"]


def pytest_configure(config: pytest.Config) -> None:
    """Plugins ask for the main thread's event loop, and where none was ever set, that makes one that nobody closes.

    A shell starts what it starts in the background deaf to Ctrl-C, and so would be all that the tests start.
    """
    asyncio.set_event_loop(None)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test on real servers that fails is run once more, and told of as `R`: it measures time on a machine that others may want
    as well. One of pure functions or of virtual time never is."""
    if config.pluginmanager.hasplugin("rerunfailures"):
        for item in items:
            if item.get_closest_marker("real"):
                item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture
def virtual_time() -> Iterator[None]:
    """Whole programs take no time: every loop they make jumps from one thing that happens to the next."""
    from tests.running.stage import VirtualTime

    before = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(VirtualTime())
    asyncio.set_event_loop(None)
    yield
    asyncio.set_event_loop_policy(before)
