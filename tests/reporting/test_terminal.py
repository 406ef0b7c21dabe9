import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from harness.model.design import CONTROL, SHAM, TREATED
from harness.model.history import Event, Mode, Name, Phase, Sample
from harness.model.units import milliseconds, seconds
from harness.model.verdict import Interval, Outcome, Word
from harness.reporting.drill import Drill
from harness.reporting.progress import CELL, KEPT, Cell, Progress, Stage
from harness.reporting.summary import render_assessments
from harness.reporting.terminal import Terminal, availability, latency, panel, told_of
from harness.reporting.wording import between, duration, one_line, reason, trials, visible
from tests.reporting.builder import STEPS, TERMS, drill, history, hostile

KEY = "inventory/slow_queries treated-1"


def console(width: int = 120) -> Console:
    return Console(file=io.StringIO(), width=width, color_system=None)


def printed(renderable: object, width: int = 120) -> str:
    to = console(width)
    to.print(renderable)
    return to.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def watched(*, live: bool = False) -> str:
    to = console()
    told = history()
    with Terminal(to, live=live, terms={"inventory/slow_queries": TERMS}) as terminal:
        for event in told.events:
            terminal.event(KEY, event)
        terminal.samples(KEY, told.samples)
        for verdict in drill().assessment.verdicts:
            terminal.verdict(f"{drill().assessment.scenario} {verdict.trial}", verdict)
        terminal.assessment(drill().assessment)
    return to.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_a_log_has_a_line_for_each_event_worth_reading_with_its_elapsed_seconds() -> None:
    lines = watched().splitlines()
    assert lines[0] == f"[    1.2 s] {KEY}: environment up in 1.20 s"
    assert f"[    9.0 s] {KEY}: injecting DropIndex(orders.customer_id)" in lines
    assert (
        f"[   14.6 s] {KEY}: step 4/6  scenarios/inventory/runbook.md:55"
        "  CREATE INDEX CONCURRENTLY idx_orders_customer ON orders (customer_id); — ok, status 0"
    ) in lines
    assert any("step 6/6" in line and "failed, status 2" in line for line in lines)
    assert "· inventory/slow_queries control-1: not recovered while watched, RTA > 20 s" in lines
    assert lines[-1].startswith("✓ effective  inventory/slow_queries: both treated trials recovered")


def test_what_the_environment_is_busy_with_is_a_line_of_the_log_and_shown_as_under_way() -> None:
    busy = Event(1, 5, "harness", Phase.INFO, Name.ENVIRONMENT, {"doing": "making the kind\x1bcluster"})
    assert "making the kind" in told_of(busy, ())
    assert "\x1b" not in told_of(busy, ())
    remark = Event(2, 6, "harness", Phase.INFO, Name.ENVIRONMENT, {"text": "its clock runs ahead"})
    under_way = Progress(KEY, began=0).event(busy)
    assert under_way.doing.startswith("making the kind")
    assert under_way.event(remark).doing == under_way.doing


def test_a_log_has_no_control_codes_even_where_live_was_asked_for_but_nobody_is_there() -> None:
    assert "\x1b" not in watched(live=True)
    assert len(watched(live=True).splitlines()) > 10


def test_the_live_view_draws_running_trials_and_leaves_nothing_of_them() -> None:
    to = Console(file=io.StringIO(), width=160, force_terminal=True)
    told = history()
    with Terminal(to, live=True) as terminal:
        for event in told.events[:-1]:
            terminal.event(KEY, event)
            terminal.event("other treated-1", event)
        terminal.samples(KEY, told.samples)
        both = printed(terminal._draw(), width=160)
        terminal.event("other treated-1", told.events[-1])
        one = printed(terminal._draw(), width=160)
    assert f"{KEY} " in both
    assert "other treated-1" in both
    assert "other treated-1" not in one
    assert to.file.getvalue().endswith("\x1b[?25h") or "\x1b[?25h" in to.file.getvalue()  # type: ignore[attr-defined]


def test_a_panel_shows_the_stations_the_step_under_way_and_both_strips_of_each_series() -> None:
    told = history()
    progress = Progress(KEY, began=told.events[0].at, steps=STEPS)
    invoked = [e for e in told.events if e.name is Name.STEP and e.phase is Phase.INVOKE]
    for event in told.events[: invoked[3].index + 1]:
        progress = progress.event(event)
    shown = printed(panel(progress.samples(told.samples), now=0, width=100), width=100)
    assert "✓ detected ▶ procedure · recovering · held" in shown
    assert "▸ step 4/6  scenarios/inventory/runbook.md:55  CREATE INDEX CONCURRENTLY" in shown
    for series in ("read fresh", "read pooled", "order fresh", "order pooled"):
        assert series in shown
    assert all(len(line) <= 100 for line in shown.splitlines())


def test_the_stations_are_those_of_the_arm() -> None:
    assert Stage.PROCEDURE not in Progress("s control-1", began=0).stages
    assert Stage.FAULT not in Progress("s sham-1", began=0).stages
    assert Progress("s treated-1", began=0).stages == tuple(Stage)


