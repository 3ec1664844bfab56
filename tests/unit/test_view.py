"""What one Consul answer means."""

from typing import Any

import pytest

from cts.conditions import services
from cts.watch.query import View
from cts.watch.snapshot import EMPTY, Snapshot, members, of
from cts.watch.view import (
    Answer,
    Row,
    Verdict,
    chunk_of,
    doubt,
    judge,
    loses,
    wait_index,
    woken_by_restore,
)


@pytest.mark.parametrize(
    ("stored", "answer", "verdict"),
    [
        pytest.param(None, Row(7, "a"), Verdict.FIRST, id="nothing-stored"),
        pytest.param(Row(7, "a"), Row(7, "a"), Verdict.SAME, id="same-index-same-data"),
        pytest.param(Row(7, "a"), Row(9, "a"), Verdict.MOVED, id="index-moved-data-equal"),
        pytest.param(Row(7, "a"), Row(9, "b"), Verdict.CHANGED, id="data-differs"),
        pytest.param(Row(7, "a"), Row(2, "a"), Verdict.MOVED, id="restarted-data-equal"),
        pytest.param(Row(7, "a"), Row(2, "b"), Verdict.CHANGED, id="restarted-data-differs"),
        pytest.param(Row(7, "a"), Row(7, "b"), Verdict.CHANGED, id="same-index-data-differs"),
        pytest.param(Row(7, "a", True), Row(7, "a"), Verdict.MOVED, id="whole-again"),
    ],
)
def test_judge(stored: Row | None, answer: Row, verdict: Verdict) -> None:
    assert judge(stored, answer) is verdict


@pytest.mark.parametrize(
    ("stored", "digest", "triggers"),
    [
        pytest.param(None, "a", "part", id="nothing-stored"),
        pytest.param(Row(7, "b", looked_at="former"), "a", "part", id="data-differs"),
        pytest.param(Row(7, "a", looked_at="part"), "a", "part", id="data-equal"),
        pytest.param(Row(7, "a"), "a", "a", id="data-equal-and-stored-by-the-first-release"),
    ],
)
def test_what_triggers_of_the_row_that_follows(
    stored: Row | None, digest: str, triggers: str
) -> None:
    answer = Answer(8, Snapshot(b"", digest, "part"))
    assert answer.row_after(stored).triggers == triggers


@pytest.mark.parametrize(
    ("asked", "answered", "index"),
    [
        pytest.param(0, 7, 7, id="first-answer"),
        pytest.param(7, 9, 9, id="it-moved"),
        pytest.param(7, 7, 7, id="the-wait-was-over"),
        pytest.param(9, 7, 0, id="it-went-back"),
        pytest.param(0, 0, 1, id="never-ask-with-zero-forever"),
    ],
)
def test_wait_index(asked: int, answered: int, index: int) -> None:
    assert wait_index(asked, answered) == index


def test_chunks_spread_the_views() -> None:
    names = {chunk_of(View(services.SERVICE, f"service-{n}").id) for n in range(2_000)}
    assert len(names) == 256


WEB, LISTING = View(services.SERVICE, "web"), View(services.LISTING)


def instances(*ids: str, **more: Any) -> Snapshot:
    return of([{"node": "n", "id": each, **more} for each in ids])


@pytest.mark.parametrize(
    ("view", "stored", "known", "answered", "lost"),
    [
        pytest.param(WEB, instances("a"), True, instances("a", "b"), False, id="one-more"),
        pytest.param(WEB, instances("a", "b"), True, instances("a"), True, id="one-less"),
        pytest.param(WEB, instances("a"), True, instances("b"), True, id="another"),
        pytest.param(WEB, instances("a"), True, of([]), True, id="all-gone"),
        pytest.param(WEB, instances("a"), True, instances("a", port=1), False, id="another-port"),
        pytest.param(WEB, instances("a"), False, instances("a", "b"), True, id="may-be-less"),
        pytest.param(WEB, instances("a"), False, instances("a"), False, id="the-same"),
        pytest.param(WEB, of([]), False, instances("a"), False, id="there-was-none"),
        pytest.param(LISTING, of(["a", "b"]), True, of(["b"]), True, id="a-name-less"),
        pytest.param(LISTING, of(["b"]), True, of(["a", "b"]), False, id="a-name-more"),
    ],
)
def test_whether_an_answer_loses_something(
    view: View, stored: Snapshot, answered: Snapshot, *, known: bool, lost: bool
) -> None:
    had = members(view, stored) if known else None
    assert loses(Row(7, stored.digest), had, view, Answer(8, answered)) is lost


HAD = frozenset({"n/a", "n/b"})


@pytest.mark.parametrize(
    ("row", "answer", "believed"),
    [
        pytest.param(Row(7, "a"), Answer(8, of([])), True, id="anonymous-and-nothing-tells"),
        pytest.param(Row(7, "a", token=True), Answer(8, of([])), False, id="a-token-was-there"),
        pytest.param(
            Row(7, "a", token=True), Answer(8, instances("b")), False, id="a-part-is-missing"
        ),
        pytest.param(
            Row(7, "a", token=True), Answer(8, instances("a", "b", "c")), True, id="it-is-more"
        ),
        pytest.param(
            Row(7, "a", token=True), Answer(8, of([]), token=True), True, id="a-token-is-there"
        ),
        pytest.param(Row(7, "a"), Answer(8, of([]), default_deny=True), False, id="default-deny"),
        pytest.param(
            Row(7, "a"), Answer(8, instances("b"), default_deny=True), True, id="deny-and-some-left"
        ),
        pytest.param(
            Row(7, "a"), Answer(8, of([]), token=True, default_deny=True), True, id="deny-and-token"
        ),
        pytest.param(
            Row(7, EMPTY.digest, token=True), Answer(8, of([])), True, id="nothing-was-there"
        ),
        pytest.param(
            Row(7, "a"), Answer(8, instances("a", "b"), filtered=True), False, id="now-filtered"
        ),
        pytest.param(
            Row(7, "a", True), Answer(8, instances("b"), True), True, id="filtered-as-before"
        ),
    ],
)
def test_whether_a_loss_is_believed(row: Row, answer: Answer, *, believed: bool) -> None:
    assert (doubt(row, HAD, WEB, answer) is None) is believed


@pytest.mark.parametrize(
    ("asked", "answered", "seconds", "restored"),
    [
        pytest.param(7, 7, 2.0, True, id="early-and-nothing-moved"),
        pytest.param(7, 8, 2.0, False, id="it-moved"),
        pytest.param(7, 7, 60.0, False, id="its-wait-was-over"),
        pytest.param(0, 7, 0.0, False, id="it-was-not-held"),
        pytest.param(7, 3, 2.0, False, id="it-went-back"),
    ],
)
def test_what_a_restored_consul_answers(
    asked: int, answered: int, seconds: float, *, restored: bool
) -> None:
    assert woken_by_restore(asked, answered, 60, seconds) is restored
