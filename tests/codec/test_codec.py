import json
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import codec
from harness.errors import StoreError
from harness.model.history import (
    Event,
    Header,
    History,
    HumanTimes,
    Mode,
    Name,
    Objective,
    Phase,
    Reading,
    Recovery,
    Row,
    Sample,
    StepTerms,
    Terms,
    Write,
    WriteOutcome,
)
from harness.model.load import InstrumentReport, Intent, LedgerLine, Outcome, ProberLine
from harness.model.source import Source
from harness.model.verdict import Word
from tests.checking.histories import at, header, history, plus, reading, with_ledger, write

ns = st.integers(0, 2**62)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
sources = st.builds(Source, text, st.integers(1, 9999), st.integers(0, 9999))
scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | text
)
steps = st.builds(StepTerms, ns, text, text, text, text, text, sources, st.booleans(), text)
judged = st.builds(
    Terms,
    st.lists(st.builds(Objective, text, st.floats(0, 1), ns), max_size=2).map(tuple),
    st.builds(Recovery, ns, st.none() | ns, ns, ns, ns),
    st.builds(HumanTimes, ns, ns, ns, st.none() | ns),
    st.lists(steps, max_size=2).map(tuple),
    ns,
    st.lists(st.sampled_from(Mode), max_size=2).map(tuple),
    st.booleans(),
)
headers = judged.map(lambda t: replace(header(judged=t), remarks=("a remark",)))
events = st.lists(
    st.builds(
        Event,
        st.just(0),
        ns,
        text,
        st.sampled_from(Phase),
        st.sampled_from(Name),
        st.dictionaries(text, scalars, max_size=4),
        st.none() | sources,
    ),
    max_size=5,
).map(lambda many: tuple(replace(e, index=n) for n, e in enumerate(many)))
samples = st.lists(
    st.builds(Sample, text, st.sampled_from(Mode), ns, ns, ns, st.booleans(), text),
    max_size=6,
    unique_by=lambda s: s.scheduled,
).map(lambda many: tuple(sorted(many, key=lambda s: s.scheduled)))
writes = st.lists(
    st.builds(Write, text, st.integers(0, 9), text, ns, ns, st.sampled_from(WriteOutcome), text),
    max_size=5,
    unique_by=lambda w: (w.writer, w.seq),
).map(tuple)
readings = st.lists(
    st.builds(Reading, text, ns, ns, st.lists(st.builds(Row, text, ns, text, ns), max_size=3).map(tuple)), max_size=2
).map(tuple)
histories = st.builds(History, headers, events, samples, writes, readings)


def store(folder, kept):
    folder.mkdir(parents=True, exist_ok=True)
    lines = {
        "history.jsonl": [kept.header, *kept.events],
        "samples.jsonl": [ProberLine(sample=s) for s in kept.samples],
        "ledger.jsonl": [
            each
            for w in kept.writes
            for each in (
                LedgerLine(intent=Intent(w.writer, w.seq, w.checksum, w.invoked)),
                LedgerLine(outcome=Outcome(w.writer, w.seq, w.done, w.outcome, w.code)),
            )
        ],
        "readings.jsonl": kept.readings,
    }
    for name, values in lines.items():
        (folder / name).write_bytes(b"".join(codec.line(v) for v in values))
    return folder


@settings(max_examples=60, deadline=None)
@given(histories)
def test_what_is_written_is_read_back(tmp_path_factory, kept):
    assert codec.read_history(store(tmp_path_factory.mktemp("trial"), kept)) == kept


@given(st.one_of(headers, samples, writes, readings, events))
def test_a_value_is_one_line_and_comes_back_as_itself(value):
    values = value if isinstance(value, tuple) else (value,)
    for each in values:
        line = codec.line(each)
        assert line.count(b"\n") == 1
        assert codec.decode(type(each), line, "x:1") == each
        assert codec.encode(each) + b"\n" == line


@pytest.fixture
def stored(tmp_path):
    whole = plus(history(), 2, Name.ENVIRONMENT, Phase.INFO, text="a remark")
    return store(tmp_path / "trial", with_ledger(whole, [write(0, 1), write(1, 2)], reading([0, 1])))


def edit(folder, name, number, change):
    lines = (folder / name).read_bytes().split(b"\n")
    lines[number - 1] = change(lines[number - 1])
    (folder / name).write_bytes(b"\n".join(lines))


def refused(folder):
    with pytest.raises(StoreError) as caught:
        codec.read_history(folder)
    return str(caught.value)


FILES = ("history.jsonl", "samples.jsonl", "ledger.jsonl", "readings.jsonl")


@pytest.mark.parametrize("name", FILES)
def test_a_last_line_that_was_cut_off_is_left_out_and_remarked_upon(stored, name):
    before = codec.read_history(stored)
    whole = (stored / name).read_bytes()
    (stored / name).write_bytes(whole[:-5])
    after = codec.read_history(stored)
    assert after != before
    number = whole.count(b"\n")
    assert after.header.remarks == (f"{stored / name}:{number}: the last line was cut off and is left out",)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("junk", [b"", b"{", b"[]", b"null", b'{"no": 1}', b"\xff\xfe", b'"x"', b"nonsense"])
def test_a_malformed_line_is_an_error_with_file_and_line(stored, name, junk):
    at_line = 2 if name == "history.jsonl" else 1
    edit(stored, name, at_line, lambda _: junk)
    assert refused(stored).startswith(f"{stored / name}:{at_line}: ")


@pytest.mark.parametrize("name", FILES)
def test_an_unknown_field_is_an_error_that_names_it(stored, name):
    edit(stored, name, 1, lambda text: text[:-1] + b', "extra": 1}')
    told = refused(stored)
    assert told.startswith(f"{stored / name}:1: expected a ")
    assert "extra" in told


