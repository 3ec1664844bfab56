"""Where a task keeps its Terraform state: decided once, before its first run.

CTS keeps states in Consul's KV unless told otherwise. A task that came from there and started with
an empty state would create everything a second time.
"""

from dataclasses import replace
from enum import StrEnum

from cts.run.person import hold, release
from cts.run.state import TaskState

PROGRAM = "cts"
"""The holder of tasks whose place is not known."""


class StatePlace(StrEnum):
    STACK = "stack"
    """The stack's state bucket."""
    CONSUL = "consul"
    """Where CTS left it in Consul."""


def is_placed(state: TaskState) -> bool:
    """Whether it is known where the state is: a task that has run has one."""
    return bool(state.place or state.running or state.done or state.recent or state.former)


def place(state: TaskState, found: StatePlace | str, path: str, now: float) -> TaskState:
    """Take in what was found of a task that is not placed: its place, or why that can't be told,
    which holds it until it can, or until a person releases it. If it is held already, it stays so,
    and the reason is noted. `path`: where CTS keeps states. It is kept, for a configuration may
    name another one later."""
    if state.unreadable or is_placed(state):
        return state
    held = state.held
    is_ours = held is not None and held.by == PROGRAM
    if not isinstance(found, StatePlace):
        if held is not None and not is_ours:
            return replace(state, unplaced=found)
        return hold(replace(state, unplaced=""), found, PROGRAM, now)
    if is_ours:
        state = release(state, PROGRAM, now)
    path = path if found is StatePlace.CONSUL else ""
    return replace(state, place=found.value, path=path, unplaced="")


def released(state: TaskState, by: str, now: float) -> TaskState:
    """A person releases it. What was held because its place can't be told begins with an empty
    state in the stack; what was held because its state has to be moved has it there now. What was
    held for another reason, and has no place either, is held for that now."""
    held = state.held
    after = release(state, by, now)
    if state.unplaced:
        return place(after, state.unplaced, "", now)
    if held is not None and held.home:
        return replace(after, home=held.home)
    if held is not None and held.by == PROGRAM and not is_placed(state):
        return replace(after, place=StatePlace.STACK.value)
    return after
