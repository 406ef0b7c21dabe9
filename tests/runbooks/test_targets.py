import pytest

from harness.model.units import SECOND
from tests.runbooks.reading import read

MINUTE = 60 * SECOND


def found(text: str) -> list[tuple[str, float, int]]:
    return [(one.kind.value, one.value, one.source.line) for one in read(f"# Recovery\n\n{text}\n").targets]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- **RTO**: < 30s.", [("rto", 30 * SECOND)]),
        ("- **RPO**: up to 5 min (last archive).", [("rpo", 5 * MINUTE)]),
        ("- **RTO**: < 5 min for rotation; < 1h for the rest.", [("rto", 5 * MINUTE), ("rto", 60 * MINUTE)]),
        ("- **RTO**: per receiver (typically < 1h).## Next", [("rto", 60 * MINUTE)]),
        ("- Recovery Point Objective (RPO): 15 minutes", [("rpo", 15 * MINUTE)]),
        ("Restore and confirm the **RTO ≤ 1 hour**.", [("rto", 60 * MINUTE)]),
        ("We promise a 15-minute RPO.", [("rpo", 15 * MINUTE)]),
        ("RTO/RPO: 4h/1h", [("rto", 240 * MINUTE), ("rpo", 60 * MINUTE)]),
        ("RTO: 1h 30m", [("rto", 90 * MINUTE)]),
        ("RTO: 2-4 hours", [("rto", 240 * MINUTE)]),
        ("RPO 0 for tier 1 needs more than we run.", []),
        ("Measured RTO: 23 min", []),
        ("Ensure measured RPO/RTO values remain within objectives.", []),
        ("RPO reviewed every 30 days", []),
        ("*RTO: 8 hours | RPO: 120 seconds | MTTR: 1-3 days*", [("rto", 480 * MINUTE), ("rpo", 2 * MINUTE)]),
        ("Failures carry a 45-minute RTO with a tested procedure.", [("rto", 45 * MINUTE)]),
        ("Estimated Recovery Time: 30-60 minutes", []),
        ("Whoever needs a tighter RPO than 24h moves on.", []),
        ("Gateway uptime (SLO 99.9% monthly)", [("availability", 0.999)]),
        ("Confirm SLOs (availability ≥ 99.95%, Apdex ≥ 0.85)", [("availability", 0.9995)]),
        ("Page when availability drops below 99.9%", []),
        ("Error budget: 0.1% per month", [("error_budget", 0.001)]),
        ("Our target is an error rate < 0.5%", [("error_rate", 0.005)]),
        ("Alert at error rate > 1%", []),
        ("**SLA**: Restore within 5 minutes", [("rto", 5 * MINUTE)]),
        ("**SLA**: Investigate within 15 minutes", []),
        ("Pods recover within 30 seconds.", []),
    ],
)
def test_objectives_in_prose_and_bullets_are_told_from_figures_that_are_none(
    text: str, expected: list[tuple[str, float]]
) -> None:
    assert found(text) == [(kind, value, 3) for kind, value in expected]


def test_objectives_are_read_from_the_columns_of_a_table_cell_by_cell() -> None:
    text = (
        "| Service | RTO (down) | RPO | Strategy |\n|--|--|--|--|\n"
        "| API | 5 min | 0 (at rest), 5 min (in stream) | WAL every 5 min |\n"
        "| Queue | 1 hour | all unsent | – |\n"
    )
    assert found(text) == [("rto", 5 * MINUTE, 5), ("rpo", 0, 5), ("rpo", 5 * MINUTE, 5), ("rto", 60 * MINUTE, 6)]
    assert {one.subject for one in read(f"# a\n\n{text}").targets} == {"API", "Queue"}


def test_objectives_are_read_from_the_rows_of_a_table_and_thresholds_are_alerts() -> None:
    book = read(
        "# a\n\n| Metric | Target | Alert Threshold |\n|--|--|--|\n"
        "| Availability | 99.95% | < 99.9% over 5m |\n| Latency (p95) | < 300ms | > 1s |\n"
        "| RTO (Recovery Time) | ≤ 30m | – |\n"
    )
    assert [(one.kind.value, one.value, one.quantile) for one in book.targets] == [
        ("availability", 0.9995, None),
        ("latency", 300_000_000, 0.95),
        ("rto", 30 * MINUTE, None),
    ]
    assert [(one.name, one.expression, one.duration) for one in book.alerts] == [
        ("Availability", "< 99.9% over 5m", 5 * MINUTE),
        ("Latency (p95)", "> 1s", None),
    ]


def test_other_rows_of_a_table_of_objectives_are_none_and_a_budget_beside_availability_is_the_same_one() -> None:
    text = (
        "| SLO | Target | Window | Error Budget |\n|--|--|--|--|\n"
        "| API availability | ≥ 99.9% | 30 days | 43m 12s |\n| Apdex | ≥ 0.85 | – | – |\n"
    )
    assert found(text) == [("availability", 0.999, 5)]


def test_a_glossary_states_no_objective_and_a_cell_only_in_its_first_sentence() -> None:
    assert found("| Term | Definition |\n|--|--|\n| **RTO** | How long. An RTO of 30 minutes means … |") == []
    text = "| Limit | Value |\n|--|--|\n| RTO | ~15 min for one database. Larger ones took 10 min more. |"
    assert found(text) == [("rto", 15 * MINUTE, 5)]


def test_objectives_are_read_from_drawings() -> None:
    assert found("```\n│ RTO: < 2 min   RPO: < 5 min │\n```") == [("rto", 2 * MINUTE, 4), ("rpo", 5 * MINUTE, 4)]


def test_alert_rules_are_read_from_prose_headings_and_prometheus() -> None:
    book = read(
        "# Book\n\n**Alert:** `RedisDown` / `RedisSlow`\n\n"
        "- `PgLag` alert fires when lag > 60s for 5m\n\n## KubePodCrashLooping\n\n"
        "```yaml\n- alert: HighLoad\n  expr: load > 5\n  for: 10m\n```\n"
    )
    assert [(one.name, one.source.line, one.duration) for one in book.alerts] == [
        ("RedisDown", 3, None),
        ("RedisSlow", 3, None),
        ("PgLag", 5, 5 * MINUTE),
        ("KubePodCrashLooping", 7, None),
        ("HighLoad", 10, 10 * MINUTE),
    ]


def test_response_times_are_read_by_severity() -> None:
    book = read(
        "# a\n\n**P0 - Critical**:\n- Response time: Immediate\n\n**P1 - High**:\n- Response time: 15 minutes\n\n"
        "- **Sev2:** slow; ACK <10 min, updates later\n\n| Level | Response Time |\n|--|--|\n| Low | 24 hours |\n"
    )
    assert [(one.severity, one.within) for one in book.response_times] == [
        ("P0 - Critical", None),
        ("P1 - High", 15 * MINUTE),
        ("Sev2", 10 * MINUTE),
        ("Low", 24 * 60 * MINUTE),
    ]
