"""What psql prints is read for figures, and nothing else is."""

import pytest

from harness.executors.sql import argv, figures
from harness.ports import Peer

KILL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle'"


@pytest.mark.parametrize(
    ("text", "printed", "expected"),
    [
        ("SELECT 1", " ?column? \n----------\n        1\n(1 row)\n", {"rows": 1}),
        ("SELECT 1 WHERE false", " ?column? \n----------\n(0 rows)\n", {"rows": 0}),
        (KILL, " pg_terminate_backend \n----\n t\n f\n t\n(3 rows)\n", {"rows": 3, "terminated": 2}),
        (KILL, " pg_terminate_backend \n----\n(0 rows)\n", {"rows": 0, "terminated": 0}),
        ("UPDATE t SET a = 1", "UPDATE 7\n", {"tag": "UPDATE 7", "rows": 7}),
        ("INSERT INTO t VALUES (1)", "INSERT 0 1\n", {"tag": "INSERT 0 1", "rows": 1}),
        ("CREATE INDEX i ON t(a)", "CREATE INDEX\n", {"tag": "CREATE INDEX"}),
        ("VACUUM ANALYZE", "VACUUM\n", {"tag": "VACUUM"}),
        ("\\dt", "no relations\n", {}),
    ],
)
def test_rows_tags_and_terminated_sessions_are_read_from_psqls_output(text, printed, expected) -> None:
    assert figures(text, printed) == expected


def test_sql_goes_to_the_host_name_the_operator_would_use() -> None:
    line = argv("SELECT 1", Peer("db.prod.internal", 5432), database="inventory", role="user")
    assert line[:9] == ("psql", "-h", "db.prod.internal", "-p", "5432", "-U", "user", "-d", "inventory")
    assert line[-2:] == ("-c", "SELECT 1")
    assert "ON_ERROR_STOP=1" in line
