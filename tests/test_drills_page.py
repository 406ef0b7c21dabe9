"""The page of drills holds what the scenarios say, and nothing of scenarios that are gone."""

from tests.drills import DRILLED, LOADED, PAGE, known, page


def test_every_scenario_has_its_line_in_the_page_of_drills() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.drills writes it anew"


def test_what_is_told_of_drills_is_told_of_scenarios_that_exist() -> None:
    assert {each.scenario for each in known(DRILLED)} <= {loaded.name for loaded in LOADED}
