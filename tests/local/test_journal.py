"""What the front recorded is read from any number on."""

import pytest

from local.front import Journal


@pytest.mark.parametrize(("since", "numbers"), [(0, [1, 2, 3]), (2, [3]), (3, []), (-1, [3])])
def test_entries_are_read_from_a_number_on(since: int, numbers: list[int]) -> None:
    journal = Journal()
    for what in "abc":
        journal.add(what=what)
    assert [entry["n"] for entry in journal.since(since)] == numbers


def test_an_empty_journal_has_no_newest_entry() -> None:
    assert Journal().since(-1) == []
