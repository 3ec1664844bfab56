"""The diff. Pure: what was read and what is stored, and what follows for views and tasks."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from cts.generation import Generation, TaskEntry
from cts.run.task import TaskState, observe
from cts.watch.fingerprint import digests, trigger_fingerprint
from cts.watch.query import Kind, View
from cts.watch.view import Answer, Chunk, Row, Verdict, chunk_of, judge, rows_of

LISTING = View(Kind.LISTING)


@dataclass(frozen=True, slots=True)
class StoredViews:
    """What is stored of the views that a generation needs."""

    chunks: Mapping[str, Chunk] = field(default_factory=dict)
    rows: Mapping[str, Row] = field(default_factory=dict)
    """As in the chunks, but for indices that moved alone: those are written later."""
    names: list[str] | None = None
    """The catalog's listing; None: not read."""


def stored(
    generation: Generation, chunks: Mapping[str, Chunk], names: list[str] | None
) -> StoredViews:
    """What was loaded. A listing whose snapshot is gone, so that it has no names, is not read."""
    needed = {view.id for view in views(generation, names)}
    if names is None:
        needed.discard(LISTING.id)
    return StoredViews(chunks, {v: row for v, row in rows_of(chunks).items() if v in needed}, names)


def without_dropped(stored: StoredViews, chunks: Mapping[str, Chunk]) -> StoredViews:
    """Chunks loaded anew. A runner that misses a snapshot takes its row out: the view is not
    read."""
    kept = rows_of(chunks)
    rows = {view: row for view, row in stored.rows.items() if view in kept}
    return replace(stored, chunks=dict(chunks), rows=rows)


def views(generation: Generation, names: list[str] | None) -> set[View]:
    """All views a generation needs, given the catalog's listing."""
    found = set(generation.fixed_views)
    for task in generation.tasks.values():
        found.update(task.condition.needed_views(names or ()))
    return found


def tasks_by_view(generation: Generation, names: list[str] | None) -> dict[str, list[str]]:
    """View id -> the tasks that look at it."""
    found: dict[str, list[str]] = {}
    for name, task in generation.tasks.items():
        for view in {*task.condition.fixed_views, *task.condition.needed_views(names or ())}:
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
    names: list[str] | None
    needed: frozenset[str]
    tasks: list[str]

    @property
    def rows(self) -> dict[str, Row]:
        return {view.id: answer.row for view, answer in self.changed.items()}


def look_at(
    generation: Generation, stored: StoredViews, answers: Mapping[View, Answer], *, derive_all: bool
) -> Look:
    """Judge answers. With `derive_all` every task is observed, whatever changed."""
    verdicts = {view: judge(stored.rows.get(view.id), each.row) for view, each in answers.items()}
    changed = {
        view: answers[view]
        for view, verdict in verdicts.items()
        if verdict in (Verdict.FIRST, Verdict.CHANGED)
    }
    names = changed[LISTING].snapshot.names if LISTING in changed else stored.names
    needed = frozenset(view.id for view in views(generation, names))
    return Look(
        changed=changed,
        moved={v.id: answers[v].row for v, each in verdicts.items() if each is Verdict.MOVED},
        superseded=_superseded(stored, {v.id: each.row for v, each in changed.items()}, needed),
        names=names,
        needed=needed,
        tasks=[
            name
            for name, task in generation.tasks.items()
            if derive_all or _looks_at(task, changed, names, stored.names)
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


def states_after(
    generation: Generation,
    stored: StoredViews,
    look: Look,
    states: Mapping[str, TaskState],
    now: float,
    correlation: str,
) -> list[TaskState]:
    """The states that follow, without those that stay as they are."""
    rows = {view: row for view, row in {**stored.rows, **look.rows}.items() if view in look.needed}
    after = (
        _observed(generation.tasks[task], states[task], rows, look.names, now, correlation)
        for task in look.tasks
    )
    return [state for state in after if state != states[state.task]]


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


def chunks_after(stored: StoredViews, look: Look) -> list[Chunk]:
    """Chunks with a changed row, or with one that nothing needs any more."""
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
    rows = {**stored.rows, **look.rows}
    return StoredViews(
        chunks={**stored.chunks, **{c.name: replace(c, version=c.version + 1) for c in written}},
        rows={view: row for view, row in rows.items() if view in look.needed},
        names=look.names,
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
