"""Small steps on what a state wants."""

from dataclasses import replace

from cts.run.state import Reason, TaskState, Wish


def wanting(state: TaskState, reason: Reason, wish: Wish) -> TaskState:
    return replace(state, wanted={**state.wanted, reason: wish})


def without(state: TaskState, reason: Reason) -> TaskState:
    """It stays in the queue for what else was due when it began to wait."""
    if reason not in state.wanted:
        return state
    wanted = {r: w for r, w in state.wanted.items() if r is not reason}
    since = state.queued_since
    waits = since is not None and any(wish.due_at <= since for wish in wanted.values())
    return replace(state, wanted=wanted, queued_since=since if waits else None)


def counted_anew(state: TaskState) -> TaskState:
    return replace(state, failures=0, failed=None, retry_at=None, gave_up=None)
