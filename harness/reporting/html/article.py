"""One drill on the page: the verdict and what bounds it, the timelines, the findings, the steps, the evidence."""

from collections.abc import Iterator
from typing import Final

from harness.model.design import CONTROL, TREATED
from harness.model.history import Event, History, Phase
from harness.model.units import Ns, show
from harness.model.verdict import Assessment, Verdict
from harness.reporting.drill import Drill, origin
from harness.reporting.html import survival
from harness.reporting.html.axis import Axis, shared_axis
from harness.reporting.html.ledger import writes
from harness.reporting.html.markup import Html, el, join
from harness.reporting.html.steps import followed
from harness.reporting.html.timeline import in_words, timeline
from harness.reporting.wording import MARK, STATUS, SYMBOL, between, duration, found, parts, sign, trials

_ELSEWHERE = 800
"""How many characters of output are shown of trials after the first, whose output is shown at length."""

_CLAIM: Final = {True: ("yes", "✓"), False: ("no", "✗ not"), None: ("unknown", "? unknown whether")}


def badge(assessment: Assessment) -> Html:
    """The verdict word with its sign, and what it counts as."""
    word, outcome = assessment.word, assessment.outcome
    return join(
        [
            el("span", f"{SYMBOL[word]} {word}", class_=f"badge word {word}"),
            el("span", f"{MARK[outcome]} {outcome}", class_=f"badge outcome {outcome}"),
        ]
    )


def article(number: int, drill: Drill) -> Html:
    """The whole of one drill; `number` makes its anchors its own."""
    assessment, header = drill.assessment, drill.header
    fault = next((each.header.fault for each in drill.histories if each.header.arm.fault), "")
    return el(
        "article",
        el("h2", assessment.scenario, " ", badge(assessment)),
        el("p", el("b", header.procedure), " · ", el("code", str(header.runbook)), class_="of") if header else None,
        el("p", "Fault: ", el("code", fault), class_="of") if fault else None,
        el("p", assessment.why, class_="lead"),
        _tiles(drill),
        _listed("What the alert rules would have done", (el("li", each) for each in assessment.alerts), kind="alerts"),
        _listed("What bounds this claim", (el("li", each) for each in assessment.limits), kind="limits"),
        _listed("Findings", _findings(assessment), kind="findings"),
        survival.of_drill(drill),
        *_timelines(drill),
        *_procedure(drill),
        writes(drill),
        _arms(assessment),
        *_evidence(number, drill),
        id=f"drill-{number}",
    )


def _tiles(drill: Drill) -> Html:
    assessment, header = drill.assessment, drill.header
    recovery = header.terms.recovery if header else None
    first = next((each.rta for each in assessment.verdicts if each.arm == TREATED and each.rta), None)
    claims = (
        ("effective", assessment.effective),
        ("necessary", assessment.necessary),
        ("harmless", assessment.harmless),
    )
    shown = (
        ("RTA", between(assessment.rta), f"RTO {show(recovery.rto if recovery else None)}"),
        ("RPA", between(assessment.rpa), f"RPO {show(recovery.rpo if recovery else None)}"),
        ("People, in addition", f"+ {show(assessment.human)}" if assessment.human else "–", "declared, not measured"),
        ("Treated", trials(assessment, TREATED), "recovered in time"),
        ("Control", trials(assessment, CONTROL), "recovered in time"),
    )
    tiles = [el("div", el("dt", name), el("dd", el("b", value), el("small", note))) for name, value, note in shown]
    words = [el("span", f"{_CLAIM[held][1]} {name}", class_=f"claim {_CLAIM[held][0]}") for name, held in claims]
    tiles.append(el("div", el("dt", "Shown to be"), el("dd", *words)))
    detail = el("p", "First treated trial: ", parts(first), class_="quiet") if first and parts(first) else None
    return join([el("dl", *tiles, class_="tiles"), detail])


def _listed(title: str, items: Iterator[Html], *, kind: str) -> Html | None:
    told = list(items)
    return el("section", el("h3", title), el("ul", *told, class_=kind)) if told else None


def _findings(assessment: Assessment) -> Iterator[Html]:
    for each in found(assessment):
        finding = each.finding
        place = join([el("code", str(finding.source)), " "]) if finding.source else None
        yield el(
            "li",
            el("span", MARK[finding.outcome], class_=f"sign {finding.outcome}", title=str(finding.outcome)),
            el("span", place, finding.why, " ", el("small", each.of)),
        )


