"""Keep all views current, observe their tasks, announce what is due.

The steps of one poller are here, without waiting; `live.py` feeds them with answers.
Order of every write: snapshots, then task states, then view rows; each checks the epoch. A crash
in between is healed by the next poller, which derives every task again.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from cts.errors import Unavailable
from cts.events import CatalogChanged, TaskTriggered
from cts.generation import Generation
from cts.ports import Bus
from cts.run.due import correlation, falls_due
from cts.run.home import at_home
from cts.run.place import StatePlace, is_placed, place
from cts.run.state import TaskState
from cts.run.tick import tick_correlation
from cts.watch import diff
from cts.watch.diff import Look, StoredViews
from cts.watch.lease import Commit, Deposed, Lease
from cts.watch.query import View
from cts.watch.snapshot import Snapshot
from cts.watch.stale import Stale
from cts.watch.view import Answer, Chunk, Row, rows_of
from cts.workflow.catalog_change import CatalogChange, catalog_change
from cts.workflow.ignored import Ignored, Watched
from cts.workflow.stale_recorder import StaleRecord, StaleRecorder

TRANSACTION_LIMIT = 100
"""Actions in one DynamoDB transaction; one of them is the check of the epoch."""


class Leases(Protocol):
    def lease(self) -> Lease | None: ...
    def take(self, read: Lease | None, new: Lease) -> bool:
        """Raise the epoch, if the lease is still the one that was read."""

    def beat(self, lease: Lease) -> bool:
        """Write the heartbeat, if the epoch is still the lease's."""


class Watch(Protocol):
    def chunks(self) -> Mapping[str, Chunk]: ...
    def states(self, tasks: Collection[str]) -> Mapping[str, TaskState]:
        """Consistently read. A task without an item gets a new state."""

    def commit(
        self, epoch: int, states: Collection[TaskState], chunks: Collection[Chunk]
    ) -> Commit:
        """Write all or nothing, if the epoch stands and each item has the version given here."""


