"""How times and changes are read."""

from datetime import UTC, datetime

import pytest

from cts_cli import words

AT = datetime(2027, 1, 15, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (72, "1 min 12 s"),
        (7200, "2 h"),
        (90061, "1 d 1 h"),
    ],
)
def test_a_span_is_told_in_at_most_two_units(seconds: float, text: str) -> None:
    assert words.span(seconds) == text


@pytest.mark.parametrize(
    ("when", "text"),
    [
        ("2027-01-15T08:00:09Z", "just now"),
        ("2027-01-15T07:59:52.500Z", "7 s ago"),
        ("2027-01-15T07:57:01Z", "2 min ago"),
        ("2027-01-13T07:57:01Z", "2 d ago"),
    ],
)
def test_the_past_is_told_in_one_unit(when: str, text: str) -> None:
    assert words.ago(when, AT) == text


@pytest.mark.parametrize(("seconds", "text"), [(-1.0, "0 s"), (59.9, "59 s"), (185.0, "3 min")])
def test_a_rough_span_has_one_unit(seconds: float, text: str) -> None:
    assert words.about(seconds) == text


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        (None, ""),
        ({"add": 0, "change": 0, "destroy": 0}, "no changes"),
        ({"add": 2, "change": 0, "destroy": 1}, "+2 -1"),
        ({"add": 0, "change": 0, "destroy": 0, "move": 3}, "3 moved"),
        ({"add": 1, "change": 0, "import": 2, "forget": 4}, "+1 2 imported 4 forgotten"),
    ],
)
def test_changes_leave_out_what_is_zero(counts: dict[str, int] | None, text: str) -> None:
    assert words.changes(counts) == text
