"""What the clock asks for. Pure: times are arguments.

A tick is the wish of the reason `schedule`. As long as a timetable goes on, the state has one: who
takes or drops a tick puts the next one in its place.
"""

from cts.events import iso
from cts.run.state import Reason, TaskState, Wish
from cts.run.wanted import counted_anew, wanting, without

LATE = 600.0
"""Seconds after which a tick is missed: a task that is enabled in the morning does not make up for
the night, nor does a stack that was down."""


def scheduled(state: TaskState, timetable: str, tick: float | None) -> TaskState:
    """Take in what the clock asks for. `tick`: the next time of the timetable. A tick that stands
    stays, overdue or not, as long as its timetable does."""
    if state.unreadable:
        return state
    stands = state.wanted.get(Reason.SCHEDULE)
    if stands is not None and stands.fingerprint == timetable:
        return state
    return _ticking(state, timetable, tick)


def less_missed(state: TaskState, now: float, tick: float | None) -> TaskState:
    """A missed tick gives way to `tick`, the first one of the last `LATE` seconds or after them."""
    stands = state.wanted.get(Reason.SCHEDULE)
    if stands is None or not _is_missed(state, stands, now):
        return state
    return _ticking(state, stands.fingerprint or "", tick)


def ticked(state: TaskState, inputs: str, now: float, tick: float | None) -> TaskState:
    """A due tick gives way to the next one. If all is as its last success left it, what failed
    since is over."""
    stands = state.wanted.get(Reason.SCHEDULE)
    if stands is None or stands.due_at > now:
        return state
    if state.done is not None and state.done.inputs == inputs:
        state = counted_anew(state)
    return _ticking(state, stands.fingerprint or "", tick)


def _is_missed(state: TaskState, tick: Wish, now: float) -> bool:
    """Whether nothing took the tick in its time, although it had neither to wait for the end of a
    run nor for a slot."""
    waited_until = now if state.queued_since is None else state.queued_since
    last_end = state.recent[0].ended_at if state.recent else tick.due_at
    return waited_until - max(tick.due_at, last_end) > LATE


def is_fresh(tick: Wish) -> bool:
    """Whether no run has served it: what is put back is due later."""
    return tick.due_at == tick.since


def tick_correlation(tick: float) -> str:
    return f"schedule-{iso(tick)}"


def _ticking(state: TaskState, timetable: str, tick: float | None) -> TaskState:
    state = without(state, Reason.SCHEDULE)
    if tick is None:
        return state
    wish = Wish(tick, tick, tick_correlation(tick), timetable)
    return wanting(state, Reason.SCHEDULE, wish)
