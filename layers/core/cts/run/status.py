"""CTS's word for a task's status, from its last five outcomes."""

from collections.abc import Iterable
from enum import StrEnum

from cts.run.state import Outcome


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
