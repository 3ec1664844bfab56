"""A task that is deleted with all that its runs have created: a run destroys that first.

The configuration says that it leaves, by the ID of the request (`TaskEntry.leaving`): it is
disabled then, but stays until its state says that all is destroyed. The wish for this run is stored
once for each request. Pure: times are arguments.
"""

from dataclasses import replace

from cts.run.person import ask
from cts.run.state import Reason, Running, TaskState
from cts.run.wanted import counted_anew, without


def asked_to_leave(state: TaskState, request: str, by: str, now: float) -> TaskState:
    """With the wish of this request, unless it was taken in before."""
    if state.unreadable or state.leaving == request:
        return state
    state = replace(state, leaving=request, destroyed=False)
    return ask(state, now, request, by, Reason.DESTROY)


def less_former_leave(state: TaskState, leaving: str) -> TaskState:
    """Without the wish of a request that the configuration no longer has. `leaving`: as in it. Was
    that older than the state, the request is taken in again."""
    if Reason.DESTROY not in state.wanted or state.leaving == leaving:
        return state
    return replace(counted_anew(without(state, Reason.DESTROY)), leaving="")


def staying(state: TaskState) -> TaskState:
    """Of a task that does not leave: that it could not be destroyed keeps it from nothing."""
    return counted_anew(state) if state.leaving else state


def due_to_leave(state: TaskState, now: float) -> Reason | None:
    wish = state.wanted.get(Reason.DESTROY)
    return Reason.DESTROY if wish and wish.due_at <= now else None


def destroying(state: TaskState, running: Running) -> TaskState:
    """The state while this run destroys. The last success counts no longer. Its failures are
    counted whatever the data."""
    retry = state.failures > 0 and state.gave_up is None
    after = replace(without(state, Reason.DESTROY), running=replace(running, retry=retry))
    return replace(after, done=None, queued_since=None)


def has_destroyed(state: TaskState) -> TaskState:
    """After a run that did. If it was asked for again meanwhile, another run looks again."""
    return replace(state, done=None, destroyed=Reason.DESTROY not in state.wanted)


def is_destroyed(state: TaskState, request: str) -> bool:
    """Whether nothing is left of what this request wants to be destroyed."""
    return state.destroyed and state.leaving == request
