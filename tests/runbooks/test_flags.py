import pytest

from tests.runbooks.reading import command, read


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("psql -h db -U app", "interactive"),
        ("psql -h db -c 'SELECT 1'", ""),
        ("psql -h db < dump.sql", "destructive"),
        ("mysql -u root -p", "interactive"),
        ("kubectl edit configmap x", "interactive"),
        ("kubectl exec -it web -- /bin/bash", "interactive"),
        ("kubectl exec -it web -- df -h", "tty"),
        ("kubectl exec web -- rm -rf /data", "destructive"),
        ("kubectl debug -it web --image=busybox", "interactive"),
        ("kubectl run t --rm -it --image=busybox -- sh -c 'nc -z db 5432'", "tty"),
        ("docker exec -it c1 bash", "interactive"),
        ("ssh admin@host", "interactive"),
        ("ssh admin@host 'systemctl restart x'", ""),
        ("ssh admin@host 'docker rm -f c1'", "destructive"),
        ("vi /etc/hosts", "interactive"),
        ("read -p 'sure? ' answer", "interactive"),
        ("redis-cli", "interactive"),
        ("heroku run rails console -a x", "interactive"),
        ("kubectl logs -f deploy/x", "blocking"),
        ("kubectl get pods -w", "blocking"),
        ("kubectl apply -f x.yaml", ""),
        ("docker-compose -f a.yaml logs web", ""),
        ("docker-compose logs -f web", "blocking"),
        ("docker stats", "blocking"),
        ("docker stats --no-stream", ""),
        ("kubectl port-forward svc/x 80:80", "blocking"),
        ("kubectl port-forward svc/x 80:80 &", ""),
        ("cf ssh -N -T -L 8080:localhost:8080 app", "blocking"),
        ("watch du -sh /data", "blocking"),
        ("tail -f /var/log/x", "blocking"),
        ("tail -n 50 /var/log/x", ""),
        ("redis-cli --latency", "blocking"),
        ("while true; do sleep 1; done", "blocking"),
        ("ping -c 3 host", ""),
        ("kubectl delete pod x", "destructive"),
        ("kubectl delete pod x --dry-run=client", ""),
        ("kubectl scale deploy/x --replicas=0", "destructive"),
        ("kubectl scale deploy/x --replicas 0 || true", "destructive"),
        ("kubectl scale deploy/x --replicas=5", ""),
        ("kubectl rollout restart deploy/x", ""),
        ("kubectl drain node1", "destructive"),
        ("kubectl exec redis -- redis-cli --scan | xargs redis-cli DEL", "destructive"),
        ("redis-cli FLUSHDB", "destructive"),
        ("redis-cli CONFIG SET maxmemory-policy allkeys-lru", ""),
        ("docker system prune -a --volumes", "interactive destructive"),
        ("docker system prune -af", "destructive"),
        ("docker compose rm web", "interactive destructive"),
        ("yes | docker system prune", "destructive"),
        ("terraform apply", "interactive"),
        ("terraform apply -auto-approve", ""),
        ("terraform apply -target=module.x", "interactive"),
        ("terraform apply plan.out", ""),
        ("terraform plan", ""),
        ("gcloud sql backups restore 1 --restore-instance=x", "interactive destructive"),
        ("gcloud sql databases delete x --quiet", "destructive"),
        ("apt-get update", ""),
        ("sudo apt-get upgrade", "interactive"),
        ("sudo apt-get upgrade -qy", ""),
        ("ansible-vault encrypt secrets.yml", "interactive"),
        ("ansible-vault encrypt --vault-password-file=p secrets.yml", ""),
        ("ansible-playbook site.yml --ask-become-pass", "interactive"),
        ("heroku pg:backups:restore b001 --confirm x", "destructive"),
        ("git revert 1a2b", "interactive"),
        ("git revert --no-edit 1a2b", ""),
        ("git commit -am 'x'", ""),
        ("python manage.py flush", "interactive destructive"),
        ("python manage.py migrate", ""),
        ("ssh-keygen -t ed25519 -f k", "interactive"),
        ("ssh-keygen -t ed25519 -f k -N ''", ""),
        ("rm -i x", "interactive destructive"),
        ("openssl req -new -key k.pem -out r.csr", "interactive"),
        ("openssl req -new -key k.pem -subj /CN=x", ""),
        ("go tool pprof heap.prof", "interactive"),
        ("go tool pprof -top heap.prof", ""),
        ("make db-shell", "interactive"),
        ("kubectl get ns x -o json | kubectl replace --raw /api/v1/namespaces/x/finalize -f -", "destructive"),
        ("psql -c 'SELECT pg_stat_statements_reset()'", "destructive"),
        ("find /var/log -name '*.log' -delete", "destructive"),
        ("sudo systemctl stop x", "destructive"),
        ("aws secretsmanager update-secret --secret-id x --secret-string y", "destructive"),
        ("aws ec2 terminate-instances --instance-ids i-1", "destructive"),
        ("aws s3 ls s3://b", ""),
        ("gcloud --project p compute disks delete d", "interactive destructive"),
        ("psql -c 'TRUNCATE t'", "destructive"),
        ("psql -c 'SELECT pg_terminate_backend(1)'", "destructive"),
        ("pg_ctl promote", "destructive"),
        ("celery -A app purge", "destructive"),
        ("echo 'do not rm -rf /'", ""),
        ("grep delete log.txt", ""),
        ("> /var/log/x.log", "destructive"),
        ("docker logs x > logs.txt", ""),
        ("kubectl exec db -- mysql <<EOF\nSTOP SLAVE;\nEOF", "destructive"),
        ("terraform destroy", "interactive destructive"),
        ("git push --force", "destructive"),
        ("curl -X DELETE localhost/x", "destructive"),
    ],
)
def test_the_flags_follow_from_what_is_started(text: str, expected: str) -> None:
    one = command(text)
    flags = {"interactive": one.interactive, "blocking": one.blocking, "tty": one.tty, "destructive": one.destructive}
    assert [name for name, value in flags.items() if value] == expected.split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DELETE FROM t;", True),
        ("UPDATE t SET a = 1;", True),
        ("DROP TABLE t;", True),
        ("select pg_drop_replication_slot('s');", True),
        ("WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x;", True),
        ("SELECT * FROM t FOR UPDATE;", False),
        ("SELECT 'drop table';", False),
        ("EXPLAIN DELETE FROM t;", False),
        ("EXPLAIN ANALYZE DELETE FROM t;", True),
        ("CREATE INDEX i ON t(a);", False),
        ("VACUUM ANALYZE;", False),
        ("STOP SLAVE;", True),
    ],
)
def test_sql_is_destructive_by_its_words_outside_of_quotes(text: str, expected: bool) -> None:
    assert command(text, "sql").destructive is expected