def _timelines(drill: Drill) -> Iterator[Html]:
    pairs = sorted(drill.pairs(), key=lambda pair: (not pair[0].arm.fault, not pair[0].arm.procedure))
    if not pairs:
        return
    axis = shared_axis(drill)
    yield el("h3", "Timelines")
    yield el(
        "p",
        el("span", class_="key good"),
        "good ",
        el("span", class_="key mixed"),
        "partly bad ",
        el("span", class_="key bad"),
        "bad ",
        el("span", class_="key fault"),
        "fault in force ",
        el("span", class_="key window"),
        "recovery window ",
        el("span", class_="key hold"),
        "hold ",
        el("span", class_="key within"),
        "latency limit. Latency is on a log scale; time runs from the fault call, alike in all trials.",
        class_="keys quiet",
    )
    for verdict, history in pairs:
        yield _figure(verdict, history, axis)


def _figure(verdict: Verdict, history: History, axis: Axis) -> Html:
    episodes = verdict.timings.episodes
    outage = f"{verdict.timings.bad_seconds:.2f} s bad in {episodes} {'episode' if episodes == 1 else 'episodes'}"
    merit = verdict.outcome if sign(verdict) == MARK[verdict.outcome] else "neutral"
    caption = el(
        "figcaption",
        el("b", verdict.trial),
        el("span", f"{sign(verdict)} {STATUS[verdict.status]}", class_=f"badge outcome {merit}"),
        el("span", outage, class_="quiet") if episodes else None,
    )
    return el("figure", caption, timeline(verdict, history, axis), in_words(verdict, history))


def _procedure(drill: Drill) -> Iterator[Html]:
    """The steps of the first trial that followed the procedure; those of the others folded."""
    pairs = [pair for pair in drill.pairs() if pair[0].arm.procedure]
    for first, (verdict, history) in zip((True, *[False] * len(pairs)), pairs, strict=False):
        if first:
            yield el("h3", "The procedure, as written and as executed", " ", el("small", verdict.trial))
            yield followed(history, origin(verdict, history))
        else:
            yield el(
                "details",
                el("summary", f"The same in {verdict.trial}"),
                followed(history, origin(verdict, history), shown=_ELSEWHERE),
            )


def _arms(assessment: Assessment) -> Html:
    names = (
        "arm",
        "trials",
        "in time",
        "too late",
        "not while watched",
        "never broke",
        "invalid",
        "at least, with 95%",
    )
    head = el("tr", *(el("th", name, scope="col") for name in names))
    rows = [
        el(
            "tr",
            el("th", each.arm.name, scope="row"),
            *(el("td", str(n)) for n in (each.n, each.ok, each.miss, each.censored, each.no_breach, each.invalid)),
            el("td", f"{each.bound:.0%}" if each.arm.fault else "–"),
        )
        for each in assessment.arms
    ]
    table = el("table", el("thead", head), el("tbody", *rows), class_="figures")
    return el("section", el("h3", "Arms"), el("div", table, class_="scroll"))


def _evidence(number: int, drill: Drill) -> Iterator[Html]:
    yield el("h3", "Evidence")
    for nth, (verdict, history) in enumerate(drill.pairs()):
        anchor = f"d{number}t{nth}"
        header = history.header
        facts = (
            f"seed {header.seed} · plan {header.plan[:12]} · runbook {header.runbook_digest[:12]}"
            f" · rundrill {header.version}"
        )
        yield el(
            "details",
            el("summary", f"{verdict.trial}: {len(verdict.findings)} findings, {len(history.events)} events"),
            el("p", facts, class_="quiet"),
            el("ul", *(_evident(anchor, verdict)), class_="findings"),
            el("div", _events(anchor, history, origin(verdict, history)), class_="scroll"),
        )


def _evident(anchor: str, verdict: Verdict) -> Iterator[Html]:
    for finding in verdict.findings:
        links = [el("a", f"#{index}", href=f"#{anchor}e{index}") for index in finding.evidence]
        yield el(
            "li",
            el("span", MARK[finding.outcome], class_=f"sign {finding.outcome}", title=str(finding.outcome)),
            el("span", finding.why, " ", el("small", finding.check), *(join([" ", link]) for link in links)),
        )


def _events(anchor: str, history: History, zero: Ns) -> Html:
    head = el("tr", *(el("th", name, scope="col") for name in ("#", "time", "who", "what", "", "line")))
    rows = [
        el(
            "tr",
            el("td", str(event.index)),
            el("td", duration(event.at - zero)),
            el("td", event.actor),
            el("td", f"{event.name} {event.phase}"),
            el("td", _told(event)),
            el("td", str(event.source.line) if event.source else ""),
            id=f"{anchor}e{event.index}",
            class_="bad" if event.phase is Phase.FAIL else None,
        )
        for event in history.events
    ]
    return el("table", el("thead", head), el("tbody", *rows), class_="events")


def _told(event: Event) -> str:
    """An event's data but for what the steps show at length."""
    return " · ".join(f"{key} {value}" for key, value in event.data.items() if key not in ("stdout", "stderr", "text"))
