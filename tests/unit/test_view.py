"""What one Consul answer means."""

import pytest

from cts.watch.query import Kind, View
from cts.watch.view import Row, Verdict, chunk_of, judge, wait_index


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
    names = {chunk_of(View(Kind.SERVICE, f"service-{n}").id) for n in range(2_000)}
    assert len(names) == 256
