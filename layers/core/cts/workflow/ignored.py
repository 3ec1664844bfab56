"""Whether only what a task's `events` leave out has happened since its last success.

Then nothing triggers it: what changed is in its next run. A run that goes on is waited for: until
it has ended, every change is wanted.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from cts.errors import Altered
from cts.generation import TaskEntry
from cts.run.state import TaskState
from cts.watch.fingerprint import fingerprint_of
from cts.watch.happened import Fed, Seen, counts, differing
from cts.watch.needs import Firsts, looked_at, things, unread
from cts.watch.snapshot import Snapshot
from cts.watch.view import Row
from cts.workflow.loading import Loaded


class FedTasks(Protocol):
    def fed(self, task: str) -> Mapping[str, Fed]:
        """What the task's last runs were fed with, by run; empty if that is gone, or not readable
        for this version of the program."""


class Watched(FedTasks, Protocol):
    def get(self, view: str, digest: str) -> Snapshot | None: ...


def is_ignored(
    entry: TaskEntry,
    state: TaskState,
    digests: Mapping[str, str],
    firsts: Firsts,
    get: Callable[[str], Snapshot | None],
    fed: Callable[[str], Fed | None],
) -> bool:
    """Not known is not ignored. `digests`: of what triggers the task; `get`: what was read of a
    view, by its ID; `fed`: what a run of the task was fed with. Both give None for what is gone."""
    done = state.done
    if not entry.events or done is None:
        return False
    if done.trigger == fingerprint_of(entry.definition, digests):
        return False  # nothing has changed
    former = fed(done.run)
    if former is None or former.definition != entry.definition:
        return False
    views = differing(former, digests)
    read = {view: get(view) for view in views & digests.keys()}
    there = {view: snapshot for view, snapshot in read.items() if snapshot is not None}
    now = things(entry.condition, firsts, there)
    if now is None or len(there) < len(read):
        return False
    return not counts(entry.events, former, views, now)


def fed_after(
    entry: TaskEntry, state: TaskState, former: Mapping[str, Fed], run: str, loaded: Loaded
) -> dict[str, Fed]:
    """What is to be kept when this run is claimed: what it is fed with, and what the last success
    was, which counts again if the run ends before its apply. `state`: before the claim."""
    now = things(entry.condition, loaded.read, loaded.read)
    last = state.done.run if state.done else ""
    kept = {last: former[last]} if last in former else {}
    if now is None:
        return kept
    seen = {view: Seen(digest, now[view]) for view, digest in loaded.looked_at.items()}
    return {**kept, run: Fed(entry.definition, seen)}


class Ignored:
    """What a poller knows of it: it reads what each last success was fed with once."""

    def __init__(self, stored: Watched) -> None:
        self._stored = stored
        self._known: dict[str, tuple[str, Fed | None]] = {}
        self.untold: list[str] = []
        """What people must know, in words."""

    def tasks(
        self,
        entries: Mapping[str, TaskEntry],
        states: Mapping[str, TaskState],
        rows: Mapping[str, Row],
        firsts: Firsts,
        held: Mapping[str, Snapshot],
    ) -> frozenset[str]:
        """The tasks among these that nothing triggers. `held`: the snapshots that need not be
        read, by the IDs of their views."""

        def get(view: str) -> Snapshot | None:
            try:
                return held.get(view) or self._stored.get(view, rows[view].digest)
            except Altered:
                return None

        return frozenset(
            name
            for name, state in states.items()
            if (entry := entries[name]).events
            and not unread(entry.conditions, rows, firsts)
            and is_ignored(
                entry,
                state,
                looked_at(entry.condition, rows, firsts),
                firsts,
                get,
                partial(self._fed, name),
            )
        )

    def _fed(self, task: str, run: str) -> Fed | None:
        known, found = self._known.get(task, ("", None))
        if known != run:
            found = self._stored.fed(task).get(run)
            self._known[task] = run, found
            if found is None:
                self.untold.append(
                    f"what run {run} of task {task} was fed with is not stored, so any change "
                    "triggers the task"
                )
        return found
