"""Background load, a process of its own inside the environment: `python -m harness.load.worker SPEC`, SPEC being a LoadWork
as JSON. The only importer of locust, which patches the process it is in. One LoadCount per line; commands on standard input:
`users N`, `stop`."""

import logging
import math
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable

import gevent
import gevent.socket
import locust.log
import msgspec
from locust import FastHttpUser
from locust.env import Environment
from locust.runners import LocalRunner

from harness.model.load import LoadCount, LoadProfile, LoadWork, Task
from harness.model.units import SECOND, Ns

GOLDEN = (math.sqrt(5) - 1) / 2
"""Multiples of it, modulo one, spread any number of starts evenly over a period."""


class Visitor(FastHttpUser):
    """One user; each has its own connections, its own random numbers, and the instant it is next `due` (monotonic ns)."""

    abstract = True
    numbers: random.Random
    due: Ns


def user_class(profile: LoadProfile, seed: int) -> type[Visitor]:
    """What one simulated user does: tasks by weight, one every `pace` at most, the users' phases staggered."""
    made = 0

    class ProfileVisitor(Visitor):
        abstract = False
        network_timeout = connection_timeout = profile.timeout / SECOND
        tasks = [  # noqa: RUF012 - locust's form
            users_task(task, anew=profile.anew) for task in profile.tasks for _ in range(task.weight)
        ]

        def on_start(self) -> None:
            """Wait for this user's phase: users that are started together must not ask together."""
            nonlocal made
            made += 1
            self.numbers = random.Random(seed * 1_000_003 + made)  # noqa: S311 - load, not secrets
            phase = made * GOLDEN % 1 * profile.pace
            self.due = time.monotonic_ns() + round(phase)
            gevent.sleep(phase / SECOND)

        def wait_time(self) -> float:
            """Seconds to this user's next instant. Locust's constant_pacing would make up for `on_start` and after a slow
            answer go on from its end: after either, all users ask in phase."""
            now = time.monotonic_ns()
            self.due += max(1, math.ceil((now - self.due) / profile.pace)) * profile.pace
            return (self.due - now) / SECOND

    return ProfileVisitor


def users_task(task: Task, *, anew: bool) -> Callable[[Visitor], None]:
    """The function that locust calls for one task."""
    headers = {"Connection": "close"} if anew else {}

    def ask(user: Visitor) -> None:
        number = str(user.numbers.randint(1, 1000))
        path, body = task.path.replace("{n}", number), task.body.replace("{n}", number)
        if body:
            user.client.post(path, data=body, headers={"Content-Type": "application/json", **headers}, name=task.path)
        else:
            user.client.get(path, headers=headers, name=task.path)

    return ask


class Counter:
    """Counts finished requests: all of them since the start, and the times of those since the last line."""

    def __init__(self) -> None:
        self._requests = 0
        self._failures = 0
        self._times: list[float] = []
        self._since = time.monotonic_ns()

    def finished(self, response_time: float, exception: BaseException | None, **_: object) -> None:
        """Take one request, as locust's event has it: `response_time` in ms."""
        self._requests += 1
        self._failures += exception is not None
        self._times.append(response_time)

    def line(self, users: int) -> LoadCount:
        """What happened since the last line."""
        at, times = time.monotonic_ns(), sorted(self._times) or [0.0]
        elapsed, asked = max(at - self._since, 1), len(self._times)
        self._times, self._since = [], at
        return LoadCount(
            at=at,
            users=users,
            requests=self._requests,
            failures=self._failures,
            rps=round(asked * SECOND / elapsed, 3),
            p50=_ns(times, 0.5),
            p95=_ns(times, 0.95),
            cpu=round(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) * SECOND),
        )


def _ns(ordered: list[float], share: float) -> Ns:
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)] * 1_000_000)


class Commands:
    """What is read from standard input, without blocking the users."""

    def __init__(self, runner: LocalRunner, users: int) -> None:
        self._runner = runner
        self.users = users
        self.over = gevent.event.Event()

    def listen(self) -> None:
        """Obey until `stop` or the end of the input."""
        rest = b""
        while True:
            gevent.socket.wait_read(0)
            data = os.read(0, 4096)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if line.strip() == b"stop":
                    self.over.set()
                    return
                self._obey(line.decode("utf-8", "replace").split())
        self.over.set()

    def _obey(self, words: list[str]) -> None:
        match words:
            case ["users", number] if number.isdigit():
                self.users = int(number)
                self.start()
            case _:
                sys.stderr.write(f"harness.load.worker: expected `users N` or `stop`, found {' '.join(words)!r}\n")

    def start(self) -> None:
        """Go to that many users at once."""
        self._runner.start(self.users, spawn_rate=max(self.users, self._runner.user_count, 1))


def _broken(**_: object) -> None:
    # locust reports an error in its own or our code and goes on as if the load were still what was asked for.
    locust.log.unhandled_greenlet_exception = True


def drive(work: LoadWork) -> int:
    """Make load until told to stop; 1 if something in it broke."""
    environment = Environment(
        user_classes=[user_class(work.profile, work.seed)], host=f"http://{work.host}:{work.port}"
    )
    counter = Counter()
    environment.events.request.add_listener(counter.finished)  # type: ignore[no-untyped-call]
    environment.events.user_error.add_listener(_broken)  # type: ignore[no-untyped-call]
    runner = environment.create_local_runner()
    commands = Commands(runner, work.profile.users)
    commands.start()
    for number in (signal.SIGINT, signal.SIGTERM):
        gevent.signal_handler(number, commands.over.set)
    listening = gevent.spawn(commands.listen)
    listening.link_exception(lambda _: _broken())
    encoder = msgspec.json.Encoder()
    end = time.monotonic_ns() + work.bound
    while not commands.over.is_set() and time.monotonic_ns() < end:
        os.write(1, encoder.encode(counter.line(runner.user_count)) + b"\n")
        if locust.log.unhandled_greenlet_exception:
            return 1
        commands.over.wait(min(1.0, max(end - time.monotonic_ns(), 0) / SECOND))
    runner.quit()
    os.write(1, encoder.encode(counter.line(runner.user_count)) + b"\n")
    return 1 if locust.log.unhandled_greenlet_exception else 0


def main(argv: list[str]) -> int:
    """Run the load; 2 if its specification cannot be read."""
    try:
        work = msgspec.json.decode(argv[1] if len(argv) == 2 else "", type=LoadWork)
    except msgspec.DecodeError as error:
        sys.stderr.write(f"harness.load.worker: expected one LoadWork as JSON, found {argv[1:]}: {error}\n")
        return 2
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    return drive(work)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