def test_each_arm_arrives_at_held_exactly_when_it_recovered() -> None:
    for arm, expected in ((TREATED, Stage.HELD), (SHAM, Stage.HELD), (CONTROL, Stage.DETECTED)):
        progress = Progress(f"s {arm}-1", began=0)
        for event in history(arm).events:
            progress = progress.event(event)
        assert progress.stage is expected
        assert progress.ended


def test_a_strip_tells_good_partly_bad_bad_and_unknown_apart_without_colour() -> None:
    cells = {1: Cell(good=3), 2: Cell(good=1, bad=2), 3: Cell(bad=3)}
    assert availability(cells, newest=4, cells=5).plain == "·━▒█·"


def test_latency_bars_grow_with_the_logarithm() -> None:
    cells = {n: Cell(good=1, worst=milliseconds(ms)) for n, ms in enumerate((0.5, 3, 30, 300, 1000, 9000))}
    assert latency(cells, newest=5, cells=6).plain == "▁▂▄▆██"


def test_only_the_last_half_minute_of_samples_is_kept_in_whatever_order_they_come() -> None:
    due = [seconds(n) for n in (90, 10, 89, 61)]
    kept = Progress("s treated-1", began=0).samples(Sample("read", Mode.FRESH, at, at, at, good=True) for at in due)
    assert set(kept.cells["read", Mode.FRESH]) == {at // CELL for at in due if at > seconds(90) - KEPT * CELL}


def test_the_table_names_verdict_bounds_objectives_people_and_both_arms() -> None:
    shown = printed(render_assessments([drill()]))
    assert shown.splitlines()[0].strip() == "local, isolated by namespaces"
    row = next(line for line in shown.splitlines() if "[6.15, 6.20] s" in line)
    assert [part in row for part in ("✓ effective", "0 s", "+ 7.25 min", "2 of 2", "0 of 1")] == [True] * 5
    assert "(15 min)" in shown
    assert "(1 min)" in shown
    assert "✗ scenarios/inventory/runbook.md:61: psql wants a password and the runbook gives none" in shown
    assert "2 trials: P(recovers in time) is at least 22%" in shown


def test_no_column_is_dropped_at_eighty_characters() -> None:
    shown = printed(render_assessments([drill()]), width=80)
    assert all(part in shown for part in ("[6.15, 6.20] s", "+ 7.25 min", "2 of 2", "0 of 1"))
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_each_word_has_a_sign_of_its_own_in_the_table() -> None:
    signs = {
        next(part for part in printed(render_assessments([drill(word=word)])).split("\n") if str(word) in part)
        .partition(str(word))[0]
        .strip()[-1]
        for word in Word
    }
    assert len(signs) == len(Word)


def test_a_drill_without_any_history_is_still_shown() -> None:
    bare = drill(word=Word.INVALID, outcome=Outcome.INVALID)
    assert "∅ invalid" in printed(render_assessments([Drill(bare.assessment, ())]))


def test_hostile_text_can_neither_style_nor_steer_the_terminal() -> None:
    shown = printed(render_assessments([hostile()]))
    assert "\x1b" not in shown
    assert "\x00" not in shown
    assert "\u202e" not in shown
    assert "⟨U+202E⟩" in shown
    assert "[bold]x" in told_of(Event(0, 0, "h", Phase.FAIL, Name.HARNESS, {"why": "[bold]x\x1b]0;title\x07"}), STEPS)


@given(st.text())
def test_visible_text_has_no_control_characters_and_is_stable(text: str) -> None:
    shown = visible(text)
    assert not any(ord(c) < 32 and c not in "\n\t" for c in shown)
    assert not set(shown) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\x7f\x9b")
    assert visible(shown) == shown
    assert "\n" not in one_line(text) + reason(text)


def test_a_remedy_on_a_line_of_its_own_is_kept_apart_from_what_is_wrong_where_there_is_one_line() -> None:
    event = Event(0, 0, "h", Phase.FAIL, Name.HARNESS, {"why": "no room\n    make some"})
    assert told_of(event, STEPS) == "harness failed: no room — make some"


def test_intervals_are_rounded_outwards_and_say_when_their_end_was_not_seen() -> None:
    assert between(Interval(seconds(1.006), seconds(1.014))) == "[1.00, 1.02] s"
    assert between(Interval(seconds(20), None)) == "> 20 s"
    assert between(Interval(seconds(180), seconds(181))) == "[3.00, 3.02] min"
    assert between(Interval(0, 0)) == "0 s"
    assert between(None) == "–"
    assert [duration(value) for value in (None, milliseconds(850), seconds(6.25), seconds(20), seconds(1800))] == [
        "–",
        "850 ms",
        "6.25 s",
        "20 s",
        "30 min",
    ]


def test_an_arm_without_trials_is_a_dash() -> None:
    assert trials(drill().assessment, SHAM) == "–"
