"""A run that only plans, because a person wants to see the plan. Its task stays as it is: what is
wanted, what failed, and the last success."""

from dataclasses import replace

from cts.run.model import End, RunStatus
from cts.run.retry import after_busy
from cts.run.state import Reason, Running, TaskState
from cts.run.wanted import wanting, without


def inspecting(state: TaskState, running: Running) -> TaskState:
    """The state while `running` plans. The last success counts meanwhile."""
    return replace(without(state, Reason.INSPECT), running=running, queued_since=None)


def inspected(state: TaskState, running: Running, end: End, now: float, jitter: float) -> TaskState:
    """The state after it, however it ended. `state`: no longer running. A plan that failed is not
    tried again: the user who asked for it sees why, and may ask again."""
    state = replace(state, done=running.before)
    wish = running.serves[Reason.INSPECT]
    if end.status is not RunStatus.BUSY or Reason.INSPECT in state.wanted:
        return state
    again = after_busy(since=wish.since, now=now, jitter=jitter)
    return wanting(state, Reason.INSPECT, replace(wish, due_at=again.at))
