"""A run that applies nothing, because a person wants to see a plan or to have the state moved. Its
task stays as it is: what is wanted, what failed, and the last success."""

from dataclasses import replace

from cts.run.model import End, RunStatus
from cts.run.place import StatePlace
from cts.run.retry import after_busy
from cts.run.state import APART, Reason, Running, TaskState
from cts.run.wanted import wanting, without


def due_apart(state: TaskState, now: float) -> Reason | None:
    """The first such wish that is due."""
    due = [reason for reason in APART & state.wanted.keys() if state.wanted[reason].due_at <= now]
    return min(due, key=lambda reason: (state.wanted[reason].since, reason), default=None)


def running_apart(state: TaskState, running: Running) -> TaskState:
    """The state meanwhile. The last success counts."""
    [reason] = running.serves
    return replace(without(state, reason), running=running, queued_since=None)


def ended_apart(
    state: TaskState, running: Running, end: End, now: float, jitter: float
) -> TaskState:
    """The state after it, however it ended. `state`: no longer running. What failed is not tried
    again: the user who asked for it sees why, and may ask again."""
    [(reason, wish)] = running.serves.items()
    state = replace(state, done=running.before)
    if end.status is RunStatus.MOVED:
        place = StatePlace.CONSUL if wish.path else StatePlace.STACK
        return replace(state, place=place.value, path=wish.path)
    if end.status is not RunStatus.BUSY or reason in state.wanted:
        return state
    again = after_busy(since=wish.since, now=now, jitter=jitter)
    return wanting(state, reason, replace(wish, due_at=again.at))


def path_in_consul(state: TaskState) -> str:
    """Where in Consul a run has the task's state, or moves it from or to; empty: nowhere."""
    serves = state.running.serves if state.running else {}
    move = serves.get(Reason.MOVE)
    return state.path or (move.path if move else "")
