"""What people do to a task: ask for runs, hold it, release it. Pure: times are arguments."""

from dataclasses import replace

from cts.events import iso
from cts.run.state import APART, Hold, Reason, TaskState, Wish
from cts.run.wanted import counted_anew, wanting

HOLDS = 5
"""Holds kept in the state."""


def ask(
    state: TaskState,
    now: float,
    request: str,
    by: str = "",
    reason: Reason = Reason.PERSON,
    path: str = "",
) -> TaskState:
    """A person wants a run now, or one that destroys, whatever failed before; or what leaves
    failures as they are: a plan, or a move of the state (`path`: as in `Wish`). `request`
    identifies the wish in its run. A wish that is due and waits to be served stays: asking twice is
    asking once."""
    stands = state.wanted.get(reason)
    if state.unreadable or (stands is not None and stands.due_at <= now):
        return state
    if reason not in APART:
        state = counted_anew(state)
    return wanting(state, reason, Wish(now, now, request, by=by, path=path))


def has_planned(state: TaskState, since: float) -> bool:
    """Whether a run has ended since then, and no plan is wanted or being made."""
    is_planned = state.running is not None and Reason.INSPECT in state.running.serves
    if Reason.INSPECT in state.wanted or is_planned:
        return False
    return any(each.ended_at > since for each in state.former)


def hold(state: TaskState, why: str, by: str, now: float) -> TaskState:
    """Nothing is applied until the task is released; it is observed like any other. A task that is
    held already stays so."""
    if state.hold is not None:
        return state
    made = Hold(why, by, now)
    return replace(
        state,
        hold=why,
        holds=(made, *state.holds)[:HOLDS],
        unannounced=(*state.unannounced, f"{hold_id(state.task, made)}/TaskHeld"),
    )


def release(state: TaskState, by: str, now: float) -> TaskState:
    """What was wanted meanwhile is due as if it had never been held. A task whose state can't be
    read stays held."""
    held = state.held
    if held is None:
        return state
    ended = replace(held, released_at=now, released_by=by)
    return replace(
        state,
        hold=None,
        holds=(ended, *state.holds[1:]),
        unannounced=(*state.unannounced, f"{hold_id(state.task, ended)}/TaskReleased"),
    )


def hold_id(task: str, hold: Hold) -> str:
    """What identifies a hold in the IDs of its events."""
    return f"{task}-{iso(hold.since)}"
