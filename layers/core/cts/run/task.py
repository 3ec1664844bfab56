"""What happens to a task's state: its transitions. Pure: times, ids and chance are arguments.

`wanted` holds what is asked for, at most one wish per reason. A claim moves what a run serves
into `running` and the last success into `running.before`; `finish` settles both.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cts.run.apart import due_apart, ended_apart, running_apart
from cts.run.kept_version import kept_after
from cts.run.leaving import destroying, due_to_leave, has_destroyed
from cts.run.model import TERRAFORM, End, RunStatus
from cts.run.retry import MAX_RETRIES, GiveUp, RetryAt, after_busy, after_failure
from cts.run.state import Done, Former, Outcome, Reason, Running, TaskState, Wish
from cts.run.tick import is_fresh, ticked
from cts.run.wanted import counted_anew, wanting, without

RECENT = 5
"""Outcomes kept in the state: as many as CTS keeps events of a task."""
FORMER = 2 * (MAX_RETRIES + 1)
"""Builds kept in the state that have ended: those of two outcomes, with all their retries."""

# ---- what the poller sees -----------------------------------------------------------------


def observe(
    state: TaskState,
    fingerprint: str,
    now: float,
    buffer: tuple[float, float] | None,
    correlation: str,
    *,
    ignored: bool = False,
) -> TaskState:
    """Take in the trigger fingerprint that is current now. Touches the reason `change` only.

    `ignored`: nothing that triggers this task has happened since its last success (`events`).

    `buffer` is the buffer period (min, max) in seconds: a change waits `min`, every further one
    prolongs the wait, `max` after the first ends it. A task that never ran doesn't wait.
    """
    if state.unreadable:
        return state
    failed = state.failed
    if failed is not None and fingerprint != failed:
        state = counted_anew(state)
    running = state.running
    brings_about = running is not None and not running.is_apart and not running.destroys
    settled = running if brings_about else state.done
    if ignored or (settled is not None and settled.trigger == fingerprint):
        return without(state, Reason.CHANGE)
    stands = state.wanted.get(Reason.CHANGE)
    if stands is not None and stands.fingerprint == fingerprint:
        return state
    if fingerprint == state.failed and state.gave_up:
        return without(state, Reason.CHANGE)
    since = stands.since if stands and stands.fingerprint != failed else now
    if fingerprint == state.failed and state.retry_at is not None:
        due_at = state.retry_at
    elif buffer is None or not (state.recent or state.running):
        due_at = now
    else:
        due_at = min(now + buffer[0], since + buffer[1])
    return wanting(state, Reason.CHANGE, Wish(since, due_at, correlation, fingerprint))


# ---- when it runs ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claimed:
    state: TaskState
    why: tuple[Reason, ...]
    since: float
    correlation: str


def claim(
    state: TaskState,
    run: str,
    trigger: str,
    inputs: str,
    now: float,
    driver: str = TERRAFORM,
    tick: float | None = None,
    *,
    ignored: bool = False,
) -> Claimed | TaskState:
    """Claim a due task for a run that is fed with what was just loaded. `tick`: the next time of
    its timetable, which replaces a tick that this run serves, or that nothing is to be done for.
    `ignored`: as in `observe`, of what was just loaded.

    States are written a moment before views, so the loaded trigger fingerprint may be older than
    the wish: such a run serves the change it was loaded with, and the newer wish stays. Without a
    reason to run, the state comes back, less a change that is known to be done.

    A run that applies nothing comes first, and alone: it may be due while nothing else is. So does
    one that destroys.
    """
    if alone := due_apart(state, now) or due_to_leave(state, now):
        wish = state.wanted[alone]
        running = Running(run, {alone: wish}, trigger, inputs, now, state.done, driver=driver)
        after = (running_apart if running.is_apart else destroying)(state, running)
        return Claimed(after, (alone,), wish.since, wish.correlation)
    done = state.done is not None and (ignored or state.done.trigger == trigger)
    going = [
        reason
        for reason, wish in state.wanted.items()
        if wish.due_at <= now and _says_go(reason, state, trigger, inputs, now, done=done)
    ]
    left = ticked(state, inputs, now, tick)
    if not going:
        stands = left.wanted.get(Reason.CHANGE)
        is_done = done and stands is not None and stands.fingerprint == trigger
        return without(left, Reason.CHANGE) if is_done else left
    serves = {reason: wish for reason, wish in state.wanted.items() if wish.due_at <= now}
    serves.pop(Reason.CHANGE, None)
    change = state.wanted.get(Reason.CHANGE)
    if change and (Reason.CHANGE in going or change.fingerprint == trigger):
        serves[Reason.CHANGE] = replace(change, fingerprint=trigger)
    first = min((state.wanted[reason] for reason in going), key=lambda wish: wish.since)
    # A run of other data ends the count: what failed before it may be tried again after it. So
    # does a tick that no run has served yet.
    is_next = Reason.SCHEDULE in going and is_fresh(state.wanted[Reason.SCHEDULE])
    counted = state if trigger == state.failed and not is_next else counted_anew(state)
    retry = counted.failures > 0 and counted.gave_up is None
    return Claimed(
        state=replace(
            counted,
            wanted={r: wish for r, wish in left.wanted.items() if serves.get(r) != wish},
            running=Running(run, serves, trigger, inputs, now, state.done, retry, driver),
            done=None,
            queued_since=None,
            leaving="",  # what it creates, another run has to destroy
            destroyed=False,
        ),
        why=tuple(going),
        since=first.since,
        correlation=first.correlation,
    )


def _says_go(
    reason: Reason, state: TaskState, trigger: str, inputs: str, now: float, *, done: bool
) -> bool:
    match reason:
        case Reason.CHANGE:
            return not done and not (trigger == state.failed and _waits(state, now))
        case Reason.SCHEDULE:
            return state.done is None or state.done.inputs != inputs
        case _:
            return True


def _waits(state: TaskState, now: float) -> bool:
    """What failed must wait before its retry, or is never retried."""
    return state.gave_up is not None or (state.retry_at is not None and state.retry_at > now)


def queue(state: TaskState, now: float) -> TaskState:
    """No slot is free: the task waits its turn. Not a failure."""
    return replace(state, queued_since=state.queued_since or now)


# ---- how a run ends -----------------------------------------------------------------------


def unclaim(state: TaskState, run: str, now: float) -> TaskState:
    """The run was given up before its build began: all is as before the claim, except a tick,
    which is not missed for that: it is due now."""
    running = state.running
    if running is None or running.run != run:
        return state
    serves = dict(running.serves)
    if tick := serves.get(Reason.SCHEDULE):
        serves[Reason.SCHEDULE] = replace(tick, due_at=max(tick.due_at, now))
    return _less_what_is_done(
        replace(
            state,
            wanted=_put_back(serves, state.wanted),
            running=None,
            done=running.before,
        )
    )


def finish(state: TaskState, run: str, end: End, now: float, jitter: float) -> TaskState:
    """Settle a run that ended. News of a run that is not the running one changes nothing.

    A run that ended before its apply began leaves the former success in force; a failed apply
    does not, because it leaves neither the old state nor the new.
    """
    running = state.running
    if running is None or running.run != run:
        return state
    state = replace(
        kept_after(state, end),
        running=None,
        unannounced=(*state.unannounced, f"{run}/RunFinished"),
        former=((Former(run, now), *state.former) if end.known else state.former)[:FORMER],
    )
    if running.is_apart:
        return ended_apart(state, running, end, now, jitter)
    if end.status.did_nothing:
        return _less_what_is_done(_untouched(state, running, end, now, jitter))
    outcomes = (_outcome(running, end, now), *state.recent[int(running.retry) :])
    state = replace(state, recent=outcomes[:RECENT])
    if end.status.succeeded and running.destroys:
        return has_destroyed(counted_anew(state))
    if end.status.succeeded:
        done = Done(run, running.trigger, running.inputs)
        return _less_what_is_done(replace(counted_anew(state), done=done))
    state = replace(state, done=None if end.apply_began else running.before)
    return _less_what_is_done(_failed(state, running, end, now, jitter))


def _untouched(
    state: TaskState, running: Running, end: End, now: float, jitter: float
) -> TaskState:
    """All is as before the run. What a busy one served is due again soon, without counting as a
    failure."""
    serves = dict(running.serves)
    if end.status is RunStatus.BUSY:
        since = min((wish.since for wish in serves.values()), default=now)
        again = after_busy(since=since, now=now, jitter=jitter)
        serves = {
            reason: replace(wish, due_at=again.at, busy_since=wish.busy_since or now)
            for reason, wish in serves.items()
        }
    else:
        serves.pop(Reason.PERSON, None)
    return replace(state, done=running.before, wanted=_put_back(serves, state.wanted))


def _outcome(running: Running, end: End, now: float) -> Outcome:
    success = end.status.succeeded
    return Outcome(running.run, success, now, end.error, running.claimed_at, end.counts)


def _failed(state: TaskState, running: Running, end: End, now: float, jitter: float) -> TaskState:
    failures = state.failures + 1  # a claim of other data has reset the count
    failed = None if running.destroys else running.trigger
    state = replace(state, failures=failures, failed=failed)
    match after_failure(
        failures=failures,
        retryable=end.retryable,
        because=end.because,
        now=now,
        jitter=jitter,
    ):
        case GiveUp(why):
            return replace(state, retry_at=None, gave_up=why)
        case RetryAt(at):
            back = {
                reason: replace(wish, due_at=at, busy_since=None)
                for reason, wish in running.serves.items()
            }
            wanted = _put_back(back, state.wanted)
            return replace(state, retry_at=at, gave_up=None, wanted=wanted)


def _put_back(served: Mapping[Reason, Wish], wanted: Mapping[Reason, Wish]) -> dict[Reason, Wish]:
    """What a run served is wanted again: a change only if there is no newer one, a tick instead of
    the next one, unless that falls due first."""
    back = {**served, **wanted}
    ticks = [each[Reason.SCHEDULE] for each in (served, wanted) if Reason.SCHEDULE in each]
    if ticks:
        back[Reason.SCHEDULE] = min(ticks, key=lambda wish: wish.due_at)
    return back


def _less_what_is_done(state: TaskState) -> TaskState:
    stands = state.wanted.get(Reason.CHANGE)
    if stands is None or state.done is None or stands.fingerprint != state.done.trigger:
        return state
    state = without(state, Reason.CHANGE)
    return state if state.failed is None else counted_anew(state)


# ---- announcements ------------------------------------------------------------------------


def sent(state: TaskState, event: str) -> TaskState:
    return replace(state, unannounced=tuple(each for each in state.unannounced if each != event))
