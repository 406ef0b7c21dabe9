"""Which alert rules are looked at in a drill: those of its text that its probes can see, and those of its scenario."""

from harness.errors import Problem
from harness.model.alerting import AlertCondition
from harness.model.runbook import Runbook
from harness.planning.draft import Draft
from harness.runbooks.conditions import said, understood

EXAMPLE = "error rate > 1% for 2m"


def conditions(draft: Draft, runbook: Runbook) -> tuple[AlertCondition, ...]:
    """Each rule once. A rule of the scenario that cannot be read is a problem; those of the text that are about something else
    are counted in a remark."""
    found = [understood(rule) for rule in runbook.alerts if rule.expression]
    elsewhere = sum(condition is None for condition in found)
    if elsewhere:
        draft.remarks.append(
            f"{elsewhere} of the text's {len(found)} alert rules are about what the users' probes do not see"
        )
    for text in draft.scenario.alerts:
        condition = said(text)
        if condition is None:
            remedy = f"write it as `{EXAMPLE}`, `p99 > 500ms for 5m`, or in PromQL with `for 2m` behind it"
            draft.problems.append(
                Problem(f"the alert rule `{text}` says nothing about the probes' answers", None, remedy)
            )
        found.append(condition)
    once = {(each.comparisons, each.lasting): each for each in reversed(found) if each is not None}
    return tuple(reversed(once.values()))
