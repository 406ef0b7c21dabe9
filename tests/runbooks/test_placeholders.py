import pytest

from tests.runbooks.reading import command, read


def found(text: str, info: str = "bash") -> list[str]:
    return [one.text for one in command(text, info).placeholders]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kubectl logs <pod-name> -n <ns>", ["<pod-name>", "<ns>"]),
        ("kubectl describe <statefulset|deployment> x", ["<statefulset|deployment>"]),
        ("snapshot=<e.g. arn:aws:rds:eu:1:snapshot:x>", ["<e.g. arn:aws:rds:eu:1:snapshot:x>"]),
        ("python -m drill --url=$DATABASE_URL", ["$DATABASE_URL"]),
        ("kubectl -n ${NAMESPACE} get pods", ["${NAMESPACE}"]),
        ("echo ${REGION:-eu} $HOME $1 $?", []),
        ("kubectl exec web -- sh -c 'echo $INSIDE'", []),
        ("kubectl get pod POD_NAME -n NAMESPACE", ["POD_NAME", "NAMESPACE"]),
        ("kubectl exec svc/CLUSTER-rw -- ls /", ["CLUSTER"]),
        ("gsutil ls gs://BUCKET/x", ["BUCKET"]),
        ("aws s3 ls s3://your-bucket/x", ["your-bucket"]),
        ("cf tail my-app-name -c metrics", ["my-app-name"]),
        ("cf env app-name", ["app-name"]),
        ("kubectl get pod [pod-name]", ["[pod-name]"]),
        ("kubectl get pod {{pod}} {node-name}", ["{{pod}}", "{node-name}"]),
        ("docker ps --format '{{.Names}}'", []),
        ("kubectl get pods -o jsonpath='{range .items[*]}{end}'", []),
        ("aws ec2 modify-volume --volume-id vol-xxx --size 100", ["vol-xxx"]),
        ("tar -xzf /path/to/backup.tar.gz", ["/path/to/backup.tar.gz"]),
        ("gsutil cp gs://b/YYYY-MM-DD.gz .", ["YYYY-MM-DD"]),
        (
            'aws secretsmanager update-secret --secret-string \'{"u":"postgres://...@db:5432/..."}\'',
            ["postgres://...@db:5432/..."],
        ),
        ("aws rds x --db ${db-instance-name}", ["${db-instance-name}"]),
        ("a=1; echo ${a-none} ${b:-other}", []),
        ("tool [staging|production] refresh", ["[staging|production]"]),
        ("curl -u AKIAXXXXXXXX:YYYYYYYYYYYY localhost", ["AKIAXXXXXXXX", "YYYYYYYYYYYY"]),
        ("tar -tf /backup/all_year-month-day.tar.gz", ["year-month-day"]),
        ("export PREFIX=shop   # becomes shop-YYYY-MM-DD", []),
        ("go test ./...", []),
        ("git log main...feature", []),
        ("curl -X POST localhost | grep ERROR", []),
        ("redis-cli CONFIG GET maxmemory", []),
        ("sort < in > out", []),
    ],
)
def test_a_placeholder_is_what_the_operator_must_supply(text: str, expected: list[str]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT pg_terminate_backend(<pid>);", ["<pid>"]),
        ("SELECT pg_drop_replication_slot('slot_name');", ["slot_name"]),
        ("SELECT slot_name, user_id FROM pg_replication_slots;", []),
        ("ALTER SUBSCRIPTION subscription_name ENABLE;", ["subscription_name"]),
        ("SELECT a FROM t WHERE a < 1 AND b > 2;", []),
        ("EXPLAIN ANALYZE SELECT ...;", ["..."]),
    ],
)
def test_sql_has_placeholders_too(text: str, expected: list[str]) -> None:
    assert found(text, "sql") == expected


def test_each_placeholder_stands_once_at_its_own_line() -> None:
    (one,) = read("# a\n\n```bash\nkubectl patch x \\\n  -n <ns> -p <patch> <ns>\n```\n").commands()
    assert [(hole.text, hole.source.line) for hole in one.placeholders] == [("<ns>", 5), ("<patch>", 5)]
