"""The commands that run many trials: `gate` here, those that vary the procedure in `variants`. They decide nothing but what to
call."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from harness.checking.evidence import Evidence, claim
from harness.checking.gate import TIERS, Characteristics, Gate, Tier, operating_characteristics
from harness.cli import variants
from harness.cli.setting import (
    Jobs,
    Runs,
    Scenarios,
    Setting,
    SubstrateName,
    console,
    done,
    running,
    tell,
    worst,
)
from harness.errors import InputError, Problem
from harness.model.units import minutes, show
from harness.plan import Plan
from harness.reporting import gate as told
from harness.reporting.html import gate as page
from harness.running import gating, triallog

app = typer.Typer()
app.add_typer(variants.app)


@app.command()
def gate(  # noqa: PLR0913 - one parameter an option
    scenario: Scenarios,
    *,
    tier: Annotated[str, typer.Option(help=f"How sure it has to be: {', '.join(TIERS)}.")] = "bronze",
    log: Annotated[Path, typer.Option("--log", help="The trial log: made, or resumed from. Never overwritten.")] = Path(
        "trials.jsonl"
    ),
    p0: Annotated[float | None, typer.Option(help="Instead of the tier's: what has to be excluded to pass.")] = None,
    p1: Annotated[float | None, typer.Option(help="Instead of the tier's: what has to be excluded to fail.")] = None,
    most: Annotated[int | None, typer.Option(help="Instead of the tier's: the most trials that count.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the order of trials.")] = 1,
    budget: Annotated[
        float | None, typer.Option(metavar="MINUTES", help="Begin no trial after so long; resume with the same --log.")
    ] = None,
    jobs: Jobs = 1,
    substrate: SubstrateName = "local",
    runs: Runs = Path("runs"),
) -> None:
    """Run trials until there is evidence enough to pass or to fail, and say what may be claimed.

    What it will do is printed first, exactly. Every scenario has to pass. Trials that cannot be counted are replaced, at most a
    fifth; lost or spoilt data fails at once. Interrupt it whenever you like: the same command goes on from the log.

    Example: `rundrill gate scenarios/inventory/slow_queries.py --tier bronze --log slow_queries.trials.jsonl`
    """
    chosen = _tier(tier, p0=p0, p1=p1, most=most)
    setting = Setting.of(scenario, substrate)
    opening = gating.opening(setting.plans, setting.substrate, chosen, seed)
    with triallog.opened(log, opening) as kept:
        for plan in setting.plans:
            found = gating.evidence(plan, kept)
            console().print(Text(plan.name, style="bold"))
            console().print(told.render_ahead(found.gate, _ahead(found, plan, jobs)))
        with running(setting, runs, jobs) as (runner, folder):
            cells = done(
                gating.run_gate(
                    setting.plans,
                    kept,
                    runner,
                    folder,
                    jobs=jobs,
                    budget=None if budget is None else minutes(budget),
                    listener=tell,
                )
            )
    _conclude(cells, folder)


def _conclude(cells: Sequence[Evidence], folder: Path) -> None:
    """Say what may be claimed, write the page, and exit."""
    claims = [(each, claim(each)) for each in cells]
    for each in claims:
        console().print(told.render_evidence(*each))
    path = folder / "gate.html"
    path.write_text(page.render(claims, title=f"Gate {folder.name}"), encoding="utf-8")
    console().print(f"wrote {path}", highlight=False)
    raise typer.Exit(worst(each.outcome for each in cells))


def _ahead(found: Evidence, plan: Plan, jobs: int) -> list[tuple[Characteristics, str]]:
    tier = found.gate.tier
    rows = []
    for p in sorted({1.0, (1 + tier.p1) / 2, tier.p1, tier.p0, 0.3, 0.0}, reverse=True):
        cost = gating.effort(found, plan, p, jobs=jobs)
        rows.append(
            (operating_characteristics(found.gate, p), f"{show(round(cost.wall, -10))} ({cost.trials:.0f} trials)")
        )
    return rows


def _tier(name: str, *, p0: float | None, p1: float | None, most: int | None) -> Tier:
    if name not in TIERS:
        raise InputError(Problem(f"there is no tier `{name}`", None, f"choose from: {', '.join(TIERS)}"))
    base = TIERS[name]
    own = p0 is not None or p1 is not None or most is not None
    try:
        chosen = replace(
            base,
            name=f"{name}, altered" if own else name,
            p0=base.p0 if p0 is None else p0,
            p1=base.p1 if p1 is None else p1,
            n_max=base.n_max if most is None else most,
        )
    except ValueError as error:
        raise InputError(
            Problem(
                f"these figures make no gate: {error}", None, "p0 < p1, both between 0 and 1, and --most at least 1"
            )
        ) from error
    needed = Gate(chosen).to_pass
    if needed > chosen.n_max:
        raise InputError(
            Problem(
                f"with p0 {chosen.p0:g} and p1 {chosen.p1:g} it takes {needed} successes in a row to pass, and at most "
                f"{chosen.n_max} trials are allowed: it could not pass",
                None,
                f"raise --most to {needed} or more, or move p0 and p1 apart",
            )
        )
    return chosen
