"""Many trials on the page: the curve with its RTO, a mark a trial; and the claim in one sentence that says all that bounds it."""

import re
from dataclasses import replace

from harness.checking.evidence import claim, gather
from harness.checking.gate import BRONZE, GOLD
from harness.model.design import CONTROL, TREATED
from harness.model.objectives import Recovery
from harness.model.units import seconds
from harness.model.verdict import Finding, Interval, Outcome, Status
from harness.reporting import gate
from harness.reporting.html import gate as page
from harness.reporting.html.survival import Tried, section
from tests.checking.records import lost, record

RECOVERY = Recovery(rto=seconds(10), rpo=seconds(1), horizon=seconds(20))
STUCK = [record(CONTROL, Status.CENSORED, number=n) for n in (1, 2)]


def said(records, tier=BRONZE, recovery=RECOVERY) -> str:
    found = gather("shop/down", tier, recovery, cells=1, records=records)
    return gate.sentence(found, claim(found))


def remarked(records, **more) -> str:
    found = gather("shop/down", BRONZE, RECOVERY, cells=1, records=records, **more)
    return "\n".join(gate.remarks(found, claim(found)))


def tried(*times: float | None, arm=TREATED):
    for n, time in enumerate(times, 1):
        span = Interval(seconds(20), None) if time is None else Interval(seconds(time - 0.05), seconds(time))
        yield Tried(f"{arm.name}-{n}", arm, Status.CENSORED if time is None else Status.OK, span)


def test_the_curve_falls_at_each_recovery_and_stays_where_some_never_came() -> None:
    html = section([*tried(5, 10, None, None)], rto=seconds(10), horizon=seconds(20))
    (curve,) = re.findall(r'd="(M0 0[^"]*)" data-arm="treated"', html)
    assert curve == "M0 0H25.00V35.00H50.00V70.00H100.00"
    assert html.count("<title>") == 4
    assert html.count('class="trial good"') == 2
    assert html.count('class="trial bad"') == 2


def test_the_rto_is_a_line_where_the_picture_has_it_and_told_where_not() -> None:
    inside = section([*tried(5, 6)], rto=seconds(10), horizon=seconds(20))
    beyond = section([*tried(5, 6)], rto=seconds(1800), horizon=seconds(20))
    assert 'class="mark rto"' in inside
    assert 'x1="50.00"' in inside
    assert 'class="mark rto"' not in beyond
    assert "right of the picture" in beyond


def test_control_has_a_curve_and_a_strip_of_its_own() -> None:
    html = section([*tried(5, 6), *tried(None, None, arm=CONTROL)], rto=seconds(10), horizon=seconds(20))
    assert 'data-arm="control"' in html
    assert "control, 2 trials" in html
    assert "treated: 2 of 2; control: 0 of 2" in html


def test_invalid_trials_are_marked_and_not_in_the_curve() -> None:
    invalid = Tried("treated-9", TREATED, Status.INVALID, Interval(seconds(1), seconds(2)))
    html = section([*tried(5, 6), invalid], rto=seconds(10), horizon=seconds(20))
    (curve,) = re.findall(r'd="(M0 0[^"]*)" data-arm="treated"', html)
    assert curve.startswith("M0 0H25.00V70.00")
    assert "∅" in html


def test_a_gold_pass_is_claimed_as_it_may_be() -> None:
    recovery = replace(RECOVERY, rto=seconds(120), horizon=seconds(240))
    treated = [record(number=n, rta=3 * n, loss=lost()) for n in range(1, 33)]
    text = said([*treated, *STUCK], GOLD, recovery)
    for part in (
        "PASS gold: 32/32 recovered within 2 min",
        "always-valid evidence against p<=0.9 at alpha 0.05",
        "fixed-sample Clopper-Pearson 95% lower bound 0.911 (descriptive after stopping early)",
        "slowest [96.00, 96.05] s, so p90 <= 96.05 s",
        "at resolution 60 ms, P(trial loses data) < 0.089",
        "environments on Linux x86_64, 2 CPUs only",
    ):
        assert part in text


def test_a_fail_says_what_is_excluded_and_a_violation_that_it_fails_at_once() -> None:
    assert "FAIL bronze: 0/2" in said([record(number=n, status=Status.MISS) for n in (1, 2)])
    assert "evidence against p>=0.95 at beta 0.05" in said([record(number=n, status=Status.MISS) for n in (1, 2)])
    spoilt = said([record(loss=lost(holes=1), outcome=Outcome.FAILED)])
    assert "acknowledged data was lost or spoilt, which fails at once" in spoilt
    assert "evidence against" not in spoilt


def test_what_did_not_count_is_told_with_what_it_would_have_been() -> None:
    late = (Finding("hygiene", Outcome.INVALID, "late"),)
    invalid = record(number=0, status=Status.INVALID, findings=late)
    text = remarked([invalid, *(record(number=n) for n in range(1, 6)), *STUCK], interrupted=[])
    assert "1 treated trials did not count (1 instrument) and were replaced; had they failed, it would be OPEN" in text
    assert "the recovery is the procedure's doing" in text
    healing = [record(CONTROL, number=n) for n in (1, 2)]
    assert "RECOVERY NOT ATTRIBUTABLE" in remarked([record(), *healing])
    assert "no control trial counts" in remarked([record()])


def test_what_was_not_reached_is_not_given_a_figure() -> None:
    text = remarked([record(), record(number=2, status=Status.CENSORED)])
    assert "median 5.05 s, p90 not reached in 20 s, p95 not reached in 20 s" in text


def test_the_page_is_made_of_the_log_alone_and_escapes_what_came_from_outside() -> None:
    evil = record(findings=(Finding("timeliness", Outcome.PASSED, "<script>x</script>"),))
    found = gather("shop/down", BRONZE, RECOVERY, cells=1, records=[evil])
    html = page.render([(found, claim(found))], title="Gate <1>")
    assert "<script>x" not in html
    assert "Gate &lt;1&gt;" in html
    assert "default-src &#x27;none&#x27;" in html
    assert "Clopper-Pearson, fixed sample: descriptive here" in html
