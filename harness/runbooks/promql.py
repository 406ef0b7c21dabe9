"""Alert expressions in PromQL, as far as they compare shares of bad or slow answers with a number; None for all others."""

import re
from collections.abc import Iterator
from datetime import timedelta

import promql_parser as promql

from harness.model.alerting import USUAL_WINDOW, Comparison, Signal
from harness.model.units import SECOND, Ns, milliseconds, seconds
from harness.runbooks import quantities

SCRAPE: Ns = seconds(15)
"""How often a target is usually asked whether it is up."""

_STATUS = re.compile(r"^(?:\w+_)?(?:status|code|status_code|http_status|response_code)(?:_\w+)?$")
_OUTCOME = re.compile(r"^(?:outcome|result|status|type|classification)$")
_FAILED = re.compile(r"err|fail|exception", re.IGNORECASE)
_SUCCEEDED = re.compile(r"success|succeeded|good|\bok\b", re.IGNORECASE)
_RECORDED = re.compile(r"err\w*[:_]\w*(?:ratio|rate|percent)|(?:ratio|rate|percent)\w*[:_]\w*err", re.IGNORECASE)
_FLIPPED = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "==": "=="}


def comparisons(text: str) -> tuple[Comparison, ...] | None:
    """What all has to hold, None where the expression is no PromQL, or compares something else."""
    try:
        found = promql.parse(text)
    except ValueError:
        return None
    return _all(found)


def windowless(text: str) -> bool:
    """Whether no range stands in it."""
    return not re.search(r"\[\s*\d|[a-z_:]\d+[smhd]\b", text)


def _all(expression: promql.Expr) -> tuple[Comparison, ...] | None:
    expression = _bare(expression)
    if not isinstance(expression, promql.BinaryExpr):
        return None
    operator = str(expression.op)
    if operator == "and":
        left, right = _all(expression.lhs), _all(expression.rhs)
        return left + right if left and right else None
    if operator not in _FLIPPED:
        return None
    measured, limit = expression.lhs, _constant(expression.rhs)
    if limit is None:
        measured, limit, operator = expression.rhs, _constant(expression.lhs), _FLIPPED[operator]
    one = None if limit is None else _one(_bare(measured), operator, limit)
    return (one,) if one else None


def _one(measured: promql.Expr, operator: str, limit: float) -> Comparison | None:
    if operator == "==":
        alive = isinstance(measured, promql.VectorSelector) and measured.name in ("up", "probe_success")
        return Comparison(Signal.ERRORS, 1.0, SCRAPE, inclusive=True) if alive and limit == 0 else None
    above, inclusive = operator[0] == ">", operator.endswith("=")
    measured, factor = _unscaled(measured)
    limit /= factor
    if isinstance(measured, promql.BinaryExpr) and str(measured.op) == "/":  # 100 * a / b is (100 * a) / b
        limit /= _unscaled(_bare(measured.lhs))[1]
    if isinstance(measured, promql.Call) and measured.func.name == "histogram_quantile" and above:
        quantile = _constant(measured.args[0])
        unit = milliseconds(1) if re.search(r"_ms\b|_ms_|millis", str(measured)) else SECOND
        slower = round(limit * unit)
        return (
            None
            if quantile is None
            else Comparison(Signal.LATENCY, round(1 - quantile, 9), _window(measured), slower=slower)
        )
    complement = _complement(measured)
    if complement is not None and above:
        return _share(limit, complement, inclusive=inclusive) if _succeeding(complement) else None
    if above and _failing(measured):
        return _share(limit, measured, inclusive=inclusive)
    if not above and _succeeding(measured):
        return _share(1 - limit, measured, inclusive=inclusive)
    return None


def _share(limit: float, measured: promql.Expr, *, inclusive: bool) -> Comparison | None:
    share = round(limit, 9)
    return Comparison(Signal.ERRORS, share, _window(measured), inclusive=inclusive) if 0 <= share <= 1 else None


def _bare(expression: promql.Expr) -> promql.Expr:
    while isinstance(expression, promql.ParenExpr):
        expression = expression.expr
    return expression


