"""The loss checker against ledgers that were spoilt on purpose: each class of damage is found, and nothing else."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from harness.checking.durability import loss, violations
from harness.checking.moments import moments
from harness.model.design import TREATED
from harness.model.history import History, Reading, Row, Write, WriteOutcome
from harness.model.verdict import Loss
from tests.checking.histories import at, events, header, terms
from tests.proof.conftest import FULL

TRIALS = 1000 if FULL else 100


def written(dice: random.Random) -> tuple[list[Write], list[Row]]:
    """Two writers, ten writes a second each, from 5 s before the fault to 15 s after; a few refused or unanswered."""
    writes, rows = [], []
    for writer in ("a", "b"):
        for seq in range(200):
            invoked = at(-5 + seq / 10 + dice.uniform(0, 0.05))
            outcome = dice.choices(list(WriteOutcome), (90, 5, 5))[0]
            writes.append(Write(writer, seq, f"{writer}{seq}", invoked, invoked + 2_000_000, outcome))
            if outcome is WriteOutcome.OK or (outcome is WriteOutcome.INFO and dice.random() < 0.5):
                rows.append(Row(writer, seq, f"{writer}{seq}"))
    return writes, rows


def judged(writes: list[Write], rows: list[Row]) -> Loss:
    history = History(
        header(TREATED, terms(ledger=True, rpo=1)),
        events(TREATED, observed=20),
        writes=tuple(sorted(writes, key=lambda w: w.invoked)),
        readings=(Reading("primary", at(21), at(21.1), tuple(rows)),),
    )
    found = loss(history, moments(history))
    assert found is not None
    return found


def dropped_at_the_end(writes, rows, dice):
    """A suffix of what was acknowledged before the fault, as an asynchronous standby loses it."""
    since = at(-dice.uniform(0.3, 2))
    gone = {(w.writer, w.seq) for w in writes if since <= w.done <= at(0) and w.outcome is WriteOutcome.OK}
    late = {(w.writer, w.seq) for w in writes if w.done > at(0)}
    kept = [r for r in rows if (r.writer, r.seq) not in gone | late]
    return [w for w in writes if (w.writer, w.seq) not in late], kept


def hole(writes, rows, dice):
    acked = [w for w in writes if w.outcome is WriteOutcome.OK and at(-4) < w.done < at(-2)]
    gone = dice.choice(acked)
    return writes, [r for r in rows if (r.writer, r.seq) != (gone.writer, gone.seq)]


def duplicated(writes, rows, dice):
    spoilt = dice.randrange(len(rows))
    return writes, [replace(r, count=2) if n == spoilt else r for n, r in enumerate(rows)]


def corrupted(writes, rows, dice):
    spoilt = dice.randrange(len(rows))
    return writes, [replace(r, checksum="x") if n == spoilt else r for n, r in enumerate(rows)]


def resurrected(writes, rows, dice):
    refused = dice.choice([w for w in writes if w.outcome is WriteOutcome.FAIL])
    return writes, [*rows, Row(refused.writer, refused.seq, refused.checksum)]


def haunted(writes, rows, dice):
    return writes, [*rows, Row("c", dice.randrange(1000), "never")]


CLASSES = {
    dropped_at_the_end: None,
    hole: "holes",
    duplicated: "duplicates",
    corrupted: "corrupt",
    resurrected: "failed_but_present",
    haunted: "phantoms",
}


@pytest.mark.parametrize("mutant", CLASSES)
def test_every_damage_is_put_in_its_class_and_in_no_other(mutant, figure) -> None:
    found = Counter()
    for seed in range(TRIALS):
        dice = random.Random(f"{mutant.__name__} {seed}")
        clean = judged(*written(dice))
        assert (clean.lost, violations(clean)) == (0, {})
        spoilt = judged(*mutant(*written(dice), dice))
        kind = CLASSES[mutant]
        if kind is None:
            found[spoilt.lost > 0 and spoilt.rpa.lo > 0 and not violations(spoilt)] += 1
        else:
            found[set(violations(spoilt)) == {kind}] += 1
    figure(f"ledger, {mutant.__name__.replace('_', ' ')}: {found[True]} of {TRIALS} found and rightly named")
    assert found == {True: TRIALS}
