"""What waits to be applied, and when it was."""

from dataclasses import replace

import pytest

from cts.run.backlog import oldest_change, queued
from cts.run.durations import applied_at, seconds
from cts.run.model import End, RunStatus
from cts.run.state import Reason, Running, TaskState, Wish
from tests.fakes import RUN

NOW = 1_000.0
SEEN = {Reason.CHANGE: Wish(900.0, 950.0)}
WAITS = TaskState("web", wanted=SEEN)
RUNS = TaskState("web", running=Running("web-1", SEEN, "t", "i", 960.0, None))


@pytest.mark.parametrize(
    ("states", "waits"),
    [
        ([], 0),
        ([TaskState("web")], 0),
        ([WAITS], 100),
        ([RUNS], 100),
        ([replace(WAITS, hold="the firewall is replaced")], 0),
        ([replace(WAITS, gave_up="it failed 5 times")], 0),
        ([TaskState("web", wanted={Reason.SCHEDULE: Wish(1.0, 1.0)})], 0),
        ([WAITS, TaskState("dns", wanted={Reason.CHANGE: Wish(850.0, 850.0)})], 150),
        ([TaskState("dns", wanted={Reason.CHANGE: Wish(1_002.0, 1_002.0)})], 0),
    ],
)
def test_the_oldest_change_is_one_that_is_not_applied(
    states: list[TaskState], waits: float
) -> None:
    assert oldest_change(states, NOW) == waits


def test_tasks_in_the_queue_are_counted() -> None:
    assert queued([WAITS, replace(WAITS, queued_since=950.0)]) == 1


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("1970-01-01T00:17:10+00:00", 1_030.0),
        (None, 1_060.0),
        ("1970-01-01T00:00:00+00:00", 1_000.0),
        ("2070-01-01T00:00:00+00:00", 1_060.0),
    ],
    ids=["as-the-build-says", "as-recorded", "not-before-its-claim", "not-after-its-record"],
)
def test_a_change_is_applied_when_the_build_has_done_it(said: str | None, at: float) -> None:
    times = {"ended": said} if said else {}
    end = End(RunStatus.APPLIED, apply_began=True, times=times)
    assert applied_at(replace(RUN, end=end, ended_at=1_060.0)) == at


def test_steps_that_were_not_reached_have_no_time() -> None:
    times = {"started": "1970-01-01T00:16:45+00:00", "init": "1970-01-01T00:16:46+00:00"}
    end = End(RunStatus.ERRORED, apply_began=False, times=times)
    took = seconds(replace(RUN, since=990.0, end=end, ended_at=1_060.0))
    assert took == {"waited": 10.0, "queued": 5.0, "start": 1.0, "total": 60.0}
