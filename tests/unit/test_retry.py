"""When a failed attempt is tried again, and when it is given up."""

import pytest

from cts.run.retry import GiveUp, RetryAt, after_busy, after_failure


@pytest.mark.parametrize(
    ("failures", "jitter", "wait"),
    [
        pytest.param(1, 0.0, 10, id="first"),
        pytest.param(2, 0.0, 40, id="second-four-times-as-long"),
        pytest.param(3, 0.0, 160, id="third-four-times-that"),
        pytest.param(1, 0.5, 12.5, id="chance-spreads-it"),
        pytest.param(4, 0.0, 640, id="fourth-four-times-that"),
        pytest.param(3, 1.0, 240, id="by-half-at-most"),
    ],
)
def test_waits(failures: int, jitter: float, wait: float) -> None:
    again = after_failure(failures=failures, retryable=True, now=100.0, jitter=jitter)
    assert again == RetryAt(100.0 + wait)


def test_an_outage_of_a_quarter_of_an_hour_is_outlived() -> None:
    now, failures = 0.0, 1
    while isinstance(
        again := after_failure(failures=failures, retryable=True, now=now, jitter=0.0), RetryAt
    ):
        now, failures = again.at, failures + 1
    assert 14 * 60 <= now <= 20 * 60


def test_a_fifth_failure_is_the_last() -> None:
    last = after_failure(failures=5, retryable=True, now=100.0, jitter=0.0)
    assert last == GiveUp("failed 5 times in a row")


def test_what_trying_again_cannot_mend_is_given_up_at_once() -> None:
    assert isinstance(after_failure(failures=1, retryable=False, now=0.0, jitter=0.0), GiveUp)


def test_giving_up_says_why() -> None:
    why = "terraform validate finds the error in the configuration"
    last = after_failure(failures=1, retryable=False, because=why, now=0.0, jitter=0.0)
    assert last == GiveUp(f"retrying can't fix this error: {why}")


@pytest.mark.parametrize(
    ("waited", "jitter", "wait"),
    [
        pytest.param(5.0, 0.0, 60.0, id="about-a-minute"),
        pytest.param(5.0, 0.5, 75.0, id="chance-spreads-it"),
        pytest.param(3600.0, 0.0, 360.0, id="a-tenth-of-the-time-it-has-waited"),
        pytest.param(86_400.0, 0.0, 600.0, id="ten-minutes-at-most"),
    ],
)
def test_what_was_busy_is_tried_again(waited: float, jitter: float, wait: float) -> None:
    again = after_busy(since=1000.0 - waited, now=1000.0, jitter=jitter)
    assert again == RetryAt(1000.0 + wait)
