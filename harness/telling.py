"""What takes long while an environment comes up, said by who does it to whoever waits for it. Not who shows it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_HEARD: ContextVar[Callable[[str], object] | None] = ContextVar("heard", default=None)


def tell(text: str) -> None:
    """Say what is under way, in the loop's thread; nobody need be listening."""
    if listener := _HEARD.get():
        listener(text)


@contextmanager
def heard_by(listener: Callable[[str], object]) -> Iterator[None]:
    """Whatever is said meanwhile by this task, and by those that it starts, goes there."""
    token = _HEARD.set(listener)
    try:
        yield
    finally:
        _HEARD.reset(token)