def _constant(expression: promql.Expr) -> float | None:
    """The number that the expression is, by itself or by arithmetic."""
    expression = _bare(expression)
    if isinstance(expression, promql.NumberLiteral):
        return float(expression.val)
    if isinstance(expression, promql.BinaryExpr):
        left, right = _constant(expression.lhs), _constant(expression.rhs)
        if left is None or right is None:
            return None
        match str(expression.op):
            case "*":
                return left * right
            case "/" if right:
                return left / right
            case "+":
                return left + right
            case "-":
                return left - right
            case _:
                return None
    return None


def _unscaled(expression: promql.Expr) -> tuple[promql.Expr, float]:
    """What is measured, without a constant that it is multiplied by (per cent)."""
    if isinstance(expression, promql.BinaryExpr) and str(expression.op) == "*":
        left, right = _constant(expression.lhs), _constant(expression.rhs)
        if left:
            return _bare(expression.rhs), left
        if right:
            return _bare(expression.lhs), right
    return expression, 1.0


def _complement(expression: promql.Expr) -> promql.Expr | None:
    """What is taken from one."""
    if isinstance(expression, promql.BinaryExpr) and str(expression.op) == "-" and _constant(expression.lhs) == 1:
        return _bare(expression.rhs)
    return None


def _numerator(expression: promql.Expr) -> promql.Expr | None:
    """What is divided by all; a recorded ratio stands for itself."""
    expression = _bare(expression)
    if isinstance(expression, promql.BinaryExpr) and str(expression.op) == "/":
        return expression.lhs
    return expression if isinstance(expression, promql.VectorSelector) else None


def _failing(expression: promql.Expr) -> bool:
    """Whether it is the share of failures."""
    numerator = _numerator(expression)
    if isinstance(numerator, promql.VectorSelector):
        return bool(_RECORDED.search(numerator.name or ""))
    return numerator is not None and any(_failures(each) for each in _selectors(numerator))


def _succeeding(expression: promql.Expr) -> bool:
    """Whether it is the share of successes."""
    numerator = _numerator(expression)
    if isinstance(numerator, promql.VectorSelector):
        return bool(re.search(r"availability|success\w*[:_]\w*(?:ratio|rate)", numerator.name or ""))
    return numerator is not None and any(_successes(each) for each in _selectors(numerator))


def _failures(selector: promql.VectorSelector) -> bool:
    for matcher in selector.matchers.matchers:
        equal = "Not" not in str(matcher.op)
        if _STATUS.match(matcher.name) and (
            matcher.value.startswith(("5", "[45]", "(5")) if equal else "2" in matcher.value
        ):
            return True
        if _OUTCOME.match(matcher.name) and equal and _FAILED.search(matcher.value):
            return True
    return bool(_FAILED.search(selector.name or ""))


def _successes(selector: promql.VectorSelector) -> bool:
    for matcher in selector.matchers.matchers:
        equal = "Not" not in str(matcher.op)
        if _STATUS.match(matcher.name) and (
            matcher.value.startswith(("2", "[23]", "(2")) if equal else "5" in matcher.value
        ):
            return True
        if _OUTCOME.match(matcher.name) and equal and _SUCCEEDED.search(matcher.value):
            return True
    return bool(_SUCCEEDED.search(selector.name or ""))


def _window(expression: promql.Expr) -> Ns:
    """The longest range in it; that of a recorded ratio stands in its name."""
    ranges = [each.range for each in _below(expression) if isinstance(each, promql.MatrixSelector)]
    if ranges:
        return round(max(ranges) / timedelta(microseconds=1)) * 1000
    named = [re.search(r"\d+[smhd]$", each.name or "") for each in _selectors(expression)]
    recorded = [quantities.duration(found.group()) for found in named if found]
    return next((window for window in recorded if window), USUAL_WINDOW)


def _selectors(expression: promql.Expr) -> Iterator[promql.VectorSelector]:
    for each in _below(expression):
        if isinstance(each, promql.VectorSelector):
            yield each


def _below(expression: promql.Expr) -> Iterator[promql.Expr]:
    """The expression and all its parts."""
    yield expression
    match expression:
        case promql.BinaryExpr():
            yield from _below(expression.lhs)
            yield from _below(expression.rhs)
        case promql.MatrixSelector():
            yield expression.vector_selector
        case promql.Call():
            for each in expression.args:
                yield from _below(each)
        case promql.AggregateExpr() | promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            yield from _below(expression.expr)
        case _:
            pass
