from tests.runbooks.reading import commands, fence, read


def test_the_language_is_decided_by_the_line_and_the_fence_is_a_hint() -> None:
    assert fence("bash", "# look", "SELECT 1;", "kubectl get pods", "VACUUM ANALYZE;") == [
        (2, "sql", "SELECT 1;"),
        (3, "bash", "kubectl get pods"),
        (4, "sql", "VACUUM ANALYZE;"),
    ]
    assert fence("python", "kubectl set env deploy/x \\", "  A=b", "", "x = f(", "  1)") == [
        (1, "bash", "kubectl set env deploy/x \\\n  A=b"),
        (4, "python", "x = f(\n  1)"),
    ]
    assert fence("yaml", "kubectl get pods", "kubectl get nodes") == [
        (1, "bash", "kubectl get pods"),
        (2, "bash", "kubectl get nodes"),
    ]
    assert fence("console", "sum(rate(http_requests_total[5m])) by (job)") == [
        (1, "promql", "sum(rate(http_requests_total[5m])) by (job)")
    ]


def test_one_statement_is_one_command_however_many_lines_it_takes() -> None:
    assert fence("bash", "SELECT a,", "  b", "FROM t", "LIMIT 1;", "SELECT 2;") == [
        (1, "sql", "SELECT a,\n  b\nFROM t\nLIMIT 1;"),
        (5, "sql", "SELECT 2;"),
    ]
    assert fence("bash", "cat > f << EOF", "not a command", "EOF", "ls -l") == [
        (1, "bash", "cat > f << EOF\nnot a command\nEOF"),
        (4, "bash", "ls -l"),
    ]
    assert fence("sh", "for p in a b; do", "  kubectl delete pod $p", "done") == [
        (1, "bash", "for p in a b; do\n  kubectl delete pod $p\ndone")
    ]
    assert fence("bash", 'psql -c "', "  SELECT 1", '"', "df -h") == [
        (1, "bash", 'psql -c "\n  SELECT 1\n"'),
        (4, "bash", "df -h"),
    ]


def test_a_semicolon_in_quotes_ends_no_statement() -> None:
    assert fence("sql", "SELECT ';'", "FROM t;", "-- note", "SELECT 2;") == [
        (1, "sql", "SELECT ';'\nFROM t;"),
        (4, "sql", "SELECT 2;"),
    ]


def test_output_is_no_command() -> None:
    assert fence("", "$ kubectl get pods", "NAME READY", "$ ls -l \\", "  /tmp", "total 0") == [
        (1, "bash", "kubectl get pods"),
        (3, "bash", "ls -l \\\n  /tmp"),
    ]
    assert fence("bash", "Retrieving logs for app x...", "2019-03-29 10:01 GAUGE cpu:0.09") == []
    assert fence("", "time,rto_seconds,file") == []
    assert fence("shell", "openssl x509 -noout -enddate -in a.crt", "notAfter=Aug  6 13:11:20 2025 GMT") == [
        (1, "bash", "openssl x509 -noout -enddate -in a.crt")
    ]


def test_an_assignment_that_a_comment_places_in_a_file_is_no_command() -> None:
    assert fence("bash", "# Raise the limit in .env", "POOL=20", "", "POOL=20 ./start.sh") == [
        (4, "bash", "POOL=20 ./start.sh")
    ]
    assert fence("python", "# In app/settings.py", "pool = Pool(", "    20,", ")") == []
    assert fence("bash", "# Keep it in a variable", "POOL=20") == [(2, "bash", "POOL=20")]


def test_prompts_tell_who_is_spoken_to() -> None:
    assert fence(
        "", "root@db1:~# systemctl status x", "mysql> SHOW STATUS;", "db1:~$ uptime", "127.0.0.1:6379> KEYS *"
    ) == [
        (1, "bash", "systemctl status x"),
        (2, "sql", "SHOW STATUS;"),
        (3, "bash", "uptime"),
        (4, "other", "KEYS *"),
    ]


def test_a_fence_may_stand_in_a_list_be_indented_too_far_or_never_close() -> None:
    assert commands("# a\n\n1. x:\n   ```bash\n   ls -l\n   ```\n") == [(5, "bash", "ls -l")]
    assert commands("# a\n\n- [ ] x:\n\n      ```bash\n      ls -l\n      ```\n") == [(6, "bash", "ls -l")]
    assert [one.title for one in read("# a\n\n```bash\nls -l\n\n## b\n\n```bash\ndf -h\n```\n").procedures] == [
        "a",
        "b",
    ]


def test_what_an_unclosed_fence_swallowed_is_read_by_itself_and_the_rest_as_it_stands() -> None:
    text = (
        "# a\n\n```bash\nls\n\n## b\n\n```bash\ndf -h\n```\n\n## c\n\nSee [d][e].\n\n```\npwd\n```\n\n[e]: http://x\n"
    )
    book = read(text)
    assert [(one.title, one.source.line) for one in book.procedures] == [("a", 1), ("b", 6), ("c", 12)]
    assert [one.source.line for one in book.commands()] == [4, 9, 17]


def test_one_line_in_three_backticks_opens_no_fence() -> None:
    assert commands("# a\n\nRun:\n```kubectl get pods -n x```\n\n## b\n\n```bash\ndf -h\n```\n") == [
        (4, "bash", "kubectl get pods -n x"),
        (9, "bash", "df -h"),
    ]


def test_other_kinds_of_markdown_are_read_too() -> None:
    assert commands("---\ntitle: x\n---\n# a\n\n{% highlight bash %}\nls -l\n{% endhighlight %}\n") == [
        (7, "bash", "ls -l")
    ]
    assert commands("A\n=\n\n```{code-block} bash\nls -l\n```\n") == [(5, "bash", "ls -l")]
    assert commands('# a\n\n!!! note "x"\n\n    ```bash\n    ls -l\n    ```\n') == [(6, "bash", "ls -l")]
    assert commands("# a\n\n> ```bash\n> ls -l\n> ```\n") == [(4, "bash", "ls -l")]
    assert commands("# a\n\n<pre><code>\nkubectl get pods\n</code></pre>\n") == [(4, "bash", "kubectl get pods")]


def test_what_follows_a_console_or_a_shell_elsewhere_belongs_to_its_session() -> None:
    book = read("# a\n\n```bash\npsql -h db\n\\dt\nSELECT 1;\n\\q\ndf -h\n```\n")
    assert [one.context for one in book.commands()] == [(), ("psql -h db",), ("psql -h db",), ("psql -h db",), ()]
    book = read("# a\n\n```bash\nkubectl exec -it web -- bash\ncd /var/log\nls -l\nkubectl get pods\n```\n")
    assert [(one.context, one.directory) for one in book.commands()] == [
        ((), ""),
        (("kubectl exec -it web -- bash",), ""),
        (("kubectl exec -it web -- bash",), "/var/log"),
        ((), "/var/log"),
    ]
    book = read("# a\n\n```bash\n# look\n# In psql:\nSELECT 1;\nredis-cli\nFLUSHDB\n```\n")
    assert [(one.context, one.language.value, one.destructive) for one in book.commands()] == [
        (("psql",), "sql", False),
        ((), "bash", False),
        (("redis-cli",), "other", True),
    ]
