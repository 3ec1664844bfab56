"""What a run is fed with, against what the last successful run was fed with: recorded with the
run, for people. Nothing depends on it."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from cts.conditions.condition import Read
from cts.errors import Altered, Refused, Unavailable, Unreadable
from cts.generation import TaskEntry
from cts.run.model import MOST_INPUTS, Run
from cts.run.state import TaskState
from cts.run.status import last_success
from cts.watch.delta import Difference, What, counts, differences, first, in_a_line, short
from cts.watch.needs import first_views, rendered
from cts.watch.query import Kind, View
from cts.watch.snapshot import EMPTY, Snapshot
from cts.workflow.delta_record import OBJECT, DeltaObjects

MOST_COMPARED = 50
"""Former snapshots that are read: nothing must wait for many of them."""
NO_NAME = "a view that is no longer watched"


class RunRecords(DeltaObjects, Protocol):
    def get(self, view: str, digest: str) -> Snapshot | None: ...
    def put_if_absent(self, task: str, run: str, name: str, body: bytes) -> bool: ...


class FormerRuns(Protocol):
    def run(self, task: str, run_id: str) -> Run | None: ...


def record(
    runs: FormerRuns, records: RunRecords, state: TaskState, run: Run, entry: TaskEntry, read: Read
) -> str:
    """Record it in the run's folder, and return it in one line. `state`: before the claim; `read`:
    what the run is given."""
    views = {view.id: view for view in rendered(entry.conditions, read)}
    last = last_success(state)
    former = _row(runs, run.task, last) if last else None
    if last == "":
        found = [each for view in views.values() for each in _came(view, read)]
    elif former is None:
        found = [Difference(str(view), What.UNKNOWN) for view in views.values()]
    else:
        fed = _Fed(records, former)
        found = [*fed.against(views, read), *fed.gone(views, _kinds(entry, views.values()))]
    named = sorted(views.items())[:MOST_INPUTS]
    came, left, changed, unknown = counts(found)
    listed = first(found)
    body = {
        "former": last or "",
        "came": came,
        "left": left,
        "changed": changed,
        "unknown": unknown,
        "first": listed,
        "views": {view: [each.kind.name, short(str(each))] for view, each in named},
    }
    records.put_if_absent(run.task, run.id, OBJECT, json.dumps(body).encode())
    return in_a_line(listed, len(found))


def _row(runs: FormerRuns, task: str, run: str) -> Run | None:
    try:
        return runs.run(task, run)
    except Unreadable:  # a newer version of the program wrote it
        return None


def _came(view: View, read: Read) -> Iterator[Difference]:
    return differences(str(view), view.kind, EMPTY, read[view.id])


def _kinds(entry: TaskEntry, views: Iterable[View]) -> dict[str, Kind]:
    """By name, of all views that its conditions may need."""
    listed = (view.kind.lists for view in first_views(entry.conditions))
    kinds = {*(view.kind for view in views), *(kind for kind in listed if kind)}
    return {kind.name: kind for kind in kinds}


class FormerSnapshots:
    """The first of them that are asked for, while they are there."""

    def __init__(self, get: Callable[[str, str], Snapshot | None]) -> None:
        self._get = get
        self._left_to_read = MOST_COMPARED

    def __call__(self, view: str, digest: str) -> Snapshot | None:
        if digest == EMPTY.digest:
            return EMPTY
        self._left_to_read -= 1
        if self._left_to_read < 0:
            return None
        try:
            return self._get(view, digest)
        except (Altered, Refused, Unavailable):
            return None


class _Fed:
    """What a former run was fed with."""

    def __init__(self, records: RunRecords, run: Run) -> None:
        self._records, self._run = records, run
        self._snapshots = FormerSnapshots(records.get)

    def against(self, views: Mapping[str, View], read: Read) -> Iterator[Difference]:
        for view in views.values():
            now, digest = read[view.id], self._run.inputs.get(view.id)
            if digest != now.digest:
                yield from differences(str(view), view.kind, self._before(view.id, digest), now)

    def gone(self, views: Mapping[str, View], kinds: Mapping[str, Kind]) -> Iterator[Difference]:
        """Of views that the task no longer needs."""
        gone = self._run.inputs.keys() - views.keys()
        gone -= {view for view in gone if self._run.inputs[view] == EMPTY.digest}
        names = self._names() if gone else {}
        for view in sorted(gone):
            kind, name = names.get(view, ("", NO_NAME))
            if kind in kinds:
                before = self._before(view, self._run.inputs[view])
                yield from differences(name, kinds[kind], before, EMPTY)
            else:
                yield Difference(name, What.UNKNOWN)

    def _before(self, view: str, digest: str | None) -> Snapshot | None:
        if digest is None:  # its row has the first of its inputs, in the order of their IDs
            known = not self._run.more_inputs or view < max(self._run.inputs)
            return EMPTY if known else None
        return self._snapshots(view, digest)

    def _names(self) -> Mapping[str, tuple[str, str]]:
        """The kind of each of its views, and the view for people."""
        try:
            body = self._records.run_object(self._run.task, self._run.id, OBJECT)
        except (Refused, Unavailable):
            return {}
        return (
            {view: tuple(each) for view, each in json.loads(body)["views"].items()} if body else {}
        )
