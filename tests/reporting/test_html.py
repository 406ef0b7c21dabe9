import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.model.design import ARMS, BASELINE, CONTROL, SHAM, TREATED
from harness.model.history import History, Mode, Sample
from harness.model.units import milliseconds, minutes, seconds
from harness.model.verdict import Outcome, Timings, Word
from harness.reporting.drill import Drill, origin
from harness.reporting.html import render
from harness.reporting.html.axis import Axis, lanes, shared_axis
from harness.reporting.html.markup import el, escaped
from harness.reporting.html.series import COLUMNS, Column, columns, height_of, runs, top_of
from harness.reporting.html.timeline import marks, timeline
from tests.reporting.builder import CALL, HOSTILE, drill, history, hostile, loss, verdict

VOID = {"meta", "link", "br", "hr"}
TITLE = "Drills of the inventory"


class Page(HTMLParser):
    """Reads a page strictly: every element is closed in order; keeps elements, their attributes and their text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def text(self) -> str:
        return " ".join(" ".join(text for tag, text in self.texts if tag not in ("style", "script")).split())


def test_the_page_is_well_formed_and_begins_with_where_it_was_measured() -> None:
    page = Page(render([drill()], title=TITLE))
    body = page.text().removeprefix(TITLE).strip()
    assert body.startswith("local, isolated by namespaces the clock of PostgreSQL runs 11 min ahead (libfaketime)")


def test_it_tells_the_verdict_its_figures_its_limits_and_the_runbook_lines() -> None:
    text = Page(render([drill()], title=TITLE)).text()
    for expected in (
        "✓ effective",
        "[6.15, 6.20] s",
        "RTO 15 min",
        "RPO 1 min",
        "+ 7.25 min",
        "Losses of less than 61 ms of writes would not have been seen.",
        "scenarios/inventory/runbook.md:61 psql wants a password and the runbook gives none",
        "Deviation: the table takes writes while the drill runs; the text would lock it",
        "✗ failed · status 2 · 150 ms",
        "EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM orders WHERE customer_id = <customer-id>;",
    ):
        assert expected in text


def test_what_was_run_differently_is_marked_word_by_word() -> None:
    page = Page(render([drill()], title=TITLE))
    assert {text.strip() for tag, text in page.texts if tag == "mark"} == {"4711", "CONCURRENTLY"}


def test_nothing_is_loaded_from_anywhere() -> None:
    page = render([drill(), hostile()], title=TITLE)
    for tag, attributes in Page(page).elements:
        assert not {"src", "srcset", "action", "background", "style"} & set(attributes), tag
        assert not [name for name in attributes if name.startswith("on")]
        assert attributes.get("href", "#").startswith(("#", "data:,"))
    assert "url(" not in page
    assert "@import" not in page
    policy = next(a["content"] for tag, a in Page(page).elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_hostile_text_is_shown_and_never_obeyed() -> None:
    page = render([hostile()], title=HOSTILE)
    read = Page(page)
    assert [tag for tag, _ in read.elements].count("script") == 1
    assert "<script>alert(1)</script> &amp; ]]> red" in read.text()
    assert "\u202e" not in page
    assert "\x00" not in page


@settings(max_examples=25)
@given(st.text(), st.sampled_from(list(Word)), st.sampled_from(list(Outcome)))
def test_any_text_keeps_the_page_well_formed(text: str, word: Word, outcome: Outcome) -> None:
    plain = drill(output=text, word=word, outcome=outcome)
    few = tuple(replace(each, samples=each.samples[:40]) for each in plain.histories)
    assessment = replace(plain.assessment, scenario=text, why=text, limits=(text,))
    page = Page(render([Drill(assessment, few)], title=text))
    assert [tag for tag, _ in page.elements].count("script") == 1


@given(st.text())
def test_escaped_text_reads_back_as_what_is_visible(text: str) -> None:
    assert not set('<>"') & set(escaped(text))
    assert str(el("p", text, title=text)).count("<") == 2


def test_every_timeline_is_described_for_those_who_cannot_see_it() -> None:
    drawings = [
        a for tag, a in Page(render([drill()], title=TITLE)).elements if "timeline" in a.get("class", "").split()
    ]
    assert len(drawings) == 3
    assert all(each["role"] == "img" for each in drawings)
    assert "detected +2.10 s" in drawings[0]["aria-label"]
    assert "recovered +6.20 s" in drawings[0]["aria-label"]
    assert "recovered" not in drawings[2]["aria-label"]


def test_control_stands_under_treated_on_the_same_axis() -> None:
    drawings = [
        a for tag, a in Page(render([drill()], title=TITLE)).elements if "timeline" in a.get("class", "").split()
    ]
    assert [each["aria-label"].split(":")[0] for each in drawings] == [
        "Timeline of treated-1",
        "Timeline of treated-2",
        "Timeline of control-1",
    ]
    assert len({(each["data-lo"], each["data-hi"]) for each in drawings}) == 1


def test_an_rto_on_the_axis_is_a_line_and_one_beyond_it_an_arrow() -> None:
    told = history()
    beyond = str(timeline(verdict(told), told, Axis(lo=-seconds(5), hi=seconds(20))))
    assert "RTO 15 min →" in beyond
    assert 'class="mark rto"' not in beyond
    terms = replace(told.header.terms, recovery=replace(told.header.terms.recovery, rto=seconds(15)))
    told = replace(told, header=replace(told.header, terms=terms))
    within = str(timeline(verdict(told), told, Axis(lo=-seconds(5), hi=seconds(20))))
    assert ">RTO 15 s<" in within
    assert 'class="mark rto"' in within
    assert 'x1="80.00%"' in within


def test_four_trials_of_a_minute_fit_into_half_a_megabyte() -> None:
    noisy = "x" * 16_000
    four = (
        history(output=noisy, ended=60),
        history(number=2, output=noisy, ended=60),
        history(CONTROL, ended=60, recovered=None),
        history(CONTROL, 2, ended=60, recovered=None),
    )
    flapping = tuple(
        replace(each, samples=tuple(replace(s, good=n % 3 > 0) for n, s in enumerate(each.samples))) for each in four
    )
    assessment = replace(drill().assessment, verdicts=tuple(verdict(each) for each in flapping))
    assert len(render([Drill(assessment, flapping)], title=TITLE).encode()) <= 500_000


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_without_a_fault_or_without_anything_recorded_is_drawn_too(arm: object) -> None:
    told = next(history(each) for each in (BASELINE, CONTROL, TREATED, SHAM) if each == arm)
    bare = replace(verdict(told), timings=Timings(), rta=None, loss=None)
    empty = History(told.header)
    for each in (told, empty):
        page = Page(render([Drill(replace(drill().assessment, verdicts=(bare,)), (each,))], title=TITLE))
        assert any("timeline" in a.get("class", "") for _, a in page.elements)


def test_a_drill_without_histories_still_tells_its_verdict() -> None:
    text = Page(render([Drill(drill(word=Word.INVALID).assessment, ())], title=TITLE)).text()
    assert text.removeprefix(TITLE).strip().startswith("nothing was run")
    assert "∅ invalid" in text


def test_lost_writes_stand_out_in_the_ledger() -> None:
    plain = drill()
    damaged = replace(plain.assessment.verdicts[0], loss=loss(24))
    verdicts = (damaged, *plain.assessment.verdicts[1:])
    page = Page(render([Drill(replace(plain.assessment, verdicts=verdicts), plain.histories)], title=TITLE))
    assert [a for tag, a in page.elements if tag == "td" and a.get("class") == "harm"] == [{"class": "harm"}]


def test_evidence_links_lead_to_the_events() -> None:
    elements = Page(render([drill()], title=TITLE)).elements
    anchors = {a["id"] for _, a in elements if "id" in a}
    links = {a["href"][1:] for tag, a in elements if tag == "a"}
    assert links
    assert links <= anchors


def test_columns_hold_every_sample_on_the_axis_once() -> None:
    told = history()
    axis = Axis(lo=-seconds(3), hi=seconds(10))
    series = told.of("read", Mode.FRESH)
    inside = [s for s in series if axis.lo <= s.scheduled - CALL < axis.hi]
    found = columns(series, axis, CALL)
    assert len(found) <= COLUMNS
    assert max(c.most for c in found) == max(s.latency for s in inside)
    assert any(c.bad for c in found) == any(not s.good for s in inside)
    assert [c.number for c in found] == sorted({c.number for c in found})


def test_a_single_bad_sample_is_never_thinned_away() -> None:
    hour = Axis(lo=0, hi=minutes(60))
    every = [Sample("read", Mode.FRESH, at, at, at, good=at != seconds(1800)) for at in range(0, hour.hi, seconds(1))]
    assert sum(column.bad for column in columns(every, hour, 0)) == 1


def test_runs_join_neighbours_and_leave_real_gaps_open() -> None:
    of = [Column(n, good=n < 4, bad=n >= 4, least=0, most=0) for n in (0, 1, 3, 4, 9)]
    assert runs(of, gap=1) == ((0, 4, True, False), (4, 5, False, True), (9, 10, False, True))


def test_the_latency_scale_is_logarithmic_and_holds_the_limits() -> None:
    top = top_of([milliseconds(300), seconds(4)])
    assert top == seconds(10)
    heights = [height_of(milliseconds(ms), top=top, height=40) for ms in (0.1, 1, 10, 100, 1000, 10_000, 99_999)]
    assert heights == pytest.approx([40, 40, 30, 20, 10, 0, 0])


def test_ticks_are_round_few_and_on_the_axis() -> None:
    for span in (1, 7, 26, 95, 700, 4_000, 90_000):
        axis = Axis(lo=-seconds(5), hi=seconds(span))
        ticks = axis.ticks()
        assert 2 <= len(ticks) <= 9
        assert 0 in ticks
        assert all(axis.lo <= each <= axis.hi for each in ticks)


def test_labels_that_touch_stand_in_lanes_below_one_another() -> None:
    assert lanes([(0, 10), (2, 12), (11, 20), (30, 40)]) == (0, 1, 2, 0)


def test_the_shared_axis_ends_with_the_longest_trial() -> None:
    short, long = history(ended=20), history(number=2, ended=44)
    both = replace(drill().assessment, verdicts=(verdict(short), verdict(long)))
    assert shared_axis(Drill(both, (short, long))).hi == seconds(35)


def test_times_run_from_the_fault_call_or_else_from_what_came_instead() -> None:
    treated, sham = history(TREATED), history(SHAM)
    assert origin(verdict(treated), treated) == CALL
    assert origin(replace(verdict(sham), timings=Timings()), sham) == CALL + seconds(2.2)
    assert [mark.letter for mark in marks(verdict(treated), treated)] == ["F", "B", "D", "P", "R", "H", "RTO"]


def test_a_step_that_was_never_reached_says_so() -> None:
    plain = drill()
    cut = replace(plain.histories[0], events=plain.histories[0].events[:12])
    text = Page(render([Drill(plain.assessment, (cut,))], title=TITLE)).text()
    assert re.search(r"6 Verify scenarios/inventory/runbook.md:61 · not reached", text)


def test_steps_done_before_the_fault_are_marked_so() -> None:
    plain = drill()
    text = Page(render([plain], title=TITLE)).text()
    assert "before the fault" not in text
    early = tuple(
        replace(event, at=event.at - seconds(8)) if event.data.get("step") == 0 else event
        for event in plain.histories[0].events
    )
    told = Drill(plain.assessment, (replace(plain.histories[0], events=early),))
    assert Page(render([told], title=TITLE)).text().count("before the fault") == 1
