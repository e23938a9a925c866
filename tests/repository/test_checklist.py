"""Every attack of the security checklist is tried, or there is a reason why not."""

from tests.repository import checklist


def test_every_line_of_the_checklist_is_tested_or_argued() -> None:
    assert checklist.IDS - checklist.tested() - checklist.argued() == set()


def test_nothing_is_argued_away_that_is_tested_and_no_id_is_made_up() -> None:
    assert checklist.tested() & checklist.argued() == set()
    assert checklist.tested() | checklist.argued() <= checklist.IDS
