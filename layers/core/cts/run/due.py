"""When a task may run next. Pure: times are arguments."""

from cts.run.state import APART, Reason, TaskState


def next_due(state: TaskState, enabled: bool) -> float | None:
    """When the task may run next; None while nothing is wanted, a run is in
    progress, or the task is disabled or held, and only runs that apply are wanted."""
    return None if state.running else falls_due(state, enabled)


def falls_due(state: TaskState, enabled: bool) -> float | None:
    """When what is wanted falls due, whether a run that goes on has ended by then or not. A task
    that is to be destroyed is disabled."""
    wanted = state.wanted.items()
    return min((wish.due_at for why, wish in wanted if _may_run(state, enabled, why)), default=None)


def _may_run(state: TaskState, enabled: bool, why: Reason) -> bool:
    return why in APART or (not state.hold and (enabled or why is Reason.DESTROY))


def due(state: TaskState, enabled: bool, now: float) -> bool:
    at = next_due(state, enabled)
    return at is not None and at <= now


def correlation(state: TaskState) -> str:
    """The correlation id of what falls due first; empty while nothing is wanted."""
    first = min(state.wanted.values(), key=lambda wish: wish.due_at, default=None)
    return first.correlation if first else ""
