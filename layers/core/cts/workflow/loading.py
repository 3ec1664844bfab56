"""What a run is given, as it is stored now."""

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

from cts.conditions.condition import Read
from cts.errors import Unavailable, Unreadable
from cts.generation import TaskEntry
from cts.run.model import Run
from cts.terraform.definition import Definition
from cts.watch.needs import digests, first_views, looked_at, rendered
from cts.watch.snapshot import Snapshot
from cts.watch.view import Row


class Rows(Protocol):
    def rows(self, views: Collection[str]) -> Mapping[str, Row]:
        """The rows of these views, without those that have none."""

    def drop_row(self, view: str, digest: str) -> None:
        """Take the view's row out, if it still has this digest: its snapshot is gone."""


class Stored(Protocol):
    def get_all(self, digests: Mapping[str, str]) -> dict[str, Snapshot]:
        """The snapshots with these digests, by view; those that are there."""


class Definitions(Protocol):
    def definition(self, digest: str) -> Definition: ...


class Loaded(NamedTuple):
    inputs: Mapping[str, str]
    """View id -> digest of all that the run is given."""
    looked_at: Mapping[str, str]
    """What of it triggers the task."""
    read: Read


def load(views: Rows, snapshots: Stored, entry: TaskEntry) -> Loaded | None:
    """What the condition and the module inputs render; None if something was not read."""

    def read_of(digests: Mapping[str, str]) -> dict[str, Snapshot]:
        """Those that are there. The poller reads a view again whose snapshot is gone."""
        found = snapshots.get_all(digests)
        for view in digests.keys() - found.keys():
            views.drop_row(view, digests[view])
        return found

    of_firsts = views.rows({view.id for view in first_views(entry.conditions)})
    firsts = read_of({view: row.digest for view, row in of_firsts.items()})
    needed = {view.id for view in rendered(entry.conditions, firsts)}
    rows = {**of_firsts, **views.rows(needed - of_firsts.keys())}
    inputs = digests(entry.conditions, rows, firsts)
    if inputs is None:
        return None
    rest = read_of({v: digest for v, digest in inputs.items() if v not in firsts})
    read = {**firsts, **rest}
    if not inputs.keys() <= read.keys():
        return None
    return Loaded(inputs, looked_at(entry.condition, rows, firsts), read)


def definition_of(stored: Definitions, run: Run) -> Definition:
    """What a newer version of this program published is left to that version's runner: raises
    Unavailable."""
    try:
        definition = stored.definition(run.definition)
    except Unreadable as error:
        raise Unavailable(f"rendering run {run.id}: {error}") from error
    if definition.digest != run.definition:
        raise Unavailable(
            f"rendering run {run.id}: definition {run.definition} has fields that this version of "
            "the program does not know; a newer one runs it"
        )
    return definition
