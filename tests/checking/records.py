"""Records written by hand: trials of one cell with the outcome a test needs. Seconds everywhere."""

from harness.checking.record import Place, Record
from harness.model.design import TREATED, Arm
from harness.model.units import seconds
from harness.model.verdict import Finding, Interval, Loss, Outcome, Recovered, Status, Verdict

_OUTCOMES = {
    Status.OK: Outcome.PASSED,
    Status.MISS: Outcome.FAILED,
    Status.CENSORED: Outcome.FAILED,
    Status.NO_BREACH: Outcome.INVALID,
    Status.INVALID: Outcome.INVALID,
}


def lost(records: int = 0, *, rpa: float = 0, **classes: int) -> Loss:
    return Loss(
        acked=100, lost=records, rpa=Interval(seconds(rpa), seconds(rpa + 0.06)), resolution=seconds(0.06), **classes
    )


def record(
    arm: Arm = TREATED,
    status: Status = Status.OK,
    *,
    number: int = 1,
    cell: str = "shop/down",
    rta: float = 5,
    outcome: Outcome | None = None,
    loss: Loss | None = None,
    findings: tuple[Finding, ...] = (),
) -> Record:
    trial = f"{arm.name}-{number}"
    time = None
    if status in (Status.OK, Status.MISS):
        time = Recovered(Interval(seconds(rta), seconds(rta + 0.05)))
    elif status is Status.CENSORED:
        time = Recovered(Interval(seconds(20), None))
    decided = outcome or _OUTCOMES[status]
    verdict = Verdict(trial, arm, decided, status, findings, rta=time, loss=loss)
    place = Place(f"env-{number}", "host", "Linux x86_64, 2 CPUs", number)
    return Record(cell, arm, trial, number, number, "plan", place, number, seconds(30), verdict)
