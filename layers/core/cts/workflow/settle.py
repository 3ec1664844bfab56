"""How a run's end is recorded and announced: record, then announce, then clear."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cts.errors import Refused
from cts.events import Event, RunFinished, TaskTriggered, iso
from cts.run.model import End, Run, RunStatus, ended
from cts.run.task import TaskState, correlation, finish, sent, unclaim


class Tasks(Protocol):
    def state(self, task: str) -> TaskState: ...
    def put_state(self, state: TaskState) -> bool: ...
    def settle(self, state: TaskState, run: Run) -> bool:
        """Write the state, the run's row, and free its slot: all or nothing."""

    def run(self, task: str, run_id: str) -> Run | None: ...


class Records(Protocol):
    def put_if_absent(self, task: str, run: str, name: str, body: bytes) -> bool: ...


class Bus(Protocol):
    def send(self, events: Collection[Event]) -> None: ...


@dataclass(frozen=True, slots=True)
class Ports:
    tasks: Tasks
    records: Records
    bus: Bus
    now: Callable[[], float]
    chance: Callable[[], float]


def settle(ports: Ports, run: Run, end: End) -> TaskState | None:
    """Record how a run ended, and announce it. News of a run that is not running changes nothing:
    then None. What could not be announced is sent by the sweep."""
    now, chance = ports.now(), ports.chance()
    while True:
        state = ports.tasks.state(run.task)
        after = finish(state, run.id, end, now, chance)
        if after == state:
            return None
        failed = not end.status.succeeded
        retry_at = after.retry_at if failed else None
        row = ended(run, end, now, retry_at, after.gave_up if failed else None)
        if ports.tasks.settle(after, row):
            return announce(ports, ports.tasks.state(run.task))


def give_up(ports: Ports, run: Run, end: End | None) -> bool:
    """Give up a run whose build has not begun. False if it has begun after all.

    The build's first act is to put the same object: one conditional put decides. Without an
    `end` the claim is undone, and that is no failure.
    """
    record = {
        "build": None,
        "error": end.error if end else None,
        "retryable": end.retryable if end else True,
    }
    body = json.dumps(record).encode()
    if not ports.records.put_if_absent(run.task, run.id, "started", body):
        return False
    given_up(ports, run, record)
    return True


def given_up(ports: Ports, run: Run, record: Mapping[str, Any]) -> None:
    """Settle a run as the record says that was put in place of its build's."""
    if record["error"] is None:
        _undo(ports, run)
        return
    end = End(
        RunStatus.ERRORED,
        apply_began=False,
        error=record["error"],
        retryable=record["retryable"],
        step="start",
    )
    settle(ports, run, end)


def refused(error: Refused) -> End:
    """The end of a run whose build could not be started."""
    return End(RunStatus.ERRORED, apply_began=False, error=str(error), retryable=False)


def _undo(ports: Ports, run: Run) -> None:
    end = End(RunStatus.CANCELED, apply_began=False)
    while True:
        state = ports.tasks.state(run.task)
        after = unclaim(state, run.id)
        if after == state or ports.tasks.settle(after, ended(run, end, ports.now(), None, None)):
            return


def announce(ports: Ports, state: TaskState) -> TaskState:
    """Send what is unannounced; each leaves the state once it was sent."""
    for event_id in state.unannounced:
        run_id = event_id.split("/", 1)[0]
        run = ports.tasks.run(state.task, run_id)
        if run is not None:  # a row that expired takes its announcement with it
            ports.bus.send([run_finished(event_id, run)])
        state = _cleared(ports, state, event_id)
    return state


def _cleared(ports: Ports, state: TaskState, event_id: str) -> TaskState:
    while True:
        after = sent(state, event_id)
        if after == state or ports.tasks.put_state(after):
            return ports.tasks.state(state.task)
        state = ports.tasks.state(state.task)


def triggered(state: TaskState) -> TaskTriggered:
    return TaskTriggered(state.task, correlation(state))


def run_finished(event_id: str, run: Run) -> RunFinished:
    end = run.end
    return RunFinished(
        id=event_id,
        task=run.task,
        run_id=run.id,
        status=run.status.value,
        why=list(run.why),
        attempt=run.attempt,
        counts=end.counts if end else None,
        error=end.error if end else None,
        retry_at=iso(run.retry_at) if run.retry_at is not None else None,
        gave_up=run.gave_up,
        changed_at=iso(run.since),
        claimed_at=iso(run.claimed_at),
        ended_at=iso(run.ended_at or run.claimed_at),
        correlation_id=run.correlation,
    )
