"""How a run's end is recorded and announced: record, then announce, then clear."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from cts.errors import Invalid, NoBuildsAllowed, Refused, Unavailable
from cts.events import (
    ApprovalNeeded,
    Event,
    RunFinished,
    TaskHeld,
    TaskReleased,
    TaskTriggered,
    iso,
)
from cts.ports import Bus, Driver
from cts.run.due import correlation, falls_due
from cts.run.durations import applied_at
from cts.run.lane import learned
from cts.run.model import End, Run, RunStatus, ended
from cts.run.news import GoesOn
from cts.run.person import hold_id
from cts.run.state import APART, Hold, Reason, TaskState
from cts.run.task import finish, sent, unclaim
from cts.run.waiting import waiting
from cts.workflow.counting import Counted, Metrics, count
from cts.workflow.delta_record import DeltaObjects, recorded
from cts.workflow.run_events import approval_needed, run_finished

START, RENDER = "start", "render"
"""The steps of a run whose build never began."""


class Announced(Protocol):
    """The states that say what is to be announced, and the runs."""

    def state(self, task: str) -> TaskState: ...
    def put_state(self, state: TaskState) -> bool: ...
    def run(self, task: str, run_id: str) -> Run | None: ...


class Tasks(Announced, Protocol):
    def settle(self, state: TaskState, run: Run) -> bool:
        """Write the state, the run's row, and free its slot: all or nothing."""


class Sessions(Protocol):
    """The credentials that runs are executed with."""

    def prepare(self, run: Run, archive: bytes) -> None: ...
    def open(self, run: Run, archive: bytes) -> None: ...
    def renew(self, run: Run) -> None: ...
    def close(self, run: Run) -> None: ...


class AnnouncePorts(Protocol):
    """What announcing needs, of the ports of whoever announces."""

    @property
    def tasks(self) -> Announced: ...
    @property
    def records(self) -> DeltaObjects: ...
    @property
    def bus(self) -> Bus: ...
    @property
    def metrics(self) -> Metrics: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlePorts:
    tasks: Tasks
    records: DeltaObjects
    sessions: Sessions
    bus: Bus
    now: Callable[[], float]
    chance: Callable[[], float]
    metrics: Metrics


def settle(ports: SettlePorts, run: Run, end: End, state: TaskState) -> Run | None:
    """Record how a run ended, and announce it. Returns its row; None for news of a run that is not
    running, which changes nothing. What could not be announced is sent by the sweep. `state`: that
    of its task, which is read again if it was written since."""
    now, chance = ports.now(), ports.chance()
    while True:
        after = finish(state, run.id, end, now, chance)
        if after == state:
            return None
        after = replace(after, needs=learned(after.needs, run, end, now))
        row = _ended(run, end, now, after)
        if ports.tasks.settle(after, row):
            announce(ports, after.written, row)
            ports.sessions.close(run)  # else they expire within an hour, and S3 deletes them
            return row
        state = ports.tasks.state(run.task)


def fail_unclaimed(ports: SettlePorts, claimed: TaskState, run: Run, end: End) -> bool:
    """Record a run that ended before it could be claimed. False if the state was written since."""
    now = ports.now()
    after = finish(claimed, run.id, end, now, ports.chance())
    row = _ended(run, end, now, after)
    if not ports.tasks.settle(after, row):
        return False
    announce(ports, after.written, row)
    return True


def _ended(run: Run, end: End, now: float, after: TaskState) -> Run:
    if end.status.succeeded or (is_apart(run) and end.status is not RunStatus.BUSY):
        return ended(run, end, now, None, None)
    if end.status.did_nothing:
        return ended(run, end, now, falls_due(after, True), None)
    return ended(run, end, now, after.retry_at, after.gave_up)


def is_apart(run: Run) -> bool:
    """Whether it applies nothing, whatever happens."""
    return not APART.isdisjoint(run.why)


def give_up(ports: SettlePorts, driver: Driver, run: Run, end: End | None) -> bool:
    """Give up a run that has not begun. False if it has begun after all."""
    if not driver.stop(run, end):
        return False
    given_up(ports, run, end)
    return True


def given_up(ports: SettlePorts, run: Run, end: End | None) -> None:
    """Settle a run that was stopped before it began. Without an `end` the claim is undone,
    which does not count as a failure."""
    if end is None:
        _undo(ports, run)
    else:
        settle(ports, run, replace(end, step=START), ports.tasks.state(run.task))


def driver_of(drivers: Mapping[str, Driver], name: str, doing: str) -> Driver:
    """Raises Unavailable for a driver that only a newer version of this program has."""
    if name not in drivers:
        known = ", ".join(sorted(drivers))
        raise Unavailable(
            f'{doing}: this version of the program has no driver "{name}" (it has: {known}); '
            "a newer one handles it"
        )
    return drivers[name]


