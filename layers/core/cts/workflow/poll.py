"""Keep all views current, observe their tasks, announce what is due.

The steps of one poller are here, without waiting; `live.py` feeds them with answers.
Order of every write: snapshots, then task states, then view rows; each checks the epoch. A crash
in between is healed by the next poller, which derives every task again.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from cts.errors import Unavailable
from cts.events import MOST_LISTED, CatalogChanged, Event, TaskTriggered, iso
from cts.run.task import TaskState, correlation, falls_due, observe
from cts.terraform.definition import Generation, TaskEntry
from cts.watch.fingerprint import digests, trigger_fingerprint
from cts.watch.lease import Commit, Lease
from cts.watch.query import Kind, View
from cts.watch.snapshot import Snapshot
from cts.watch.stale import Stale, StaleViews, recorded
from cts.watch.view import Answer, Chunk, Row, Verdict, chunk_of, judge, rows_of

TRANSACTION_LIMIT = 100
"""Actions in one DynamoDB transaction; one of them is the check of the epoch."""


class Deposed(Exception):
    """Another poller holds the watch: leave."""


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


class StaleRecord(Protocol):
    def stale_views(self) -> StaleViews: ...
    def put_stale_views(self, epoch: int, stale: StaleViews) -> Commit:
        """Write the record, if the epoch stands and it has the version given here."""


class Snapshots(Protocol):
    def put_all(self, snapshots: Mapping[str, Snapshot]) -> None:
        """Put each view's snapshot. All are there when it returns."""

    def get(self, view: str, digest: str) -> Snapshot | None: ...
    def supersede(self, view: str, digest: str) -> None:
        """Mark the object for expiry."""


class Bus(Protocol):
    def send(self, events: Collection[Event]) -> None: ...


@dataclass(frozen=True, slots=True)
class Ports:
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