@pytest.mark.parametrize(
    ("name", "path", "told"),
    [
        ("samples.jsonl", ["sample"], "no such field: $.sample.extra"),
        ("readings.jsonl", ["rows", 0], "no such field: $.rows[0].extra"),
        ("history.jsonl", ["terms", "steps", 0, "source"], "no such field: $.terms.steps[0].source.extra"),
    ],
)
def test_an_unknown_field_is_found_however_deep_it_is(stored, name, path, told):
    def deepen(text):
        value = json.loads(text)
        inner = value
        for key in path:
            inner = inner[key]
        inner["extra"] = 1
        return json.dumps(value).encode()

    edit(stored, name, 1, deepen)
    assert refused(stored).endswith(told)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("samples.jsonl", b'"good":true', b'"good":1'),
        ("samples.jsonl", b'"mode":"fresh"', b'"mode":"warm"'),
        ("history.jsonl", b'"schema":1', b'"schema":"1"'),
        ("history.jsonl", b'"seed":1', b'"seed":1.5'),
        ("readings.jsonl", b'"place":"primary"', b'"place":1'),
    ],
)
def test_a_value_of_the_wrong_type_is_an_error(stored, name, old, new):
    edit(stored, name, 1, lambda text: text.replace(old, new))
    assert refused(stored).startswith(f"{stored / name}:1: expected a ")


def test_another_schema_is_refused_and_not_guessed_at(stored):
    edit(stored, "history.jsonl", 1, lambda text: text.replace(b'"schema":1', b'"schema":2,"new":[]'))
    assert refused(stored) == f"{stored / 'history.jsonl'}:1: written in schema 2, and this version reads schema 1"


def test_a_trial_without_a_history_is_an_error(stored):
    (stored / "history.jsonl").unlink()
    assert refused(stored) == f"{stored / 'history.jsonl'}: expected a trial's history, and there is no such file"


@pytest.mark.parametrize("content", [b"", b'{"schema": 1'])
def test_a_history_without_a_whole_header_is_an_error(stored, content):
    (stored / "history.jsonl").write_bytes(content)
    assert refused(stored) == f"{stored / 'history.jsonl'}:1: expected a header, and the file ends before it does"


def test_a_trial_need_not_have_samples_ledger_or_readings(stored):
    for name in FILES[1:]:
        (stored / name).unlink()
    kept = codec.read_history(stored)
    assert (kept.samples, kept.writes, kept.readings) == ((), (), ())
    assert kept.events


def test_an_event_left_out_is_noticed(stored):
    lines = (stored / "history.jsonl").read_bytes().splitlines(keepends=True)
    (stored / "history.jsonl").write_bytes(b"".join(lines[:2] + lines[3:]))
    assert refused(stored) == f"{stored / 'history.jsonl'}:3: expected event 1, found event 2"


def test_instrument_reports_among_the_samples_are_passed_over(stored):
    report = InstrumentReport(worker="p", since=0, at=1, asked=1, dropped=0, lag_p50=0, lag_p99=0, lag_max=0, cpu=0)
    before = codec.read_history(stored)
    with (stored / "samples.jsonl").open("ab") as file:
        file.write(codec.line(ProberLine(instrument=report)))
    with (stored / "ledger.jsonl").open("ab") as file:
        file.write(codec.line(LedgerLine(instrument=report)))
    assert codec.read_history(stored) == before


def test_samples_are_read_in_the_order_they_were_due(stored):
    before = codec.read_history(stored)
    lines = (stored / "samples.jsonl").read_bytes().splitlines(keepends=True)
    (stored / "samples.jsonl").write_bytes(b"".join(reversed(lines)))
    assert codec.read_history(stored) == before


INTENT = LedgerLine(intent=Intent("w", 1, "c", at(1)))
DONE = LedgerLine(outcome=Outcome("w", 1, at(2), WriteOutcome.OK, "00000"))


def test_an_intent_without_an_answer_is_neither_done_nor_not_done():
    assert codec.writes_of([INTENT], "x") == (Write("w", 1, "c", at(1), at(1), WriteOutcome.INFO, "unanswered"),)
    assert codec.writes_of([INTENT, DONE], "x") == (Write("w", 1, "c", at(1), at(2), WriteOutcome.OK, "00000"),)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([DONE], "x:1: w/1 has an outcome but was never intended"),
        ([INTENT, INTENT], "x:2: w/1 is intended a second time"),
        ([INTENT, DONE, DONE], "x:3: w/1 has two outcomes"),
    ],
)
def test_a_ledger_that_contradicts_itself_is_an_error(lines, told):
    with pytest.raises(StoreError) as caught:
        codec.writes_of(lines, "x")
    assert str(caught.value) == told


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_numbers_that_json_has_not_are_never_written(number):
    with pytest.raises(StoreError, match="expected a finite number"):
        codec.encode(Event(0, 0, "x", Phase.OK, Name.STEP, {"load": number}))
    with pytest.raises(StoreError, match="expected a finite number"):
        codec.encode([(number,)])


@dataclass(frozen=True)
class Stored:
    name: str
    expect: Word | None = None


def test_any_value_of_ours_can_be_kept():
    kept = Stored("x", Word.SLOW)
    assert codec.decode(Stored, codec.encode(kept), "scenario.json") == kept
    assert codec.decode(Stored, b'{"name": "x"}', "scenario.json") == Stored("x")
    with pytest.raises(StoreError, match=r"^scenario\.json: expected a Stored: no such field: \$\.why$"):
        codec.decode(Stored, b'{"name": "x", "why": 1}', "scenario.json")


def test_a_header_survives_with_all_its_terms(stored):
    assert isinstance(codec.read_history(stored).header, Header)
    assert codec.read_history(stored).header.terms.ledger is True
