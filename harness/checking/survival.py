"""How long recovery takes where some trials had not recovered when observation ended: Kaplan-Meier. Censored is not dropped."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.model.units import Ns
from harness.model.verdict import Interval


@dataclass(frozen=True, slots=True)
class Step:
    """At `time` ns `recovered` of the `at_risk` trials still watched came back; `unrecovered` is the share not back after it."""

    time: Ns
    at_risk: int
    recovered: int
    unrecovered: float


def kaplan_meier(times: Iterable[Interval]) -> tuple[Step, ...]:
    """The product-limit estimate S(t) = prod(1 - d_i / n_i), one step for each distinct time of recovery.

    A recovery counts at the upper end of its bracket; what was not seen is censored at the lower. One that is censored at the
    instant of another's recovery was still at risk in it.
    """
    watched = [(i.lo if i.hi is None else i.hi, i.hi is not None) for i in times]
    steps: list[Step] = []
    share = 1.0
    for time in sorted({at for at, back in watched if back}):
        at_risk = sum(at >= time for at, _ in watched)
        recovered = sum(back and at == time for at, back in watched)
        share *= 1 - recovered / at_risk
        steps.append(Step(time, at_risk, recovered, share))
    return tuple(steps)


def restricted_mean(curve: Sequence[Step], horizon: Ns) -> float:
    """RMST: the mean of min(T, horizon) in ns, the area under the curve up to `horizon`."""
    area, last, share = 0.0, 0, 1.0
    for step in curve:
        if step.time >= horizon:
            break
        area += share * (step.time - last)
        last, share = step.time, step.unrecovered
    return area + share * (horizon - last)


def quantile(curve: Sequence[Step], q: float) -> Ns | None:
    """By when a share `q` of trials is back, in ns; None where it was not reached while they were watched."""
    return next((step.time for step in curve if step.unrecovered <= 1 - q + 1e-12), None)
