"""Which version of Terraform a task keeps: that of its last run that applied, until its
configuration or a person says otherwise."""

from dataclasses import replace

from cts.run.model import End
from cts.run.state import TaskState, Upgrade


def claimed_with(state: TaskState, version: str, home: str, driver: str) -> TaskState:
    """`version`: engine and version of the run that was claimed, as `terraform 1.9.8`. `home` and
    `driver`: as in `Running`."""
    assert state.running is not None  # it was claimed
    running = replace(state.running, keeps=version, home=home, driver=driver)
    return replace(state, running=running)


def kept_after(state: TaskState, end: End) -> TaskState:
    """With what the task keeps of its run, which has ended with this. It keeps nothing of a run
    that applied nothing: such a run leaves no state that an older version could not read."""
    running = state.running
    if running is None or running.is_apart or not (end.apply_began or end.status.succeeded):
        return state
    version = running.keeps if end.apply_began else ""
    home = running.home or state.home
    return replace(state, terraform=version or state.terraform, home=home)


def upgraded(state: TaskState, version: str, by: str, now: float) -> TaskState:
    """A person wants this version from the next run on; empty: the one that a new task would get.
    A run that is under way goes on with its own, and the task does not keep that."""
    running = state.running and replace(state.running, keeps="")
    if state.terraform == version and state.running == running:
        return state
    upgrade = Upgrade(version, by, now)
    return replace(state, terraform=version, running=running, upgrade=upgrade)
