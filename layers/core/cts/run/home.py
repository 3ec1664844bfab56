"""Whose a task's Terraform state is: the stack's builds keep it, or a workspace of HCP Terraform.

Changing the driver or the workspace moves no state. A task that went on there would begin with an
empty state and create everything a second time, so it is held until a person has moved it.
"""

from dataclasses import replace

from cts.run.model import TERRAFORM
from cts.run.person import hold, release
from cts.run.place import PROGRAM
from cts.run.state import TaskState


def home_of(state: TaskState) -> str:
    """As `TaskState.home`. Earlier versions of this program, which did not record it, had builds
    only."""
    has_state = state.done or state.path or any(each.success for each in state.recent)
    return state.home or (TERRAFORM if has_state else "")


def at_home(state: TaskState, home: str, now: float) -> TaskState:
    """Hold the task if its state is elsewhere than in `home`, where its configuration wants it;
    release it if that is no longer so. What was destroyed left nothing that is elsewhere."""
    if state.destroyed:
        state = replace(state, home=home)
    former, held = home_of(state), state.held
    is_away = former != "" and not is_same(former, home)
    if held is not None and held.home and not (is_away and is_same(held.home, home)):
        state = release(state, PROGRAM, now)
    if not is_away or state.hold is not None:
        return state
    after = hold(state, _why(state, former, home), PROGRAM, now)
    made, *others = after.holds
    return replace(after, holds=(replace(made, home=home), *others))


def is_same(one: str, other: str) -> bool:
    """Earlier versions of this program did not record the host of a workspace."""
    short, long = sorted((one, other), key=len)
    return short == long or ("/" in short and long.endswith(f"/{short}"))


def _why(state: TaskState, former: str, home: str) -> str:
    keeper = f"Consul, below {state.path}" if state.path and not state.home else _named(former)
    return (
        f"its Terraform state is kept by {keeper}, and by its configuration it would begin "
        f"with an empty state in {_named(home)} and create everything a second time. Move the "
        'state as the section "Moving a task from one driver to the other" of '
        f"docs/hcp-terraform.md says, look at the plan with cts inspect {state.task}, then release "
        "the task; or push the former configuration again"
    )


def _named(home: str) -> str:
    return "the stack's builds" if home == TERRAFORM else f"HCP Terraform's workspace {home}"
