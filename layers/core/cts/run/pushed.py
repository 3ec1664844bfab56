"""A task that is pushed to be held: nothing is applied before a person has seen its plan."""

from dataclasses import replace

from cts.run.person import hold, release
from cts.run.place import PROGRAM
from cts.run.state import TaskState

PUSH = "cts push"
"""The holder."""
WHY = "it was pushed with --adopt or --inspect: look at its plan, then release it"


def held_by_push(state: TaskState, push: str, now: float) -> TaskState:
    """`push`: the version of the bundle, which holds the task once: a release is not undone when
    the same bundle is published again. A task that a person holds stays as it is. One that is held
    because its state was not found yet must not run by itself once it is."""
    if state.unreadable or any(each.push == push for each in state.holds):
        return state
    held = state.held
    if held is not None and held.by == PROGRAM:
        state = release(state, PUSH, now)
    if state.hold is not None:
        return state
    after = hold(state, WHY, PUSH, now)
    made, *others = after.holds
    return replace(after, holds=(replace(made, push=push), *others))