def test_a_command_line_is_taken_apart() -> None:
    one = command("kubectl -n prod exec deploy/redis -c main -- redis-cli INFO | grep used")
    kubectl, grep = one.invocations
    assert (kubectl.program, kubectl.verb, kubectl.object, kubectl.namespace, kubectl.container) == (
        "kubectl",
        "exec",
        "deploy/redis",
        "prod",
        "main",
    )
    assert kubectl.inner == ("redis-cli", "INFO")
    assert (grep.program, grep.argv, grep.where) == ("grep", ("grep", "used"), "operator")
    (scale,) = command("sudo kubectl scale deployment api --replicas=2 -l app=x --namespace=y").invocations
    assert (scale.verb, scale.object, scale.selector, scale.namespace) == ("scale", "deployment/api", "app=x", "y")
    (compose,) = command("docker compose -f a.yaml exec web rails c").invocations
    assert (compose.verb, compose.object, compose.inner) == ("compose exec", "web", ("rails", "c"))


def test_a_command_in_a_session_runs_there() -> None:
    book = read("# a\n\n```bash\nssh db1\nsystemctl restart x\n```\n")
    assert [[call.where for call in one.invocations] for one in book.commands()] == [["operator"], ["ssh db1"]]


def test_an_assignment_is_a_command_that_sets_a_variable() -> None:
    one = command("POOL=20")
    assert (one.language.value, one.sets, one.invocations) == ("bash", ("POOL",), ())
