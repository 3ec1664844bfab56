"""CTS's word for a task's status, from its last five outcomes."""

from collections.abc import Iterable
from enum import StrEnum

from cts.run.state import Outcome, TaskState
from cts.run.task import RECENT


class TaskStatus(StrEnum):
    SUCCESSFUL = "successful"
    ERRORED = "errored"
    CRITICAL = "critical"
    UNKNOWN = "unknown"


def task_status(recent: Iterable[Outcome]) -> TaskStatus:
    """`recent` is newest first. Errored: the newest failed, alone; critical: not alone."""
    successes = [outcome.success for outcome in recent]
    if not successes:
        return TaskStatus.UNKNOWN
    if successes[0]:
        return TaskStatus.SUCCESSFUL
    return TaskStatus.ERRORED if all(successes[1:]) else TaskStatus.CRITICAL


def last_success(state: TaskState) -> str | None:
    """The last successful run; "" if there was none, None if it is no longer known."""
    if state.done:
        return state.done.run
    known = next((each.run for each in state.recent if each.success), "")
    return known or ("" if len(state.recent) < RECENT else None)
