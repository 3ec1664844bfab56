"""What waits to be applied, over all tasks."""

from collections.abc import Iterable

from cts.run.state import Reason, TaskState


def queued(states: Iterable[TaskState]) -> int:
    """How many tasks wait for a slot."""
    return sum(state.queued_since is not None for state in states)


def oldest_change(states: Iterable[TaskState], now: float) -> float:
    """Seconds since the oldest change was seen that is neither applied nor given up; 0 if there is
    none. What a user holds does not count."""
    seen = [
        wish.since
        for state in states
        if not state.hold and not state.gave_up
        for wishes in (state.wanted, state.running.serves if state.running else {})
        for reason, wish in wishes.items()
        if reason is Reason.CHANGE
    ]
    return max(0.0, now - min(seen, default=now))
