"""Were acknowledged writes lost, and is what is there what was written? By the ledger and the strong reads after recovery.

The classes are those of Jepsen's set checkers; duplicates are counted, which its own checker fails to do (c4c7473).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from harness.checking.moments import Moments
from harness.model.history import History, Name, Phase, Reading, Write, WriteOutcome
from harness.model.units import Ns, seconds, show
from harness.model.verdict import Finding, Interval, Loss, Outcome

CHECK = "durability"
INTEGRITY = "integrity"

PRIMARY = "primary"
"""The place of the reading that decides."""

_SHORTLY: Ns = seconds(5)
"""How far before the act acknowledgements are looked at for the resolution."""

Id = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Ledger:
    """What was attempted, and what the last strong read of the primary found: `found[id]` is (checksums, multiplicity)."""

    writes: dict[Id, Write]
    found: dict[Id, tuple[frozenset[str], int]]
    read: Reading

    @property
    def survivors(self) -> tuple[Write, ...]:
        """Acknowledged and present, in the order of acknowledgement."""
        return self._acked(present=True)

    @property
    def lost(self) -> tuple[Write, ...]:
        """Acknowledged before the reading began, and absent from it, in the order of acknowledgement."""
        return self._acked(present=False)

    def _acked(self, *, present: bool) -> tuple[Write, ...]:
        chosen = (
            w
            for key, w in self.writes.items()
            if w.outcome is WriteOutcome.OK
            and (key in self.found) is present
            and (present or w.done < self.read.invoked)
        )
        return tuple(sorted(chosen, key=lambda w: w.done))

    def present(self, outcome: WriteOutcome) -> int:
        """How many writes of that outcome were found."""
        return sum(w.outcome is outcome and key in self.found for key, w in self.writes.items())


def ledger(history: History) -> Ledger | None:
    """The ledger as it was last read from the primary; None where it was not read."""
    reads = [r for r in history.readings if r.place == PRIMARY]
    if not reads:
        return None
    last = max(reads, key=lambda r: r.invoked)
    found: dict[Id, tuple[frozenset[str], int]] = {}
    for row in last.rows:
        sums, count = found.get((row.writer, row.seq), (frozenset(), 0))
        found[row.writer, row.seq] = (sums | {row.checksum}, count + row.count)
    return Ledger(_attempts(history.writes), found, last)


def _attempts(writes: Iterable[Write]) -> dict[Id, Write]:
    """One write per id: a retried one is acknowledged if any attempt was, and refused only if all were."""
    order = (WriteOutcome.FAIL, WriteOutcome.INFO, WriteOutcome.OK)
    known: dict[Id, Write] = {}
    for write in writes:
        key = write.writer, write.seq
        if key not in known or order.index(write.outcome) > order.index(known[key].outcome):
            known[key] = write
    return known


def loss(history: History, moments: Moments) -> Loss | None:
    """The ledger's classes by count, and RPA; None without a ledger or without a reading of it."""
    book = ledger(history) if history.header.terms.ledger else None
    if book is None:
        return None
    lost, act = book.lost, moments.disturbed
    before = [w.done for w in lost if act is not None and w.done <= act]
    late = _stale(history.readings, book)
    oldest = act - min(before) if before and act is not None else 0
    resolution = _resolution(book, act)
    return Loss(
        acked=len(lost) + len(book.survivors),
        lost=len(lost),
        rpa=Interval(oldest, oldest + resolution),
        resolution=resolution,
        failed=sum(w.outcome is WriteOutcome.FAIL for w in book.writes.values()),
        unknown=sum(w.outcome is WriteOutcome.INFO for w in book.writes.values()),
        recovered_unacked=book.present(WriteOutcome.INFO),
        lost_after_fault=sum(act is not None and w.done > act for w in lost),
        duplicates=sum(count > 1 for _, count in book.found.values()),
        phantoms=sum(key not in book.writes for key in book.found),
        corrupt=sum(
            key in book.writes and sums != {book.writes[key].checksum} for key, (sums, _) in book.found.items()
        ),
        failed_but_present=book.present(WriteOutcome.FAIL),
        vanished=len(_vanished(history.readings, moments)),
        holes=len(holes(lost, book.survivors, act=act)),
        stale=len(late),
        stale_max=max(late, default=0),
    )


def holes(lost: Sequence[Write], survivors: Sequence[Write], *, act: Ns | None) -> tuple[Write, ...]:
    """The lost writes that are not of a lost suffix: a later one survived.

    Later: begun after the lost one was acknowledged, so that no order of commits explains it; and itself acknowledged before
    the act (what is written after recovery survives as a matter of course) or before the last lost one was begun. Where
    nothing was done to the system (`act` None) every loss with a survivor after it is a hole.
    """
    if not lost:
        return ()
    cut = max(act, *(w.invoked for w in lost)) if act is not None else max((w.done for w in survivors), default=0)
    begun = max((w.invoked for w in survivors if w.done <= cut), default=-1)
    return tuple(w for w in lost if begun >= w.done)


