"""CTS's words for how a task fares."""

import pytest

from cts.run.state import Outcome
from cts.run.status import TaskStatus, task_status


@pytest.mark.parametrize(
    ("successes", "status"),
    [
        pytest.param([], TaskStatus.UNKNOWN, id="never-ran"),
        pytest.param([True], TaskStatus.SUCCESSFUL, id="one-success"),
        pytest.param([True, False, False], TaskStatus.SUCCESSFUL, id="mended"),
        pytest.param([False], TaskStatus.ERRORED, id="only-failure"),
        pytest.param([False, True, True], TaskStatus.ERRORED, id="first-failure-in-a-while"),
        pytest.param([False, True, False], TaskStatus.CRITICAL, id="failed-before-too"),
        pytest.param([False, False], TaskStatus.CRITICAL, id="two-in-a-row"),
    ],
)
def test_newest_first(successes: list[bool], status: TaskStatus) -> None:
    assert task_status([Outcome("run", success, 0.0) for success in successes]) is status
