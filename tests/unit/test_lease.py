"""When a new poller takes the watch over."""

from dataclasses import replace

import pytest

from cts.watch.lease import DEAD_AFTER, RELIEVED_BEFORE, Lease, TakeOver, take_over

NOW = 10_000.0
HELD = Lease(3, "me", 5, NOW - 60, heartbeat_at=NOW - 10, fresh_at=NOW - 60, ends_at=NOW + 820)


@pytest.mark.parametrize(
    ("lease", "verdict"),
    [
        pytest.param(None, TakeOver.REPLACE, id="nobody-ever-held-it"),
        pytest.param(HELD, TakeOver.NO, id="alive"),
        pytest.param(replace(HELD, heartbeat_at=NOW - DEAD_AFTER), TakeOver.NO, id="just-alive"),
        pytest.param(replace(HELD, heartbeat_at=NOW - 61), TakeOver.REPLACE, id="dead"),
        pytest.param(
            replace(HELD, ends_at=NOW + RELIEVED_BEFORE), TakeOver.NO, id="about-to-be-old"
        ),
        pytest.param(replace(HELD, ends_at=NOW + RELIEVED_BEFORE - 1), TakeOver.RELIEVE, id="old"),
        pytest.param(
            replace(HELD, started_at=NOW - 1500, ends_at=NOW + 280),
            TakeOver.NO,
            id="older-than-fifteen-minutes-with-time-left",
        ),
        pytest.param(replace(HELD, ends_at=0.0), TakeOver.RELIEVE, id="of-the-release-before"),
        pytest.param(replace(HELD, generation=4), TakeOver.RELIEVE, id="of-an-older-generation"),
        pytest.param(replace(HELD, generation=6), TakeOver.NO, id="of-a-newer-generation"),
        pytest.param(
            replace(HELD, generation=4, heartbeat_at=NOW - 61),
            TakeOver.REPLACE,
            id="dead-counts-before-old",
        ),
        pytest.param(replace(HELD, heartbeat_at=NOW + 30), TakeOver.NO, id="its-clock-is-ahead"),
        pytest.param(
            replace(HELD, heartbeat_at=NOW + 3600), TakeOver.REPLACE, id="beat-in-the-future"
        ),
    ],
)
def test_take_over(lease: Lease | None, verdict: TakeOver) -> None:
    assert take_over(lease, generation=5, now=NOW) is verdict


@pytest.mark.parametrize(
    ("held", "own", "verdict"),
    [
        ("a", "b", TakeOver.REPLACE),
        ("a", "a", TakeOver.NO),
        ("", "b", TakeOver.NO),  # a poller of the release before did not say
        ("a", "", TakeOver.NO),  # the secret can't be read just now
    ],
)
def test_another_address_authority_or_token_takes_over_at_once(
    held: str, own: str, verdict: TakeOver
) -> None:
    assert take_over(replace(HELD, connection=held), 5, NOW, own) is verdict
