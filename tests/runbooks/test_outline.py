import pytest

from harness.model.runbook import Branch, BranchKind, SectionKind
from tests.runbooks.reading import manual, read, shape


def sections(text: str) -> list[object]:
    (procedure,) = read(text).procedures
    return [shape(section) for section in procedure.sections]


def test_bold_labels_open_sections_by_what_they_mean() -> None:
    text = (
        "# a\n\n**Symptoms**:\n- slow\n\n**Diagnosis**:\n```bash\ndf -h\n```\n"
        "\n**Mitigation:**\n- Restart `systemctl restart x`\n"
    )
    assert sections(text) == [
        ("symptoms", "Symptoms", {"slow": ["by hand: slow"]}),
        ("diagnosis", "Diagnosis", {"Diagnosis": ["df -h"]}),
        ("resolution", "Mitigation", {"Restart systemctl restart x": ["systemctl restart x"]}),
    ]


def test_a_label_at_the_margin_ends_the_list_before_it() -> None:
    text = "# a\n\n**Investigation**:\n- Check: `df -h`\n**Mitigation**:\n- Clean: `rm -r /tmp/x`\n"
    assert [(one.kind, one.source.line) for one in read(text).procedures[0].sections] == [
        (SectionKind.DIAGNOSIS, 3),
        (SectionKind.RESOLUTION, 5),
    ]


def test_labels_in_bullets_open_sections_too() -> None:
    text = (
        "# a\n\n- **Steps:**\n  1. Do `df -h`\n"
        "- **Rollback:** `kubectl rollout undo deploy/x`\n- **Verification:** `kubectl get pods`\n"
    )
    assert [one.kind.value for one in read(text).procedures[0].sections] == ["other", "rollback", "verification"]


def test_each_heading_with_commands_is_a_procedure_at_its_line() -> None:
    book = read(
        "# Book\n\n## Diagnosis\n\n```bash\ndf -h\n```\n\n## Fix\n\n### Restart\n\n```bash\nls -l\n```\n\n## Notes\n\nnone\n"
    )
    assert [(one.title_path, one.source.line) for one in book.procedures] == [
        (("Book", "Diagnosis"), 3),
        (("Book", "Fix", "Restart"), 11),
    ]
    assert [one.sections[0].kind for one in book.procedures] == [SectionKind.DIAGNOSIS, SectionKind.RESOLUTION]


def test_a_numbered_list_without_commands_is_a_procedure_a_list_of_contacts_is_none() -> None:
    assert [one.title for one in read("# a\n\n## Process\n\n1. Announce\n2. Wait\n").procedures] == ["Process"]
    assert read("# a\n\n## Escalation Path\n\n1. On-call (15 min)\n2. Manager\n").procedures == ()
    assert read("# a\n\n## Contents\n\n1. [x](#x)\n2. [y](#y)\n").procedures == ()


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (("1. Restart it", "2. All is well"), True),
        (("1. **Triage:** Assess the damage", "2. **Review**"), True),
        (("1. Settings → Keys → New", "2. Name"), True),
        (("1. If it is slow, wait",), True),
        (("1. Full backups", "2. Partial backups", "3. Restore points"), False),
        (("1. Evaluating objectives", "2. Responsible: the team on call"), False),
        (("**P0**:", "- Platform down", "- **Resolution time**: 1 hour"), False),
        (("**Recovery**:", "- The job restarts by itself"), False),
        (("**Recovery**:", "- Restore the last backup"), True),
        (("```bash", "# 1. Tag the release", "# 2. Watch it", "```"), True),
    ],
)
def test_without_commands_only_what_tells_somebody_to_do_something_is_a_procedure(
    lines: tuple[str, ...], told: bool
) -> None:
    assert bool(read("\n".join(["# a", "", *lines, ""])).procedures) == told


def test_if_something_opens_a_branch_in_bold_bullets_and_comments() -> None:
    text = (
        "# a\n\n**Resolution**:\n\n**If out of memory**:\n```bash\nkubectl top pods\n```\n\n**If slow**:\n```bash\ndf -h\n"
        "# If full, clean up\nrm -r /tmp/x\n```\n"
    )
    assert sections(text) == [
        (
            "resolution",
            "Resolution",
            ("condition", "If out of memory", {"If out of memory": ["kubectl top pods"]}),
            (
                "condition",
                "If slow",
                {"If slow": ["df -h"]},
                ("condition", "If full, clean up", {"If full, clean up": ["rm -r /tmp/x"]}),
            ),
        )
    ]
    (bullets,) = read("# a\n\n**Mitigation:**\n- If **full**: `rm -r /tmp/x`\n").procedures[0].sections
    assert [item.kind for item in bullets.items if isinstance(item, Branch)] == [BranchKind.CONDITION]