@dataclass(slots=True)
class Poller:
    """What one poller knows. `rows` is what is stored, but for indices that moved alone."""

    ports: Ports
    generation: Generation
    epoch: int = 0
    rows: dict[str, Row] = field(default_factory=dict)
    chunks: dict[str, Chunk] = field(default_factory=dict)
    names: list[str] | None = None
    """The catalog's listing; None: not read."""
    due_at: dict[str, tuple[float, str]] = field(default_factory=dict)
    """Task -> when it falls due, and the correlation id of why."""
    unsure: bool = False
    """A write was answered with an error: what is stored may be either."""
    tally: Tally = field(default_factory=Tally)
    stale: StaleViews | None = None
    """The record as it is stored; None: not known."""

    def row(self, view: View) -> Row | None:
        return self.rows.get(view.id)

    @property
    def stale_before(self) -> Mapping[str, Stale]:
        """What the record says that was loaded."""
        return self.stale.views if self.stale else {}

    def counted(self) -> Tally:
        """What happened since this was asked last."""
        tally, self.tally = self.tally, Tally()
        return tally

    # ---- loading ------------------------------------------------------------------------

    def load(self) -> None:
        """Read what is stored. A listing whose snapshot is gone counts as not read."""
        self.stale = self.ports.stale.stale_views()
        self.chunks = dict(self.ports.watch.chunks())
        self.rows = rows_of(self.chunks)
        listing = View(Kind.LISTING).id
        if (row := self.rows.get(listing)) is not None:
            found = self.ports.snapshots.get(listing, row.digest)
            self.names = found.names if found else None
            if found is None:
                del self.rows[listing]
        self._forget(self.views())

    def views(self, names: list[str] | None = None) -> set[View]:
        """All views this generation needs, given the catalog's listing (the last one read)."""
        listed = self.names if names is None else names
        views = set(self.generation.fixed_views)
        for task in self.generation.tasks.values():
            views.update(task.condition.needed_views(listed or ()))
        return views

    def _forget(self, views: Collection[View]) -> None:
        needed = {view.id for view in views}
        self.rows = {view: row for view, row in self.rows.items() if view in needed}

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
        if self.stale is None or self.stale.unannounced or self._recorded(stale) is not self.stale:
            return True
        look = self._judged(answers, derive_all=True)
        states = self.ports.watch.states(look.tasks)
        return bool(self._decided(look, states, "") or self._written_chunks(look))

    def look(
        self, answers: Mapping[View, Answer], *, derive_all: bool = False
    ) -> CatalogChanged | None:
        """Judge answers; store what changed and what their tasks want now; announce.

        Returns what changed. Raises Deposed if another poller holds the watch.
        """
        if self.unsure:
            self.load()
            derive_all = True
        look = self._judged(answers, derive_all=derive_all)
        self.rows.update(look.moved)
        if not look.changed and not derive_all:
            return None
        self.ports.snapshots.put_all({v.id: each.snapshot for v, each in look.changed.items()})
        correlation = self.ports.new_id()
        self.unsure = True
        states = self._write(look, correlation)
        self._remember(look, states)
        self.unsure = False
        for view, row in look.replaced.items():
            self.ports.snapshots.supersede(view, row.digest)
        changed = None
        if look.changed:
            self.tally.changes += len(look.changed)
            changed = _catalog_changed(look, states, correlation, self.ports.now())
            self.ports.bus.send([changed])
        self.announce()
        return changed

    def _judged(self, answers: Mapping[View, Answer], *, derive_all: bool) -> "Look":
        verdicts = {view: judge(self.rows.get(view.id), each.row) for view, each in answers.items()}
        changed = {
            view: answers[view]
            for view, verdict in verdicts.items()
            if verdict in (Verdict.FIRST, Verdict.CHANGED)
        }
        listing = changed.get(View(Kind.LISTING))
        names = listing.snapshot.names if listing else self.names
        tasks = self.generation.tasks
        needed = frozenset(view.id for view in self.views(names))
        return Look(
            changed=changed,
            moved={v.id: answers[v].row for v, each in verdicts.items() if each is Verdict.MOVED},
            replaced=self._replaced({v.id: each.row for v, each in changed.items()}, needed),
            names=names,
            needed=needed,
            tasks=[
                name
                for name, task in tasks.items()
                if derive_all or _looks_at(task, changed, names, self.names)
            ],
        )

    def _replaced(self, changed: Mapping[str, Row], needed: Collection[str]) -> dict[str, Row]:
        """Stored rows whose snapshot is not needed any more."""
        replaced = {}
        for view, row in (rows_of(self.chunks) | self.rows).items():
            answer = changed.get(view, row)
            if view not in needed or answer.digest != row.digest:
                replaced[view] = row
        return replaced

    def _decided(
        self, look: "Look", states: Mapping[str, TaskState], correlation: str
    ) -> list[TaskState]:
        rows = self.rows | {view.id: answer.row for view, answer in look.changed.items()}
        rows = {view: row for view, row in rows.items() if view in look.needed}
        now = self.ports.now()
        after = (
            _observed(self.generation.tasks[task], states[task], rows, look.names, now, correlation)
            for task in look.tasks
        )
        return [state for state in after if state != states[state.task]]

    def _written_chunks(self, look: "Look") -> list[Chunk]:
        """Chunks with a changed row, or with one that nothing needs any more."""
        changed = {view.id: answer.row for view, answer in look.changed.items()}
        dirty = {chunk_of(view) for view in changed if view in look.needed}
        dirty |= {
            name
            for name, chunk in self.chunks.items()
            if any(v not in look.needed for v in chunk.rows)
        }
        known = self.rows | changed
        return [
            replace(
                self.chunks.get(name, Chunk(name)),
                rows={
                    view: row
                    for view, row in known.items()
                    if chunk_of(view) == name and view in look.needed
                },
            )
            for name in sorted(dirty)
        ]

    def _write(self, look: "Look", correlation: str) -> Mapping[str, TaskState]:
        """Write states, then chunks; decide again while others write in between."""
        while True:
            states = dict(self.ports.watch.states(look.tasks))
            after = self._decided(look, states, correlation)
            chunks = self._written_chunks(look)
            if self._committed(after, chunks):
                self._count_up(chunks)
                return states | {state.task: state for state in after}
            self._reload_chunks()

    def _committed(self, states: list[TaskState], chunks: list[Chunk]) -> bool:
        for some_states, some_chunks in batches(states, chunks, self.ports.transaction_limit - 1):
            match self.ports.watch.commit(self.epoch, some_states, some_chunks):
                case Commit.DEPOSED:
                    raise Deposed
                case Commit.STALE:
                    return False
        return True

    def _count_up(self, chunks: Iterable[Chunk]) -> None:
        for chunk in chunks:
            self.chunks[chunk.name] = replace(chunk, version=chunk.version + 1)

    def _reload_chunks(self) -> None:
        """A runner that misses a snapshot takes its row out: such a view is not read."""
        stored = self.ports.watch.chunks()
        kept = rows_of(stored)
        self.rows = {view: row for view, row in self.rows.items() if view in kept}
        self.chunks = dict(stored)

    def _remember(self, look: "Look", states: Mapping[str, TaskState]) -> None:
        self.rows |= {view.id: answer.row for view, answer in look.changed.items()}
        self.rows = {view: row for view, row in self.rows.items() if view in look.needed}
        self.names = look.names
        for task, state in states.items():
            at = falls_due(state, self.generation.tasks[task].enabled)
            if at is None:
                self.due_at.pop(task, None)
            else:
                self.due_at[task] = (at, correlation(state))

    def leave(self) -> None:
        """Write the indices that moved alone, so that the next poller asks from there."""
        stored = rows_of(self.chunks)
        moved = {chunk_of(view) for view, row in self.rows.items() if stored.get(view) != row}
        chunks = [
            replace(
                self.chunks[name],
                rows={view: row for view, row in self.rows.items() if chunk_of(view) == name},
            )
            for name in sorted(moved & self.chunks.keys())
        ]
        self._committed([], chunks)

    # ---- what could not be read ---------------------------------------------------------

    def record_stale(self, stale: Mapping[str, Stale]) -> list[str]:
        """Record what became stale and what was read again, announce it, then clear it. Returns
        what was announced, in words."""
        if self.stale is None:
            self.stale = self.ports.stale.stale_views()
        record = self._recorded(stale)
        if record is self.stale and not record.unannounced:
            return []
        if record is not self.stale:
            record = self._put_stale(record)
        self.ports.bus.send(record.unannounced)
        self._put_stale(replace(record, unannounced=()))
        return [event.text for event in record.unannounced]

    def _recorded(self, stale: Mapping[str, Stale]) -> StaleViews:
        assert self.stale is not None
        return recorded(self.stale, stale, self._tasks_by_view(), self.ports.now())

    def _put_stale(self, record: StaleViews) -> StaleViews:
        """Raises Deposed, and Unavailable if another poller's write came in between."""
        self.stale = None  # not known while a write may be lost
        match self.ports.stale.put_stale_views(self.epoch, record.to_store()):
            case Commit.DEPOSED:
                raise Deposed
            case Commit.STALE:
                raise Unavailable("recording stale views: the record was written in between")
            case Commit.DONE:
                self.stale = replace(record, version=record.version + 1)
                return self.stale

    def _tasks_by_view(self) -> dict[str, list[str]]:
        tasks: dict[str, list[str]] = {}
        for name, task in self.generation.tasks.items():
            condition = task.condition
            for view in {*condition.fixed_views, *condition.needed_views(self.names or ())}:
                tasks.setdefault(view.id, []).append(name)
        return tasks

    # ---- announcing ---------------------------------------------------------------------

    def announce(self) -> None:
        """Send TaskTriggered for what fell due. Nothing depends on it: the sweep sends again."""
        now = self.ports.now()
        due = {task: why for task, (at, why) in self.due_at.items() if at <= now}
        if due:
            self.ports.bus.send([TaskTriggered(task, why) for task, why in due.items()])
        for task in due:
            del self.due_at[task]
        self.tally.triggered += len(due)

    @property
    def next_due(self) -> float | None:
        return min((at for at, _ in self.due_at.values()), default=None)


