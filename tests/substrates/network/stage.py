"""A stage for what needs network namespaces: a test's body runs in a process of its own, which is root of fresh ones; pods are
sleeping processes with a network namespace each, on which functions can be run."""

import asyncio
import functools
import inspect
import os
import pickle
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.execution import succeeds
from harness.model.units import SECOND
from harness.substrates.inside import kernel
from harness.substrates.network import links

LIMIT_S = 60


@functools.cache
def _namespaces() -> bool:
    return succeeds(("unshare", "-Urnm", "true"), env=os.environ, timeout=10 * SECOND)


def forked(body: Callable[[], Any], before: Callable[[], None] = lambda: None) -> Any:
    """What `body` returns in a forked process that has done `before`; AssertionError with the traceback of what it raises."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        try:
            kernel.die_with_parent(signal.SIGKILL)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(LIMIT_S)
            before()
            answer = (True, body())
        except BaseException:  # noqa: BLE001 - the other process is told of all of them
            answer = (False, traceback.format_exc())
        with os.fdopen(writing, "wb") as file:
            pickle.dump(answer, file)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        data = file.read()
    os.waitpid(child, 0)
    assert data, "the process ended without an answer"
    fine, answer = pickle.loads(data)  # noqa: S301 - our own process's
    assert fine, answer
    return answer


def _become_root() -> None:
    uid, gid = os.getuid(), os.getgid()
    kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNET | kernel.CLONE_NEWNS)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        Path(f"/proc/self/{name}").write_text(text)


def in_namespaces(test: Callable[..., Any]) -> Callable[..., Any]:
    """Run the test as root of user, network and mount namespaces of its own; its fixtures are made outside."""

    @functools.wraps(test)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        if not _namespaces():
            pytest.skip("this machine lets nobody make user and network namespaces")

        def body() -> None:
            if inspect.iscoroutinefunction(test):
                asyncio.run(test(*args, **kwargs))
            else:
                test(*args, **kwargs)

        forked(body, _become_root)

    return wrapped


@dataclass(frozen=True)
class Pod:
    """A process with a network namespace of its own."""

    pid: int
    address: str

    def run(self, body: Callable[[], Any]) -> Any:
        """What a function returns there."""
        space = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)
        try:
            return forked(body, lambda: kernel.enter(space, kernel.CLONE_NEWNET))
        finally:
            os.close(space)

    async def running(self, body: Callable[[], Any]) -> Any:
        """The same while this process's loop goes on."""
        return await asyncio.to_thread(self.run, body)


@contextmanager
def bare(address: str) -> Iterator[Pod]:
    """A pod that nothing links to anything."""
    ready, told = os.pipe()
    pid = os.fork()
    if not pid:
        kernel.die_with_parent(signal.SIGKILL)
        kernel.unshare(kernel.CLONE_NEWNET)
        os.write(told, b".")
        signal.pause()
    os.read(ready, 1)
    os.close(ready)
    os.close(told)
    try:
        yield Pod(pid, address)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@contextmanager
def pod(address: str) -> Iterator[Pod]:
    """A pod that is linked, once `links.prepare` was called."""
    name = f"veth{address.rpartition('.')[2]}"
    with bare(address) as made:
        links.connect(made.pid, address=address, name=name)
        yield made
        links.disconnect(name)
