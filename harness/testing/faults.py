"""The conformance check of faults: felt, with evidence, and undone however the scope ends."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence

from harness import clock
from harness.errors import FaultError
from harness.model.units import SECOND, Ns, seconds
from harness.ports import Capability, Fault, Injection, Stage
from harness.testing.conformance import NonConformance

_LIMIT: Ns = seconds(60)
MOMENTS = (0.0, 0.25, 0.5, 0.75, 0.95)
"""When, as shares of what injecting takes, it is cancelled."""


async def check_fault(  # noqa: PLR0913 - each says another thing of how it is asked
    fault: Fault,
    stage: Stage,
    *,
    intact: Callable[[], Awaitable[bool]] | None = None,
    reversible: bool = True,
    settling: Ns = seconds(5),
    moments: Sequence[float] = MOMENTS,
) -> Injection:
    """Apply `fault` to `stage` again and again, ending it in every way, and return the first injection.

    `intact` asks the target whether it is as it was before any fault; without it, whether an undo worked only shows in the
    fault being felt anew. A fault that is not `reversible` is applied once. Raises NonConformance.
    """
    problems = [*_value_problems(fault)]
    begun = clock.now()
    async with fault.applied_to(stage) as injection:
        ended = clock.now()
        problems += _injection_problems(injection, begun=begun, ended=ended)
        if intact is not None and await intact():
            problems.append("the target is intact while the fault is in force")
    if reversible:
        problems += await _intact_after(intact, "the scope was left", settling=settling)
        problems += await _error_problems(fault, stage)
        problems += await _intact_after(intact, "an error left the scope", settling=settling)
        for share in moments:
            moment = round((ended - begun) * share)
            problems += await _cancellation_problems(fault, stage, moment)
            what = f"it was cancelled {moment / 1e6:.0f} ms into its injection"
            problems += await _intact_after(intact, what, settling=settling)
        problems += await _anew_problems(fault, stage)
        problems += await _intact_after(intact, "it was applied again and left", settling=settling)
    if problems:
        raise NonConformance([f"{fault}: {problem}" for problem in problems])
    return injection


async def _anew_problems(fault: Fault, stage: Stage) -> list[str]:
    try:
        async with fault.applied_to(stage) as again:
            return [] if again.felt else [f"it is not felt when it is applied again: {again.why}"]
    except FaultError as error:
        return [f"it cannot be applied again: {error}"]


def _value_problems(fault: Fault) -> Iterator[str]:
    if not str(fault).strip():
        yield "expected str() to say what is done; it says nothing"
    parameters = getattr(fault, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        yield "expected a frozen dataclass"
    if unknown := fault.needs - set(Capability):
        yield f"expected `needs` to be capabilities; found {', '.join(map(str, unknown))}"
    if fault.links and Capability.LINKS not in fault.needs:
        yield "expected a fault with links to need LINKS"


def _injection_problems(injection: Injection, *, begun: Ns, ended: Ns) -> Iterator[str]:
    if not injection.felt:
        yield f"it was not felt: {injection.why or 'it does not say why'}"
    if injection.felt and injection.why:
        yield f"it was felt, and says why not: {injection.why}"
    if not injection.evidence:
        yield "expected evidence that the target felt it; there is none"
    if not begun <= injection.at <= ended:
        yield f"expected `at` within the injection, [{begun}, {ended}]; found {injection.at}"


class _Passing(Exception):  # noqa: N818 - no error but a visitor
    """Raised within a fault's scope, to see whether it comes out as it is."""


async def _error_problems(fault: Fault, stage: Stage) -> list[str]:
    raised, caught = _Passing(), None
    try:
        async with fault.applied_to(stage):
            raise raised
    except _Passing as error:
        caught = error
    except FaultError as error:
        return [f"it cannot be applied again: {error}"]
    return [] if caught is raised else ["an error within the scope did not come out as it was"]


async def _cancellation_problems(fault: Fault, stage: Stage, moment: Ns) -> list[str]:
    """Cancel it `moment` ns after its call; and cancel the undoing as well, a moment after that."""

    async def apply() -> None:
        async with fault.applied_to(stage):
            await asyncio.sleep(_LIMIT / SECOND)

    task = asyncio.create_task(apply())
    await asyncio.sleep(moment / SECOND)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,), timeout=_LIMIT / SECOND)
    if not task.done():
        return [f"cancelled {moment / 1e6:.0f} ms into its injection, it did not end"]
    if not task.cancelled():
        return [f"cancelled {moment / 1e6:.0f} ms into its injection, it ended with {task.exception()!r}"]
    return []


async def _intact_after(intact: Callable[[], Awaitable[bool]] | None, what: str, *, settling: Ns) -> list[str]:
    if intact is None:
        return []

    async def asked() -> bool | None:
        return await intact() or None

    done = await clock.until(asked, deadline=clock.now() + settling)
    return [] if done else [f"the target is not intact after {what}"]
