"""A system that is nothing but a Model: when it is good, what its instrument would see, what its ledger would keep. It
waits for nothing and knows no environment."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.clock import now
from harness.model.history import Mode, Reading, Row, Sample, Write, WriteOutcome
from harness.model.units import Ns, milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """What a command does in whose text (argv and standard input, joined by blanks) the regular expression `pattern` is found.

    It takes `took` ns and ends with `status` and the output. `cures_after` its end the fault has no effect any more;
    `harms_after` its end the system is bad, fault or no fault, for good; `loses` the last so many ledger rows at its end.
    """

    pattern: str
    status: int = 0
    stdout: str = ""
    stderr: str = ""
    took: Ns = milliseconds(10)
    cures_after: Ns | None = None
    harms_after: Ns | None = None
    loses: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """How the system behaves. All durations in ns.

    Instrument: each of `indicators` in each of `modes` is sampled every `period`; a good answer takes `latency`, a bad one
    `timeout`. `errors` is the share of answers that are bad anyway, `severity` that while the system is bad; drawn by
    `seed`. `outages`: from and to, since the environment came up, whatever else happens.
    Fault: takes `injecting`, is felt or not, bites `bites_after` later, loses the last `loses` ledger rows then, and heals by
    itself `heals_after` its injection (None: never). Undoing takes `healing` and, with `stuck`, fails for that reason.
    Commands do what the first of `reactions` that matches says, else `otherwise`. The ledger writes once a `period`.
    Environments take `starting` and `stopping`; with `trouble` they do not come up, for that reason.
    """

    indicators: tuple[str, ...] = ("availability",)
    modes: tuple[Mode, ...] = (Mode.FRESH, Mode.POOLED)
    period: Ns = milliseconds(50)
    latency: Ns = milliseconds(2)
    timeout: Ns = milliseconds(1000)
    errors: float = 0.0
    severity: float = 1.0
    seed: int = 1
    outages: tuple[tuple[Ns, Ns], ...] = ()
    injecting: Ns = milliseconds(20)
    felt: bool = True
    bites_after: Ns = milliseconds(200)
    loses: int = 0
    heals_after: Ns | None = None
    healing: Ns = milliseconds(20)
    stuck: str = ""
    reactions: tuple[Reaction, ...] = ()
    otherwise: Reaction = Reaction(pattern="")
    starting: Ns = milliseconds(100)
    stopping: Ns = milliseconds(50)
    trouble: str = ""
    remarks: tuple[str, ...] = ("nothing is real: the system is a model",)

    def reaction(self, text: str) -> Reaction:
        """What a command of that text does."""
        return next((one for one in self.reactions if re.search(one.pattern, text)), self.otherwise)


@dataclass(slots=True)
class _Course:
    """Whether something is the case, as it was and, as far as is known, will be."""

    _changes: list[tuple[Ns, bool]] = field(default_factory=list)

    def change(self, at: Ns, *, to: bool) -> None:
        self._changes.append((at, to))
        self._changes.sort(key=lambda change: change[0])

    def end(self, at: Ns) -> None:
        """Not the case from `at` on, and nothing that was to come comes."""
        self._changes = [change for change in self._changes if change[0] <= at]
        self.change(at, to=False)

    def __call__(self, at: Ns) -> bool:
        return next((to for instant, to in reversed(self._changes) if instant <= at), False)


class System:
    """One modelled system, from its beginning until `end`. Instants are those of the loop's clock."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.began = now()
        self._ended: Ns | None = None
        self._broken = _Course()
        self._harmed = _Course()
        self._losses: list[tuple[Ns, int]] = []

    def end(self) -> None:
        """Nothing happens any more."""
        self._ended = self._now()

    def break_(self) -> Ns:
        """The fault is in force from now on; when it bites."""
        at = now()
        bites = at + self.model.bites_after
        self._broken.change(bites, to=True)
        self._losses.append((bites, self.model.loses))
        if self.model.heals_after is not None:
            self._broken.change(at + max(self.model.bites_after, self.model.heals_after), to=False)
        return bites

    def mend(self) -> None:
        """The fault is undone, whether or not it had bitten."""
        self._broken.end(now())

    def react(self, reaction: Reaction) -> None:
        """A command has ended."""
        at = now()
        if reaction.cures_after is not None:
            self._broken.change(at + reaction.cures_after, to=False)
        if reaction.harms_after is not None:
            self._harmed.change(at + reaction.harms_after, to=True)
        self._losses.append((at, reaction.loses))

    def down(self, at: Ns) -> bool:
        """Whether it is bad at that instant."""
        outage = any(start <= at - self.began < end for start, end in self.model.outages)
        return outage or self._broken(at) or self._harmed(at)

    def samples(self, since: int) -> Sequence[Sample]:
        """Those from number `since` on whose answers have come, in the order they were due."""
        streams = [(indicator, mode) for indicator in self.model.indicators for mode in self.model.modes]
        found: list[Sample] = []
        while True:
            number = since + len(found)
            scheduled = self.began + number // len(streams) * self.model.period
            why = self._why_bad(scheduled, number)
            done = scheduled + (self.model.timeout if why else self.model.latency)
            if done > self._now():
                return found
            indicator, mode = streams[number % len(streams)]
            found.append(Sample(indicator, mode, scheduled, scheduled, done, good=not why, reason=why))

    def writes(self) -> Sequence[Write]:
        """The ledger's writes so far, one a period: refused while the system is bad."""
        found = []
        for seq in range(1, (self._now() - self.began - self.model.latency) // self.model.period + 1):
            invoked = self.began + seq * self.model.period
            outcome = WriteOutcome.FAIL if self.down(invoked) else WriteOutcome.OK
            found.append(Write("w1", seq, f"{seq:08x}", invoked, invoked + self.model.latency, outcome))
        return found

    def reading(self) -> Reading:
        """What a strong read of the ledger finds now."""
        at = self._now()
        kept = [write for write in self.writes() if write.outcome is WriteOutcome.OK]
        for lost_at, rows in sorted(self._losses):
            there = [write for write in kept if write.done <= lost_at <= at]
            kept = [write for write in kept if write not in there[len(there) - rows :]]
        return Reading("primary", at, at, tuple(Row(write.writer, write.seq, write.checksum) for write in kept))

    def _now(self) -> Ns:
        return now() if self._ended is None else self._ended

    def _why_bad(self, at: Ns, number: int) -> str:
        down = self.down(at)
        share = self.model.severity if down else self.model.errors
        if share <= 0:
            return ""
        if share < 1 and random.Random(f"{self.model.seed}/{number}").random() >= share:  # noqa: S311 - a model's, no secret
            return ""
        return "timeout" if down else "error"