def _resolution(book: Ledger, act: Ns | None) -> Ns:
    """The largest gap between acknowledgements in the last seconds before the act, up to it; without one, before the end."""
    acked = sorted(w.done for w in book.writes.values() if w.outcome is WriteOutcome.OK)
    end = act if act is not None else acked[-1] if acked else book.read.invoked
    begun = min((w.invoked for w in book.writes.values()), default=end)
    recent = [done for done in acked if end - _SHORTLY <= done <= end]
    earlier = [done for done in acked if done < end - _SHORTLY]
    instants = [*(earlier[-1:] or [max(begun, end - _SHORTLY)]), *recent, end]
    return max(0, *(later - before for before, later in pairwise(instants)))


def _ids(reading: Reading) -> frozenset[Id]:
    return frozenset((row.writer, row.seq) for row in reading.rows)


def _vanished(readings: Sequence[Reading], moments: Moments) -> set[Id]:
    """Ids that a strong read after the act saw and a later one of the same place did not."""
    gone: set[Id] = set()
    after = [r for r in readings if moments.disturbed is None or r.invoked > moments.disturbed]
    for place in {r.place for r in after}:
        there = [_ids(r) for r in sorted(after, key=lambda r: r.invoked) if r.place == place]
        gone |= {key for earlier, later in pairwise(there) for key in earlier - later}
    return gone


def _stale(readings: Sequence[Reading], book: Ledger) -> list[Ns]:
    """Of each acknowledged write that some strong read of the primary missed and a later one saw: how long after its
    acknowledgement the last such read began. Jepsen's stable latency; a read that overlaps the write proves nothing."""
    primary = sorted((r for r in readings if r.place == PRIMARY), key=lambda r: r.invoked)
    there = [_ids(reading) for reading in primary]
    found = []
    for key, write in book.writes.items():
        if write.outcome is WriteOutcome.OK:
            last = max((n for n, ids in enumerate(there) if key in ids), default=0)
            missed = [primary[n].invoked - write.done for n in range(last) if key not in there[n]]
            found += [max(missed)] if missed and max(missed) > 0 else []
    return found


VIOLATIONS = ("duplicates", "phantoms", "corrupt", "failed_but_present", "vanished", "holes")
"""The fields of `Loss` that no recovery point excuses."""


def violations(loss: Loss) -> dict[str, int]:
    """The integrity violations by kind, without those that did not happen."""
    return {kind: count for kind in VIOLATIONS if (count := getattr(loss, kind))}


def check(history: History, found: Loss | None) -> Iterator[Finding]:
    """Two findings in trials with a ledger: loss against the RPO, and integrity, which no RPO excuses."""
    if not history.header.terms.ledger:
        return
    reads = tuple(e.index for e in history.named(Name.LEDGER))
    if found is None:
        failed = history.first(Name.LEDGER, Phase.FAIL)
        why = f": {failed.data.get('why', 'no reason given')}" if failed else ""
        yield Finding(CHECK, Outcome.INCONCLUSIVE, f"the ledger was not read back from the primary{why}", reads)
        return
    outcome, why = _against(found, history.header.terms.recovery.rpo)
    yield Finding(CHECK, outcome, why, reads)
    broken = violations(found)
    told = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in broken.items())
    yield Finding(
        INTEGRITY,
        Outcome.FAILED if broken else Outcome.PASSED,
        f"what is stored is not what was written: {told}" if broken else "what is stored is what was written",
        reads,
    )


def _against(found: Loss, rpo: Ns | None) -> tuple[Outcome, str]:
    after = f" ({found.lost_after_fault} of them acknowledged after the fault call)" if found.lost_after_fault else ""
    told = f"{found.lost} of {found.acked} acknowledged writes lost{after}"
    if found.acked == 0:
        return Outcome.INCONCLUSIVE, "no write was acknowledged, so none could be lost"
    if rpo is None:
        return Outcome.PASSED, f"{told}; there is no RPO to judge it by"
    if found.lost == 0:
        told = f"{told}, as far as a gap of {show(found.resolution)} between them lets see (RPO {show(rpo)})"
        unseen = 0 < rpo < found.resolution
        return Outcome.INCONCLUSIVE if unseen else Outcome.PASSED, told
    hi = found.rpa.hi if found.rpa.hi is not None else found.rpa.lo
    told = f"{told}, the oldest {show(found.rpa.lo)} to {show(hi)} before the fault call (RPO {show(rpo)})"
    if rpo == 0 or found.rpa.lo > rpo:
        return Outcome.FAILED, told
    return Outcome.PASSED if hi <= rpo else Outcome.INCONCLUSIVE, told
