"""Every attack of docs/security-checklist.md has a test, or a reason why not, and every cited ID is defined there."""

import subprocess

import pytest

from tests.repository import checklist


def test_every_id_has_a_test_or_a_reason_why_not() -> None:
    assert checklist.IDS - checklist.named() - checklist.not_tested() == set()


def test_no_id_has_both_and_no_test_has_an_unknown_id() -> None:
    assert checklist.named() & checklist.not_tested() == set()
    assert checklist.named() | checklist.not_tested() <= checklist.IDS


def test_every_id_is_defined_once_and_the_numbers_of_a_group_have_no_gap() -> None:
    assert len(checklist.ROWS) == len(checklist.IDS) >= 139  # lines are added, not removed
    for group in checklist.GROUPS:
        numbers = sorted(int(name[-2:]) for name in checklist.IDS if name.startswith(f"{group}-"))
        assert numbers == list(range(1, len(numbers) + 1)), group


def test_every_id_that_a_comment_or_a_document_cites_is_defined() -> None:
    try:
        cited = checklist.cited()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a checkout of git")
    assert {path: ids - checklist.IDS for path, ids in cited.items() if ids - checklist.IDS} == {}
    assert len(cited) > 20
