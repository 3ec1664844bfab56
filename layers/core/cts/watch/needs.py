"""Which views a condition needs, given the first views that were read.

Some conditions have to read one view first, because its answer says which others they need. What
was read of such views is handed around by view id: a view that is missing there was not read.
"""

from collections.abc import Iterable, Mapping

from cts.conditions.condition import Condition
from cts.watch.query import View
from cts.watch.snapshot import Snapshot
from cts.watch.view import Row

Firsts = Mapping[str, Snapshot]
"""View id -> what was read of it, of views that must be read first."""


def first_views(conditions: Iterable[Condition]) -> set[View]:
    """The views that say which others are needed."""
    return {view for each in conditions if (view := each.first_view)}


def rendered(condition: Condition, firsts: Firsts) -> tuple[View, ...]:
    """The views whose rows the module gets, as far as they are known."""
    first = condition.first_view
    return condition.views(firsts.get(first.id) if first else None)


def watched(condition: Condition, firsts: Firsts) -> tuple[View, ...]:
    """All views that the condition looks at, as far as they are known."""
    first = condition.first_view
    return (*([first] if first else ()), *rendered(condition, firsts))


def unread(condition: Condition, rows: Mapping[str, Row], firsts: Firsts) -> tuple[View, ...]:
    """The views that have to be read before the module's rows are known."""
    first = condition.first_view
    if first and first.id not in firsts:
        return (first,)
    return tuple(view for view in rendered(condition, firsts) if view.id not in rows)


def digests(condition: Condition, rows: Mapping[str, Row], firsts: Firsts) -> dict[str, str] | None:
    """View id -> digest of all that the condition renders; None while some view was not read."""
    first = condition.first_view
    if first and first.id not in firsts:
        return None
    found = {view.id: rows.get(view.id) for view in rendered(condition, firsts)}
    read = {view: row.digest for view, row in found.items() if row}
    return read if len(read) == len(found) else None