def refused(error: Refused) -> End:
    """The end of a run whose build could not be started. A role that can't be assumed yet, or a
    project that is being replaced, recovers by itself; other errors are not retried."""
    final = isinstance(error, Invalid | NoBuildsAllowed)
    return End(RunStatus.ERRORED, apply_began=False, error=str(error), retryable=not final)


def _undo(ports: SettlePorts, run: Run) -> None:
    end = End(RunStatus.CANCELED, apply_began=False)
    while True:
        state = ports.tasks.state(run.task)
        now = ports.now()
        after = unclaim(state, run.id, now)
        if after == state:
            return
        if ports.tasks.settle(after, ended(run, end, now, None, None)):
            ports.sessions.close(run)
            return


def wait(ports: SettlePorts, run: Run, news: GoesOn) -> None:
    """Record what a run waits for, and announce it if it needs an approval."""
    while True:
        state = ports.tasks.state(run.task)
        after = waiting(state, run.id, news)
        if after == state:
            return
        if ports.tasks.put_state(after):
            announce(ports, after.written)
            return


def announce(ports: AnnouncePorts, state: TaskState, ended: Run | None = None) -> TaskState:
    """Send what is unannounced; each is counted, and leaves the state, once it was sent. What is
    no longer known takes its announcement with it. `ended`: the row that was just written."""
    for event_id in state.unannounced:
        name, _, kind = event_id.rpartition("/")
        if kind == RunFinished.detail_type:
            run = ended if ended and ended.id == name else ports.tasks.run(state.task, name)
            _announce_run(ports, run, event_id)
        elif kind == ApprovalNeeded.detail_type:
            _ask_for_approval(ports, state.task, name, event_id)
        elif event := _of_hold(state, name, kind, event_id):
            ports.bus.send([event])
        state = _cleared(ports, state, event_id)
    return state


def _announce_run(ports: AnnouncePorts, run: Run | None, event_id: str) -> None:
    if run is not None:  # its row may have expired
        ports.bus.send([run_finished(event_id, run, recorded(ports.records, run))])
        count(ports.metrics, counted(run))


def _ask_for_approval(ports: AnnouncePorts, task: str, run_id: str, event_id: str) -> None:
    run = ports.tasks.run(task, run_id)
    if run is not None and not run.status.ended:
        ports.bus.send([approval_needed(event_id, run, recorded(ports.records, run))])


def _of_hold(state: TaskState, name: str, kind: str, event_id: str) -> Event | None:
    """The event about a hold of the task; None if a newer version of this program knows it."""
    hold = next((each for each in state.holds if hold_id(state.task, each) == name), None)
    if hold is None:
        return None
    match kind:
        case TaskHeld.detail_type:
            return TaskHeld(event_id, state.task, hold.why, hold.by, iso(hold.since))
        case TaskReleased.detail_type:
            return _released(state.task, hold, event_id)
    return None


def _released(task: str, hold: Hold, event_id: str) -> TaskReleased:
    return TaskReleased(
        id=event_id,
        task=task,
        why=hold.why,
        held_by=hold.by,
        held_at=iso(hold.since),
        by=hold.released_by,
        at=iso(hold.released_at or hold.since),
    )


def counted(run: Run) -> Iterator[Counted]:
    """What an ended run counts for."""
    if run.status is RunStatus.BUSY:
        yield "RunsBusy", "Count", 1
    if run.status.did_nothing or is_apart(run):
        return
    yield ("RunsSucceeded" if run.status.succeeded else "RunsFailed"), "Count", 1
    if run.ended_at is None:
        return
    yield "RunSeconds", "Seconds", run.ended_at - run.claimed_at
    if not run.status.succeeded:
        return
    if Reason.CHANGE in run.why:
        yield "ChangeToAppliedSeconds", "Seconds", applied_at(run) - run.since
    planned = (run.end.counts if run.end else None) or {}
    resources: list[Counted] = [
        ("ResourcesAdded", "Count", planned.get("add", 0)),
        ("ResourcesChanged", "Count", planned.get("change", 0)),
        ("ResourcesDestroyed", "Count", planned.get("destroy", 0)),
    ]
    yield from (each for each in resources if each[2])


def _cleared(ports: AnnouncePorts, state: TaskState, event_id: str) -> TaskState:
    while True:
        after = sent(state, event_id)
        if after == state:
            return state
        if ports.tasks.put_state(after):
            return after.written
        state = ports.tasks.state(state.task)


def triggered(state: TaskState) -> TaskTriggered:
    return TaskTriggered(state.task, correlation(state))
