"""The reader on runbooks nobody on this project wrote."""

import pytest

from harness import runbooks
from harness.runbooks import score
from tests.runbooks.golden import FILES_WRITTEN, FOLDER
from tests.runbooks.shared import FILES, TRUTH, needs_shared

pytestmark = needs_shared


@pytest.mark.parametrize("name", FILES_WRITTEN)
def test_runbooks_of_others_are_read_as_they_were_found_to_be_right(name: str) -> None:
    assert FILES_WRITTEN[name]() == (FOLDER / name).read_text(encoding="utf-8")


def test_the_aims_are_met_on_the_ground_truth() -> None:
    one_by_one = [
        score.check(runbooks.read(FILES / path.name.removesuffix(".json")), score.load_truth(path))
        for path in sorted(TRUTH.iterdir())
    ]
    assert len(one_by_one) == 8
    total = {one.aspect: one for one in score.total(one_by_one).aspects}
    assert (total["commands"].recall or 0) >= 0.95, total["commands"]
    assert (total["commands"].precision or 0) >= 0.97, total["commands"]
    for aspect in ("placeholders", "destructive", "blocking", "needs no terminal", "procedures"):
        assert (total[aspect].recall or 0) >= 0.95, total[aspect]
        assert (total[aspect].precision or 0) >= 0.95, total[aspect]
    assert (total["targets"].missed, total["targets"].extra) == ((), ())


def test_none_of_fifty_two_runbooks_is_refused() -> None:
    paths = sorted(FILES.iterdir())
    assert len(paths) == 52
    assert sum(1 for path in paths if runbooks.read(path).source.end_line > 1) == 52
