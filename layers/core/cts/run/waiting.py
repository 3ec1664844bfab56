"""A task whose run waits for people."""

from dataclasses import replace

from cts.run.news import GoesOn
from cts.run.state import TaskState


def waiting(state: TaskState, run: str, news: GoesOn) -> TaskState:
    """What its run waits for; empty: no longer for anything. A run that needs an approval is to be
    announced. News of a run that is not the running one changes nothing."""
    running = state.running
    if running is None or running.run != run or running.waits == news.waits:
        return state
    after = replace(state, running=replace(running, waits=news.waits))
    event = f"{run}/ApprovalNeeded"
    if not news.approval or event in state.unannounced:
        return after
    return replace(after, unannounced=(*state.unannounced, event))
