"""Alert rules as people word them, in the terms of a drill's samples; and what is about something else is left alone."""

import pytest

from harness.model.alerting import USUAL_WINDOW, Comparison, Signal
from harness.model.units import Ns, milliseconds, minutes, seconds
from harness.runbooks import parse
from harness.runbooks.conditions import said, understood

ERRORS, LATENCY = Signal.ERRORS, Signal.LATENCY


@pytest.mark.parametrize(
    ("text", "share", "window", "lasting"),
    [
        ("error rate > 1% for 2m", 0.01, USUAL_WINDOW, minutes(2)),
        ("Error rate exceeds 5% for more than 5 minutes", 0.05, USUAL_WINDOW, minutes(5)),
        ("5xx rate > 0.1% of total", 0.001, USUAL_WINDOW, 0),
        ("error rate above 2.5% over the last 10 minutes", 0.025, minutes(10), 0),
        ("HTTP 5xx over 5% within 1 minute for 30s", 0.05, minutes(1), seconds(30)),
        ("availability < 99.9% for 5m", 0.001, USUAL_WINDOW, minutes(5)),
        ("success rate drops below 95%", 0.05, USUAL_WINDOW, 0),
        (
            'sum(rate(http_requests_total{status=~"5.."}[5m])) / sum(rate(http_requests_total[5m])) > 0.05',
            0.05,
            minutes(5),
            0,
        ),
        ('sum(rate(r{code=~"5.*"}[1m])) / sum(rate(r[1m])) * 100 > 5 for 2m', 0.05, minutes(1), minutes(2)),
        ("100 * rate(errors_total[2m]) / rate(requests_total[2m]) > 1", 0.01, minutes(2), 0),
        ('1 - sum(rate(r{code=~"2.."}[5m])) / sum(rate(r[5m])) > 14.4 * 0.001', 0.0144, minutes(5), 0),
        ('sum(rate(r{code!~"5.."}[5m])) / sum(rate(r[5m])) < 0.99', 0.01, minutes(5), 0),
        ("0.05 < rate(failures_total[5m]) / rate(calls_total[5m])", 0.05, minutes(5), 0),
        ("job:slo_errors_per_request:ratio_rate5m > 0.02", 0.02, minutes(5), 0),
    ],
)
def test_a_share_of_bad_answers_is_read(text: str, share: float, window: Ns, lasting: Ns) -> None:
    condition = said(text)
    assert condition is not None
    assert condition.comparisons == (Comparison(ERRORS, share, window),)
    assert condition.lasting == lasting
    assert condition.assumed is (window == USUAL_WINDOW and "1m" not in text and "1 minute" not in text)


@pytest.mark.parametrize(
    ("text", "share", "slower", "window"),
    [
        ("p99 > 500ms", 0.01, milliseconds(500), USUAL_WINDOW),
        ("p95 latency above 3s for 5m", 0.05, seconds(3), USUAL_WINDOW),
        ("P999 response time > 2 seconds over 10 minutes", 0.001, seconds(2), minutes(10)),
        (
            "histogram_quantile(0.99, sum by (le) (rate(h_seconds_bucket[5m]))) > 0.5",
            0.01,
            milliseconds(500),
            minutes(5),
        ),
        ("histogram_quantile(0.5, rate(h_duration_ms_bucket[1m])) >= 250", 0.5, milliseconds(250), minutes(1)),
    ],
)
def test_a_quantile_of_latency_is_a_share_of_slow_answers(text: str, share: float, slower: Ns, window: Ns) -> None:
    condition = said(text)
    assert condition is not None
    assert condition.comparisons == (Comparison(LATENCY, share, window, slower=slower),)


def test_a_target_that_is_down_is_one_all_of_whose_answers_are_bad() -> None:
    condition = said('up{job="api"} == 0 for 1m')
    assert condition is not None
    assert condition.comparisons == (Comparison(ERRORS, 1.0, seconds(15), inclusive=True),)
    assert condition.lasting == minutes(1)


def test_both_windows_of_a_burn_rate_have_to_hold() -> None:
    ratio = 'sum(rate(r{code=~"5.."}[{w}])) / sum(rate(r[{w}])) > (14.4 * 0.001)'
    condition = said(f"{ratio.replace('{w}', '1h')} and {ratio.replace('{w}', '5m')}")
    assert condition is not None
    assert [(each.share, each.window) for each in condition.comparisons] == [
        (0.0144, minutes(60)),
        (0.0144, minutes(5)),
    ]
    assert not condition.assumed


@pytest.mark.parametrize(
    "text",
    [
        "replication lag > 60s",
        "Redis memory usage > 80%",
        "> 80% of max_connections",
        "failed login rate > 10%",
        "error budget burn > 10%",
        "cache miss rate > 20%",
        "queue depth > 1000",
        "latency > 2s",  # of which answers?
        "error rate < 1%",
        "availability > 99%",
        "errors > 10 in 5 minutes",  # a number, not a share: it depends on the traffic
        "rate(http_requests_total[5m]) > 100",
        'node_filesystem_avail_bytes{mountpoint="/"} < 1e9',
        "up == 1",
        "sum(rate(errors_total[5m])) > 10",
        "something is wrong",
        "",
    ],
)
def test_what_is_about_something_else_is_not_guessed_at(text: str) -> None:
    assert said(text) is None


TEXT = """# Service

## Alerts

```yaml
- alert: HighErrorRate
  expr: sum(rate(http_requests_total{status=~"5.."}[5m])) / sum(rate(http_requests_total[5m])) > 0.05
  for: 2m
  labels:
    severity: critical
- alert: DiskFull
  expr: node_filesystem_avail_bytes < 1e9
```

| Metric | Warning |
|---|---|
| Error rate | > 1% for 5 minutes |
| p95 latency | > 800 ms |
| CPU | > 80% |
"""


def test_the_rules_of_a_text_are_read_with_their_lines() -> None:
    rules = parse(TEXT, "runbook.md").alerts
    found = {rule.name: understood(rule) for rule in rules}
    assert {name for name, condition in found.items() if condition is None} == {"DiskFull", "CPU"}
    high = found["HighErrorRate"]
    assert high is not None
    assert high.comparisons == (Comparison(ERRORS, 0.05, minutes(5)),)
    assert high.lasting == minutes(2)
    assert str(high.source) == "runbook.md:6"
    assert high.text.endswith("> 0.05 for 120 s")
    rate, latency = found["Error rate"], found["p95 latency"]
    assert rate is not None
    assert latency is not None
    assert (rate.comparisons, rate.lasting) == ((Comparison(ERRORS, 0.01),), minutes(5))
    assert latency.comparisons == (Comparison(LATENCY, 0.05, slower=milliseconds(800)),)
