"""One monotonic clock, in nanoseconds: the running event loop's. Under a virtual-time loop it is virtual. No wall time
but the one stamp in a history's header."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from harness.model.units import SECOND, Ns

T = TypeVar("T")


def now() -> Ns:
    """The instant, on the running loop's clock. A real loop's is CLOCK_MONOTONIC, which all processes of a host share."""
    return round(asyncio.get_running_loop().time() * SECOND)


def wall() -> Ns:
    """Wall-clock time since the epoch; for headers and what a protocol wants dated, never for durations."""
    return time.time_ns()


async def sleep_until(instant: Ns) -> None:
    """Return at `instant`, or at once if it has passed."""
    remaining = instant - now()
    if remaining > 0:
        await asyncio.sleep(remaining / SECOND)


async def until(condition: Callable[[], Awaitable[T | None]], *, deadline: Ns, every: Ns = SECOND // 20) -> T | None:
    """Ask `condition` every so often until it answers something other than None; None if `deadline` passes first."""
    while True:
        answer = await condition()
        if answer is not None:
            return answer
        if now() + every > deadline:
            return None
        await asyncio.sleep(every / SECOND)