@pytest.mark.parametrize(
    "lines",
    [
        ("# Check", "kubectl get pods", "# or", "docker ps"),
        ("# Kubernetes", "kubectl get pods", "", "# Docker", "docker ps"),
        ("# Option A: cluster", "kubectl get pods", "# Option B: host", "docker ps"),
        ("# Check", "kubectl get pods", "", "# Or on the host", "docker ps"),
    ],
)
def test_ways_to_do_the_same_are_alternatives(lines: tuple[str, ...]) -> None:
    text = "\n".join(["# a", "", "```bash", *lines, "```"])
    (choice,) = read(text).procedures[0].sections[0].items
    assert isinstance(choice, Branch)
    ways = [item for item in choice.items if isinstance(item, Branch)]
    assert [way.kind for way in ways] == [BranchKind.ALTERNATIVE] * 2
    assert [[one.text for step in way.steps() for one in step.commands()] for way in ways] == [
        ["kubectl get pods"],
        ["docker ps"],
    ]


def test_comments_name_the_steps_and_say_what_is_done_by_hand() -> None:
    text = (
        "# a\n\n```bash\n# 1. Merge\n# 2. Verify\ncurl localhost\n"
        "# Expected: ok\n\n# 3. Look at the dashboard\n# Watch the queue\n```\n"
    )
    (procedure,) = read(text).procedures
    assert [(step.number, step.title) for step in procedure.steps()] == [
        ("1", "Merge"),
        ("2", "Verify"),
        ("3", "Look at the dashboard"),
    ]
    assert manual(text) == ["Merge", "Look at the dashboard\nWatch the queue"]


def test_what_leads_in_a_block_names_its_step() -> None:
    (procedure,) = read("# a\n\nThe pods exist. Delete the set:\n```\nkubectl delete sts/x\n```\n").procedures
    assert [step.title for step in procedure.steps()] == ["Delete the set"]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("Check `kubectl get pods`", ["kubectl get pods"]),
        ("Run `scripts/setup.sh` after that", ["scripts/setup.sh"]),
        ("The job runs a `ci_deploy.sh` script", []),
        ("Runs `pg_basebackup` to initialise it", []),
        ("Then `helm upgrade` (or sync)", []),
        ("Use `cf update-user-provided-service` to update it", []),
        ("rollback (Argo `rollout undo`)", []),
        ("Kill it: `select pg_terminate_backend(1);`", ["select pg_terminate_backend(1);"]),
        ("use `CREATE INDEX` with care", []),
        ("Do not run `rm -rf /data`", []),
        ("`rate(errors_total[5m])` returns to 0", ["rate(errors_total[5m])"]),
        ("Threshold: `rate(errors_total[5m]) > 0`", []),
        ("see [`scripts/x.py`](x.py)", []),
        ("logs: `failed to acquire lock`", []),
        ("delete it with `--cascade=orphan`", []),
        ("run the command `tool [staging|production] refresh`", ["tool [staging|production] refresh"]),
        ("Use `kubectl get x` or `tool --all status`", ["kubectl get x", "tool --all status"]),
        ("this can be done using the `kubectl set env` command", []),
        ("Run `pg_restore` against the empty database", []),
        ("see the `pgbouncer Connection Pooling` section", []),
        ("User error - Executing `kubectl delete ns x`", []),
        ("Executing `terraform state rm x`, will remove everything", []),
    ],
)
def test_a_code_span_is_a_command_only_if_it_is_to_be_run(said: str, found: list[str]) -> None:
    assert [one.text for one in read(f"# a\n\n- {said}\n").commands()] == found


def test_among_symptoms_a_code_span_is_what_somebody_saw_unless_the_text_says_to_run_it() -> None:
    book = read(
        "# a\n\n**Symptom:** an error; `curl -I http://x` fails. `No` when running `SHOW SLAVE STATUS\\G`.\n\n"
        "**Symptoms:**\n- Check `kubectl get pods`\n"
    )
    assert [one.text for one in book.commands()] == ["kubectl get pods"]


def test_what_nothing_was_made_of_is_kept_with_its_line() -> None:
    book = read("# a\n\n```yaml\nreplicas: 2\n```\n\n```\n┌──┐\n└──┘\n```\n")
    assert [(one.source.line, one.reason) for one in book.unclassified] == [
        (4, "a block of yaml without commands"),
        (8, "a diagram"),
    ]


def test_variables_the_document_sets_are_no_placeholders() -> None:
    book = read("# a\n\n```bash\nexport NS=prod\nfor p in a b; do echo $p; done\nkubectl -n $NS get pods $POD\n```\n")
    assert [[one.text for one in command.placeholders] for command in book.commands()] == [[], [], ["$POD"]]
