"""Alert rules, as a text or a scenario words them, in the terms of a drill's samples. What is about something else (memory, lag,
a queue) is not guessed at: None."""

import re

from harness.model.alerting import USUAL_WINDOW, AlertCondition, Comparison, Signal
from harness.model.runbook import AlertRule
from harness.model.units import Ns
from harness.runbooks import promql, quantities

_ABOVE = r"(?P<above>>=?|≥|exceed(?:s|ing)?|above|over|more than|greater than|higher than|at least)"
_BELOW = r"(?P<below><=?|≤|below|under|less than|lower than|drops? (?:below|under)|falls? (?:below|under))"
_COMPARED = rf"(?:{_ABOVE}|{_BELOW})\s*"
_SHARE = re.compile(rf"{_COMPARED}(?P<figure>\d+(?:\.\d+)?)\s?%", re.IGNORECASE)
_TIME = re.compile(rf"{_COMPARED}(?P<figure>\d+(?:\.\d+)?\s?(?:ms|milliseconds?|s|secs?|seconds?))\b", re.IGNORECASE)
_ERRORS = re.compile(r"\b(?:errors?|5xx|failures?|failed requests|failure rate)\b", re.IGNORECASE)
_SUCCESS = re.compile(r"\b(?:availability|success(?:ful)?|uptime)\b", re.IGNORECASE)
_LATENCY = re.compile(r"\b(?:latency|response times?|p\d{2,3})\b", re.IGNORECASE)
_QUANTILE = re.compile(r"\bp(?P<digits>\d{2,3})\b", re.IGNORECASE)
_ELSEWHERE = re.compile(
    r"\b(?:replication|lag|queue|backlog|budget|burn|login|cache|miss|cpu|memory|disk|heap|pool|connections?|pods?|jobs?"
    r"|backup|certificate|sync|drift)\w*",
    re.IGNORECASE,
)
_FOR = re.compile(r"\bfor\s+(?:more than\s+|at least\s+|over\s+|[>≥]=?\s*)?$", re.IGNORECASE)
_OVER = re.compile(
    r"(?:\b(?:over|within|in|during|per)\s+(?:the\s+)?(?:last\s+|past\s+|any\s+|a\s+)?|\[)$", re.IGNORECASE
)


def understood(rule: AlertRule) -> AlertCondition | None:
    """The rule of a text as a condition on samples; None where it is about something that a drill's probes do not see."""
    comparisons = promql.comparisons(rule.expression)
    if comparisons is not None:
        assumed = promql.windowless(rule.expression)
        return AlertCondition(rule.name, _text(rule), comparisons, rule.duration or 0, assumed, rule.source)
    worded = _worded(f"{_words(rule.name)} {rule.expression}")
    if worded is None:
        return None
    one, lasting, assumed = worded
    return AlertCondition(rule.name, _text(rule), (one,), lasting, assumed, rule.source)


def said(text: str) -> AlertCondition | None:
    """A rule as a scenario says it: `error rate > 1% for 2m`, or PromQL with `for 2m` behind it."""
    expression, lasting = text, 0
    behind = re.search(r"\s+for\s+(\d+\s?\w+)\s*$", text, re.IGNORECASE)
    if behind:
        expression, lasting = text[: behind.start()], quantities.duration(behind.group(1)) or 0
    comparisons = promql.comparisons(expression)
    if comparisons is not None:
        return AlertCondition(text, text, comparisons, lasting, promql.windowless(expression))
    worded = _worded(text)
    return None if worded is None else AlertCondition(text, text, (worded[0],), worded[1], worded[2])


def _text(rule: AlertRule) -> str:
    """The rule as written: its `for` stands beside the expression in Prometheus' files."""
    lasting = rule.duration
    told = "" if not lasting or re.search(r"\bfor\b", rule.expression) else f" for {lasting // 1_000_000_000} s"
    return f"{rule.expression}{told}"


def _words(name: str) -> str:
    """HighErrorRate and http_error_rate as words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name)


def _worded(text: str) -> tuple[Comparison, Ns, bool] | None:
    """The comparison that prose makes, for how long it has to hold, and whether its window is assumed."""
    if _ELSEWHERE.search(text):
        return None
    lasting, window = _spans(text)
    span = window or USUAL_WINDOW
    found = _compared(text, span)
    return None if found is None else (found, lasting, window is None)


def _compared(text: str, window: Ns) -> Comparison | None:
    share, time = _SHARE.search(text), _TIME.search(text)
    if share is not None:
        limit, inclusive = round(float(share["figure"]) / 100, 9), _inclusive(share)
        if share["above"] and _ERRORS.search(text):
            return Comparison(Signal.ERRORS, limit, window, inclusive=inclusive)
        if share["below"] and _SUCCESS.search(text):
            return Comparison(Signal.ERRORS, round(1 - limit, 9), window, inclusive=inclusive)
        return None
    quantile = _QUANTILE.search(text)
    if time is None or not time["above"] or quantile is None or not _LATENCY.search(text):
        return None
    slower = quantities.duration(time["figure"])
    share_of = round(1 - int(quantile["digits"]) / 10 ** len(quantile["digits"]), 9)
    return None if slower is None else Comparison(Signal.LATENCY, share_of, window, slower=slower)


def _inclusive(found: re.Match[str]) -> bool:
    word = (found["above"] or found["below"] or "").lower()
    return word.endswith("=") or word in ("≥", "≤", "at least")


def _spans(text: str) -> tuple[Ns, Ns | None]:
    """For how long it has to hold, and over what the rate is taken, where the text says so."""
    lasting, window = 0, None
    for figure in quantities.durations(text):
        before = text[: figure.start]
        if _FOR.search(before):
            lasting = int(figure.value)
        elif _OVER.search(before):
            window = int(figure.value)
    return lasting, window