@dataclass(frozen=True, slots=True)
class Look:
    """What some answers mean: what to store, and which tasks to observe."""

    changed: Mapping[View, Answer]
    moved: Mapping[str, Row]
    replaced: Mapping[str, Row]
    names: list[str] | None
    needed: frozenset[str]
    tasks: list[str]


def _looks_at(
    task: TaskEntry,
    changed: Mapping[View, Answer],
    names: list[str] | None,
    former_names: list[str] | None,
) -> bool:
    needed = set(task.condition.needed_views(names or ()))
    if needed & changed.keys():
        return True
    return task.condition.regexp is not None and (
        former_names is None or needed != set(task.condition.needed_views(former_names))
    )


def _observed(
    task: TaskEntry,
    state: TaskState,
    rows: Mapping[str, Row],
    names: list[str] | None,
    now: float,
    correlation: str,
) -> TaskState:
    """A task some of whose views were never read is left as it is: partial knowledge never acts."""
    seen = digests(task.condition, rows, names)
    if seen is None:
        return state
    fingerprint = trigger_fingerprint(task.definition, seen)
    return observe(state, fingerprint, now, task.buffer, correlation)


def batches(
    states: list[TaskState], chunks: list[Chunk], limit: int
) -> Iterator[tuple[list[TaskState], list[Chunk]]]:
    """One transaction if all fits, else several: all states before the first chunk."""
    if len(states) + len(chunks) <= limit:
        if states or chunks:
            yield states, chunks
        return
    for start in range(0, len(states), limit):
        yield states[start : start + limit], []
    for start in range(0, len(chunks), limit):
        yield [], chunks[start : start + limit]


def _catalog_changed(
    look: Look, states: Mapping[str, TaskState], correlation: str, now: float
) -> CatalogChanged:
    views = sorted(str(view) for view in look.changed)
    tasks = sorted(states)
    return CatalogChanged(
        views=views[:MOST_LISTED],
        view_count=len(views),
        tasks=tasks[:MOST_LISTED],
        task_count=len(tasks),
        correlation_id=correlation,
        at=iso(now),
    )
