"""The procedure as it is written beside what was executed: text, deviation, bindings, status, output. No judging."""

import difflib
import re
from collections.abc import Iterator
from typing import Final

from harness.model.history import History, Phase, StepTerms
from harness.model.units import Ns
from harness.reporting.executed import Execution, executions
from harness.reporting.html.markup import Html, el, join
from harness.reporting.wording import duration

_SHOWN: Final = 4_000
"""How many characters of one output stream the page holds."""

_ENDS: Final = {Phase.OK: ("ok", "✓ ok"), Phase.FAIL: ("failed", "✗ failed"), Phase.INFO: ("noted", "– noted")}
_WORDS: Final = re.compile(r"\s+|\w+|[^\w\s]")


def followed(history: History, zero: Ns, *, shown: int = _SHOWN) -> Html:
    """All steps of one trial, those begun before `zero` (monotonic ns) marked as done before the fault; of each output
    stream the first `shown` characters."""
    items = [
        _step(number, each, shown, before=each.begun is not None and each.begun.at < zero)
        for number, each in enumerate(executions(history), 1)
    ]
    return el("ol", *items, class_="steps")


def _step(number: int, each: Execution, shown: int, *, before: bool) -> Html:
    terms = each.terms
    written = terms.written if terms else str(each.data.get("text", ""))
    return el(
        "li",
        el(
            "div",
            el("span", str(number), class_="no"),
            el("span", terms.title if terms else "", class_="title"),
            el("code", str(each.source or ""), class_="where"),
            el("span", "before the fault", class_="badge") if before else None,
            *_badges(each),
            class_="stephead",
        ),
        el(
            "div",
            el("div", el("h5", "In the runbook"), el("pre", written, class_="written"), class_="side"),
            el("div", el("h5", "Executed"), *_run(each), *_outputs(each, shown), class_="side"),
            class_="sides",
        ),
        class_=f"step {_end(each)[0]}",
    )


def _end(each: Execution) -> tuple[str, str]:
    if each.begun is None and each.ended is None:
        return "none", "· not reached"
    return _ENDS.get(each.ended.phase, ("none", "")) if each.ended else ("noted", "… no end seen")


def _badges(each: Execution) -> Iterator[Html]:
    kind, word = _end(each)
    what = each.terms.what if each.terms else "command"
    if each.terms and each.terms.deviation:
        yield el("span", "deviation", class_="badge deviation")
    if each.terms and _bound(each.terms):
        yield el("span", "binding", class_="badge binding")
    if each.terms and each.terms.destructive:
        yield el("span", "destructive", class_="badge destructive")
    if what != "command" and each.begun:
        yield el("span", what, class_="badge end")
        return
    status = each.data.get("status")
    told = [
        word,
        f"status {status}" if status is not None else "",
        duration(each.took) if each.took is not None else "",
    ]
    yield el("span", " · ".join(part for part in told if part), class_=f"badge end {kind}")


def _bound(terms: StepTerms) -> bool:
    """Whether the text differs from what was run although no deviation says so: placeholders stand for something."""
    return terms.what == "command" and not terms.deviation and terms.written.strip() != terms.text.strip()


def _run(each: Execution) -> Iterator[Html]:
    """What was run, where it is not what is written, with the difference marked; and why."""
    terms = each.terms
    if terms and terms.what == "manual":
        yield el("p", "for a person; nothing was run", class_="quiet")
        return
    if terms is None or terms.written.strip() == terms.text.strip():
        yield el("p", "as written" if each.begun else "not reached", class_="quiet")
    elif terms.what == "skipped":
        yield el("p", "not run", class_="quiet")
    else:
        yield el("pre", *_marked(terms.written, terms.text), class_="run")
    if terms and terms.deviation:
        yield el("p", el("b", "Deviation: "), terms.deviation, class_="why")
    if each.data.get("why"):
        yield el("p", str(each.data["why"]), class_="why")


def _marked(written: str, run: str) -> Iterator[str]:
    """`run`, its words that are not in `written` marked."""
    before, after = _WORDS.findall(written), _WORDS.findall(run)
    for kind, _, _, lo, hi in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        text = "".join(after[lo:hi])
        if text:
            yield text if kind == "equal" else el("mark", text)


def _outputs(each: Execution, shown: int) -> Iterator[Html]:
    if "rows" in each.data:
        yield el("p", f"rows: {each.data['rows']}", class_="quiet")
    for stream in ("stdout", "stderr"):
        text = str(each.data.get(stream) or "")
        if not text.strip():
            continue
        lines = text.count("\n") + (not text.endswith("\n"))
        more = f"\n… {len(text) - shown} more characters are in the history" if len(text) > shown else ""
        yield el(
            "details",
            el("summary", f"{stream}, {lines} {'line' if lines == 1 else 'lines'}"),
            el("pre", join([text[:shown], el("i", more) if more else None]), class_=stream),
            class_="output",
            open="" if each.ended and each.ended.phase is Phase.FAIL else None,
        )