class Snapshots(Watched, Protocol):
    def put_all(self, snapshots: Mapping[str, Snapshot]) -> None:
        """Put each view's snapshot. All are there when it returns."""

    def supersede(self, view: str, digest: str) -> None:
        """Mark the object for expiry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollPorts:
    leases: Leases
    watch: Watch
    stale: StaleRecord
    snapshots: Snapshots
    bus: Bus
    now: Callable[[], float]
    new_id: Callable[[], str]
    transaction_limit: int = TRANSACTION_LIMIT


@dataclass(slots=True)
class Tally:
    """What happened since the last report."""

    changes: int = 0
    triggered: int = 0


class Poller:
    """What one poller knows."""

    def __init__(self, ports: PollPorts, generation: Generation) -> None:
        self.ports, self.generation = ports, generation
        self.epoch = 0
        self.stored = StoredViews()
        self.stale = StaleRecorder(ports.stale, ports.bus, ports.now)
        self.due_at: dict[str, tuple[float, str]] = {}
        """Task -> when it falls due, and the correlation id of why."""
        self.untold: list[CatalogChange] = []
        self.superseded: set[tuple[str, str]] = set()
        """Replaced snapshots that are not marked for expiry yet: view ID and digest."""
        self.ignored = Ignored(ports.snapshots)
        self.places: Mapping[str, StatePlace | str] = {}
        """Where tasks keep their states, or why that can't be told: of those that have not run."""
        self.unsure = False
        """A write was answered with an error: what is stored may be either."""
        self.tally = Tally()

    def row(self, view: View) -> Row | None:
        return self.stored.rows.get(view.id)

    def views(self) -> set[View]:
        """All views this generation needs, as far as they are known."""
        return diff.views(self.generation, self.stored.firsts)

    def not_placed(self) -> list[str]:
        """The tasks that have not run, and may have a state of CTS."""
        if not self.generation.former_state:
            return []
        states = self.ports.watch.states(self.generation.tasks.keys())
        return sorted(task for task, state in states.items() if not is_placed(state))

    def added_by(self, answers: Mapping[View, Answer]) -> set[View]:
        """The views that these answers say are needed too."""
        firsts = diff.firsts_of(self.generation, answers)
        if not firsts:
            return set()
        return diff.views(self.generation, {**self.stored.firsts, **firsts}) - answers.keys()

    def counted(self) -> Tally:
        """What happened since this was asked last."""
        tally, self.tally = self.tally, Tally()
        return tally

    # ---- taking over --------------------------------------------------------------------

    def load(self) -> None:
        """Read what is stored."""
        self.stale.load()
        chunks = self.ports.watch.chunks()
        rows = rows_of(chunks)
        firsts = {
            view.id: found
            for view in diff.first_views(self.generation)
            if view.id in rows
            and (found := self.ports.snapshots.get(view.id, rows[view.id].digest))
        }
        self.stored = diff.stored(self.generation, chunks, firsts)

    def raise_epoch(self, read: Lease | None, lease: Lease) -> bool:
        """From here on no former poller can write. Load again after it. A write whose answer was
        lost is known by its owner."""
        try:
            taken = self.ports.leases.take(read, lease)
        except Unavailable:
            taken = False
        if not taken:
            holds = self.ports.leases.lease()
            taken = holds is not None and (holds.owner, holds.epoch) == (lease.owner, lease.epoch)
        if taken:
            self.epoch = lease.epoch
        return taken

    # ---- one look -----------------------------------------------------------------------

    def differs(self, answers: Mapping[View, Answer], stale: Mapping[str, Stale]) -> bool:
        """Whether there is anything to write."""
        if self.stale.differs(stale, self._tasks_by_view()):
            return True
        look = diff.look_at(self.generation, self.stored, answers, derive_all=True)
        states = self.ports.watch.states(look.tasks)
        return bool(self._states_after(look, states, "") or diff.chunks_after(self.stored, look))

    def look(
        self, answers: Mapping[View, Answer], *, derive_all: bool = False
    ) -> CatalogChanged | None:
        """Judge answers; store what changed and what their tasks want now.

        Returns what changed. Raises Deposed if another poller holds the watch.
        """
        if self.unsure:
            self.load()
            derive_all = True
        look = diff.look_at(self.generation, self.stored, answers, derive_all=derive_all)
        self.stored = replace(self.stored, rows={**self.stored.rows, **look.moved})
        if not look.changed and not derive_all:
            return None
        self.ports.snapshots.put_all({v.id: each.snapshot for v, each in look.changed.items()})
        correlation = self.ports.new_id()
        before = {view: self.row(view) for view in look.changed}
        self.unsure = True
        states = self._write(look, correlation)
        self._note_due(states)
        self.unsure = False
        self.superseded |= {(view, row.digest) for view, row in look.superseded.items()}
        if not look.changed:
            return None
        self.tally.changes += len(look.changed)
        change = catalog_change(look.changed, before, states, correlation, self.ports.now())
        self.untold.append(change)
        return change.event

    def _write(self, look: Look, correlation: str) -> Mapping[str, TaskState]:
        """Write states, then chunks; decide again while others write in between."""
        while True:
            states = self.ports.watch.states(look.tasks)
            after = self._states_after(look, states, correlation)
            chunks = diff.chunks_after(self.stored, look)
            if self._committed(after, chunks):
                self.stored = diff.stored_after(self.stored, look, chunks)
                return {**states, **{state.task: state for state in after}}
            self.stored = diff.without_dropped(self.stored, self.ports.watch.chunks())

    def _states_after(
        self, look: Look, states: Mapping[str, TaskState], correlation: str
    ) -> list[TaskState]:
        generation, now = self.generation, self.ports.now()
        rows = diff.rows_after(self.stored, look)
        held = {**look.firsts, **{v.id: each.snapshot for v, each in look.changed.items()}}
        ignored = self.ignored.tasks(generation.tasks, states, rows, look.firsts, held)
        after = diff.states_after(generation, self.stored, look, states, now, correlation, ignored)
        return self._placed(look, states, after)

    def _placed(
        self, look: Look, states: Mapping[str, TaskState], after: list[TaskState]
    ) -> list[TaskState]:
        """And with the places that were found, and held or released for where they are."""
        changed, now = {state.task: state for state in after}, self.ports.now()
        for task in look.tasks:
            state, path = changed.get(task, states[task]), self.generation.former_state
            if task in self.places:
                state = place(state, self.places[task], path, now)
            state = at_home(state, self.generation.tasks[task].home, now)
            if state != states[task]:
                changed[task] = state
        return list(changed.values())

    def _committed(self, states: list[TaskState], chunks: list[Chunk]) -> bool:
        limit = self.ports.transaction_limit - 1
        for some_states, some_chunks in diff.batches(states, chunks, limit):
            match self.ports.watch.commit(self.epoch, some_states, some_chunks):
                case Commit.DEPOSED:
                    raise Deposed
                case Commit.STALE:
                    return False
        return True

    def leave(self) -> None:
        """Write the indices that moved alone, so that the next poller asks from there."""
        self._committed([], diff.moved_chunks(self.stored))

    def record_stale(self, stale: Mapping[str, Stale]) -> list[str]:
        """Record what became stale and what was read again, and announce it. Returns what was
        announced, in words."""
        return self.stale.record(self.epoch, stale, self._tasks_by_view())

    def _tasks_by_view(self) -> Mapping[str, Collection[str]]:
        return diff.tasks_by_view(self.generation, self.stored.firsts)

    # ---- announcing ---------------------------------------------------------------------

    def announce(self) -> None:
        """Send TaskTriggered for what fell due, and CatalogChanged, which reads what was before;
        then mark that for expiry. Nothing depends on it: what is due the sweep sends again."""
        now = self.ports.now()
        due = {task: why for task, (at, why) in self.due_at.items() if at <= now}
        if due:
            self.ports.bus.send([TaskTriggered(task, why) for task, why in due.items()])
        for task in due:
            self._note_tick(task, now)
        self.tally.triggered += len(due)
        if self.untold:
            self.ports.bus.send([each.with_delta(self.ports.snapshots.get) for each in self.untold])
            self.untold = []
        self._expire_superseded()

    def _expire_superseded(self) -> None:
        """But not what has come back since."""
        for view, digest in self.superseded:
            row = self.stored.rows.get(view)
            if row is None or row.digest != digest:
                self.ports.snapshots.supersede(view, digest)
        self.superseded.clear()

    def _note_due(self, states: Mapping[str, TaskState]) -> None:
        for task, state in states.items():
            at = falls_due(state, self.generation.tasks[task].enabled)
            if at is None:
                self.due_at.pop(task, None)
            else:
                self.due_at[task] = (at, correlation(state))

    def _note_tick(self, task: str, now: float) -> None:
        """The next tick follows from the timetable, so its state is not read for it."""
        tick = self.generation.tasks[task].condition.next_tick(now)
        if tick is None:
            del self.due_at[task]
        else:
            self.due_at[task] = (tick, tick_correlation(tick))

    @property
    def next_due(self) -> float | None:
        if self.untold or self.superseded:
            return self.ports.now()
        return min((at for at, _ in self.due_at.values()), default=None)
