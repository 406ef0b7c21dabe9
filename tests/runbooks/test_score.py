import json

import pytest

from harness.errors import InputError
from harness.runbooks import score
from tests.runbooks.reading import read

TRUTH = {
    "targets": [{"kind": "rto", "value": 5, "unit": "min", "line": 3}],
    "procedures": [
        {
            "title": "a",
            "line": 1,
            "commands": [
                {
                    "line": 6,
                    "lang": "bash",
                    "text": "kubectl delete pod <x>",
                    "placeholders": ["<x>"],
                    "destructive": True,
                },
                {"line": 7, "lang": "sql", "placeholders": []},
                {"line": 9, "lang": "bash", "blocking": True},
            ],
        }
    ],
    "defects": [{"line": 1, "kind": "x"}],
}


def truth(tmp_path) -> score.Truth:
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(TRUTH))
    return score.load_truth(path)


def scores(text: str, tmp_path) -> dict[str, score.Score]:
    return {one.aspect: one for one in score.check(read(text), truth(tmp_path)).aspects}


RIGHT = "# a\n\nRTO: 5 min\n\n```bash\nkubectl delete pod <x>\nSELECT 1;\n# look\ntail -f x\n```\n"


def test_a_reading_that_is_right_scores_one_everywhere(tmp_path) -> None:
    for one in scores(RIGHT, tmp_path).values():
        assert (one.precision in {None, 1.0}, one.recall in {None, 1.0}, one.missed, one.extra) == (True, True, (), ())


def test_what_is_missed_or_made_up_is_counted_and_named_by_line(tmp_path) -> None:
    found = scores(RIGHT.replace("SELECT 1;", "df -h").replace("tail -f x", "").replace("5 min", "6 min"), tmp_path)
    assert (found["commands"].right, found["commands"].missed, found["commands"].extra) == (
        1,
        ("7: sql", "9: bash"),
        ("7: bash",),
    )
    assert (found["commands"].precision, found["commands"].recall) == (1 / 2, 1 / 3)
    assert (found["command lines"].right, found["command lines"].missed) == (2, ("9",))
    assert len(found["targets"].missed) == len(found["targets"].extra) == 1


def test_placeholders_and_flags_are_scored_on_commands_that_are_right(tmp_path) -> None:
    found = scores(RIGHT.replace("delete pod <x>", "get pod x"), tmp_path)
    assert (found["placeholders"].missed, found["destructive"].missed, found["blocking"].right) == (
        ("6: <x>",),
        ("6",),
        1,
    )


def test_scores_add_up_with_their_files(tmp_path) -> None:
    one = score.check(read(RIGHT), truth(tmp_path))
    two = score.check(read(RIGHT.replace("SELECT 1;", "")), truth(tmp_path))
    total = {aspect.aspect: aspect for aspect in score.total([one, two]).aspects}
    assert (total["commands"].right, total["commands"].missed) == (5, ("book.md:7: sql",))


@pytest.mark.parametrize("content", ["[", '{"procedures": 3}', '{"targets": [{"kind": "rto"}]}'])
def test_what_is_no_truth_is_refused_by_name(content: str, tmp_path) -> None:
    path = tmp_path / "truth.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"truth\.json"):
        score.load_truth(path)
    with pytest.raises(InputError, match=r"none\.json"):
        score.load_truth(tmp_path / "none.json")
