"""A run whose row expired."""

from cts.run.model import Run, RunStatus
from cts.run.state import Running, TaskState


def as_state_knows(state: TaskState, running: Running) -> Run:
    """The run as its task's state knows it: its row expired."""
    first = min(running.serves.values(), key=lambda wish: wish.since, default=None)
    return Run(
        id=running.run,
        task=state.task,
        status=RunStatus.PENDING,
        why=tuple(running.serves),
        since=first.since if first else running.claimed_at,
        claimed_at=running.claimed_at,
        generation=0,
        definition="",
        trigger=running.trigger,
        inputs={},
        correlation=first.correlation if first else "",
        attempt=state.failures + 1,
        driver=running.driver,
    )
