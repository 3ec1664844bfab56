"""What a condition looks at, as one hash."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cts.conditions import services
from cts.conditions.services import ServicesCondition
from cts.watch.fingerprint import fingerprint_of
from cts.watch.needs import digests
from cts.watch.query import View
from cts.watch.snapshot import EMPTY, of
from cts.watch.view import Row

A, B = View(services.SERVICE, "a").id, View(services.SERVICE, "b").id
ROWS = {A: Row(7, "digest-a"), B: Row(8, "digest-b")}
NAMES = ServicesCondition(("a", "b"))
REGEXP = ServicesCondition(regexp="^[ab]$")


def test_definition_and_every_digest_count() -> None:
    prints = {
        fingerprint_of("d", {A: "1"}),
        fingerprint_of("e", {A: "1"}),
        fingerprint_of("d", {A: "2"}),
        fingerprint_of("d", {B: "1"}),
        fingerprint_of("d", {A: "1", B: "1"}),
    }
    assert len(prints) == 5


def test_a_view_without_rows_counts_as_if_it_were_not_there() -> None:
    with_empty = fingerprint_of("d", {A: "1", B: EMPTY.digest})
    assert with_empty == fingerprint_of("d", {A: "1"})


@given(st.permutations([("v1", "1"), ("v2", "2"), ("v3", "3")]))
def test_order_does_not_count(pairs: list[tuple[str, str]]) -> None:
    ordered = {"v1": "1", "v2": "2", "v3": "3"}
    assert fingerprint_of("d", dict(pairs)) == fingerprint_of("d", ordered)


@pytest.mark.parametrize(
    ("condition", "rows", "names", "expected"),
    [
        pytest.param(NAMES, ROWS, None, {A: "digest-a", B: "digest-b"}, id="all-read"),
        pytest.param(NAMES, {A: ROWS[A]}, None, None, id="one-was-not-read"),
        pytest.param(REGEXP, ROWS, None, None, id="the-listing-was-not-read"),
        pytest.param(REGEXP, ROWS, ["a", "c"], {A: "digest-a"}, id="what-it-matches"),
        pytest.param(REGEXP, {}, ["a"], None, id="a-match-was-not-read"),
        pytest.param(REGEXP, ROWS, [], {}, id="it-matches-nothing"),
    ],
)
def test_digests(
    condition: ServicesCondition,
    rows: dict[str, Row],
    names: list[str] | None,
    expected: dict[str, str] | None,
) -> None:
    firsts = {} if names is None else {View(services.LISTING).id: of(names)}
    assert digests([condition], rows, firsts) == expected
