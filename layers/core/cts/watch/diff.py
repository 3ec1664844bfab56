"""The diff. Pure: what was read and what is stored, and what follows for views and tasks."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from cts.generation import Generation, TaskEntry
from cts.run.leaving import staying
from cts.run.state import TaskState
from cts.run.task import observe
from cts.run.tick import scheduled
from cts.watch import needs
from cts.watch.fingerprint import fingerprint_of
from cts.watch.needs import Firsts, looked_at, rendered, unread, watched
from cts.watch.query import View
from cts.watch.snapshot import Snapshot
from cts.watch.view import Answer, Chunk, Row, Verdict, chunk_of, judge, rows_of


@dataclass(frozen=True, slots=True)
class StoredViews:
    """What is stored of the views that a generation needs."""

    chunks: Mapping[str, Chunk] = field(default_factory=dict)
    rows: Mapping[str, Row] = field(default_factory=dict)
    """As in the chunks, except where only an index moved: indices are written later."""
    firsts: Firsts = field(default_factory=dict)


def stored(generation: Generation, chunks: Mapping[str, Chunk], firsts: Firsts) -> StoredViews:
    """What was loaded. A first view whose snapshot is gone is not read."""
    needed = {view.id for view in views(generation, firsts)}
    needed -= {view.id for view in first_views(generation)} - firsts.keys()
    rows = {view: row for view, row in rows_of(chunks).items() if view in needed}
    return StoredViews(chunks, rows, firsts)


def without_dropped(stored: StoredViews, chunks: Mapping[str, Chunk]) -> StoredViews:
    """Chunks loaded again. A runner that misses a snapshot takes its row out: the view is not
    read."""
    kept = rows_of(chunks)
    rows = {view: row for view, row in stored.rows.items() if view in kept}
    return replace(stored, chunks=dict(chunks), rows=rows)


def first_views(generation: Generation) -> set[View]:
    """The views that say which others are needed."""
    return needs.first_views(each for task in generation.tasks.values() for each in task.conditions)


def views(generation: Generation, firsts: Firsts) -> set[View]:
    """All views a generation needs, as far as they are known."""
    found: set[View] = set()
    for task in generation.tasks.values():
        found.update(watched(task.conditions, firsts))
    return found


def firsts_of(generation: Generation, answers: Mapping[View, Answer]) -> dict[str, Snapshot]:
    """What was answered of first views."""
    return {view.id: answers[view].snapshot for view in first_views(generation) if view in answers}


def tasks_by_view(generation: Generation, firsts: Firsts) -> dict[str, list[str]]:
    """View id -> the tasks that look at it."""
    found: dict[str, list[str]] = {}
    for name, task in generation.tasks.items():
        for view in {*watched(task.conditions, firsts)}:
            found.setdefault(view.id, []).append(name)
    return found


@dataclass(frozen=True, slots=True)
class Look:
    """What some answers mean: what to store, and which tasks to observe."""

    changed: Mapping[View, Answer]
    moved: Mapping[str, Row]
    """Rows of which only the index is another."""
    superseded: Mapping[str, Row]
    """Stored rows whose snapshot nothing needs after this."""
    firsts: Firsts
    needed: frozenset[str]
    tasks: list[str]

    @property
    def rows(self) -> dict[str, Row]:
        return {view.id: answer.row for view, answer in self.changed.items()}


def look_at(
    generation: Generation, stored: StoredViews, answers: Mapping[View, Answer], *, derive_all: bool
) -> Look:
    """Judge answers. With `derive_all` every task is observed, whatever changed."""
    rows = {view: each.row_after(stored.rows.get(view.id)) for view, each in answers.items()}
    verdicts = {view: judge(stored.rows.get(view.id), row) for view, row in rows.items()}
    changed = {
        view: answers[view]
        for view, verdict in verdicts.items()
        if verdict in (Verdict.FIRST, Verdict.CHANGED)
    }
    firsts = {**stored.firsts, **firsts_of(generation, changed)}
    needed = frozenset(view.id for view in views(generation, firsts))
    return Look(
        changed=changed,
        moved={v.id: rows[v] for v, each in verdicts.items() if each is Verdict.MOVED},
        superseded=_superseded(stored, {v.id: each.row for v, each in changed.items()}, needed),
        firsts=firsts,
        needed=needed,
        tasks=[
            name
            for name, task in generation.tasks.items()
            if derive_all or _looks_at(task, changed, firsts, stored.firsts)
        ],
    )


def _superseded(
    stored: StoredViews, changed: Mapping[str, Row], needed: Collection[str]
) -> dict[str, Row]:
    return {
        view: row
        for view, row in {**rows_of(stored.chunks), **stored.rows}.items()
        if view not in needed or changed.get(view, row).digest != row.digest
    }


def _looks_at(
    task: TaskEntry, changed: Mapping[View, Answer], firsts: Firsts, former: Firsts
) -> bool:
    needed = set(rendered(task.conditions, firsts))
    return (
        bool(needed & changed.keys())
        or needed != set(rendered(task.conditions, former))
        or any(view.id not in former for view in needs.first_views(task.conditions))
    )


def rows_after(stored: StoredViews, look: Look) -> dict[str, Row]:
    """The rows of the views that are needed, once the look was written."""
    return {view: row for view, row in {**stored.rows, **look.rows}.items() if view in look.needed}


def states_after(
    generation: Generation,
    stored: StoredViews,
    look: Look,
    states: Mapping[str, TaskState],
    now: float,
    correlation: str,
    ignored: Collection[str] = (),
) -> list[TaskState]:
    """The states that follow, without those that stay as they are. `ignored`: the tasks that no
    change since their last success triggers."""
    rows = rows_after(stored, look)
    after = (
        _observed(
            generation.tasks[task],
            states[task],
            rows,
            look.firsts,
            now,
            correlation,
            ignored=task in ignored,
        )
        for task in look.tasks
    )
    return [state for state in after if state != states[state.task]]


def _observed(
    task: TaskEntry,
    state: TaskState,
    rows: Mapping[str, Row],
    firsts: Firsts,
    now: float,
    correlation: str,
    *,
    ignored: bool,
) -> TaskState:
    """A task some of whose views were never read wants what it wanted: partial knowledge never
    acts. A disabled task waits for no slot: it must not be woken, nor take a tick that is past."""
    if not task.enabled:
        state = replace(state, queued_since=None)
    if unread(task.conditions, rows, firsts):
        return state
    condition = task.condition
    fingerprint = fingerprint_of(task.definition, looked_at(condition, rows, firsts))
    state = state if task.leaving else staying(state)
    state = observe(state, fingerprint, now, task.buffer, correlation, ignored=ignored)
    return scheduled(state, condition.timetable, condition.next_tick(now))


def chunks_after(stored: StoredViews, look: Look) -> list[Chunk]:
    """Chunks with a changed row, or with one that is no longer needed."""
    dirty = {chunk_of(view) for view in look.rows if view in look.needed}
    dirty |= {
        name
        for name, chunk in stored.chunks.items()
        if any(v not in look.needed for v in chunk.rows)
    }
    known = {**stored.rows, **look.rows}
    return [
        replace(
            stored.chunks.get(name, Chunk(name)),
            rows={
                view: row
                for view, row in known.items()
                if chunk_of(view) == name and view in look.needed
            },
        )
        for name in sorted(dirty)
    ]


def stored_after(stored: StoredViews, look: Look, written: Collection[Chunk]) -> StoredViews:
    """What is stored once the look and these chunks were written."""
    return StoredViews(
        chunks={**stored.chunks, **{c.name: replace(c, version=c.version + 1) for c in written}},
        rows=rows_after(stored, look),
        firsts=look.firsts,
    )


def moved_chunks(stored: StoredViews) -> list[Chunk]:
    """Chunks of which an index has moved since they were written."""
    written = rows_of(stored.chunks)
    moved = {chunk_of(view) for view, row in stored.rows.items() if written.get(view) != row}
    return [
        replace(
            stored.chunks[name],
            rows={view: row for view, row in stored.rows.items() if chunk_of(view) == name},
        )
        for name in sorted(moved & stored.chunks.keys())
    ]


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
