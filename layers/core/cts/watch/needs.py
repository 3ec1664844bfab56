"""Which views conditions need, given the first views that were read.

Some conditions have to read one view first, because its answer says which others they need. What
was read of such views is handed around by view id: a view that is missing there was not read.
"""

from collections.abc import Iterable, Iterator, Mapping

from cts.conditions.condition import Condition
from cts.watch.happened import Things
from cts.watch.query import View
from cts.watch.snapshot import Snapshot
from cts.watch.view import Row

Firsts = Mapping[str, Snapshot]
"""View id -> what was read of it, of views that must be read first."""


def _parts(conditions: Iterable[Condition]) -> Iterator[Condition]:
    for each in conditions:
        yield from each.parts


def first_views(conditions: Iterable[Condition]) -> set[View]:
    """The views that say which others are needed."""
    return {view for part in _parts(conditions) if (view := part.first_view)}


def _rendered(part: Condition, firsts: Firsts) -> tuple[View, ...]:
    first = part.first_view
    return part.views(firsts.get(first.id) if first else None)


def rendered(conditions: Iterable[Condition], firsts: Firsts) -> tuple[View, ...]:
    """The views whose rows the module gets, as far as they are known."""
    return tuple(view for part in _parts(conditions) for view in _rendered(part, firsts))


def watched(conditions: Iterable[Condition], firsts: Firsts) -> tuple[View, ...]:
    """All views that the conditions look at, as far as they are known."""
    every = tuple(conditions)
    read_first = (view for part in _parts(every) if (view := part.first_view))
    return tuple(dict.fromkeys((*read_first, *rendered(every, firsts))))


def unread(
    conditions: Iterable[Condition], rows: Mapping[str, Row], firsts: Firsts
) -> tuple[View, ...]:
    """The views that have to be read before the module's rows are known."""
    missing: list[View] = []
    for part in _parts(conditions):
        if part.first_view and part.first_view.id not in firsts:
            missing.append(part.first_view)
        else:
            missing += (view for view in _rendered(part, firsts) if view.id not in rows)
    return tuple(missing)


def digests(
    conditions: Iterable[Condition], rows: Mapping[str, Row], firsts: Firsts
) -> dict[str, str] | None:
    """View id -> digest of all that the conditions render; None while some view was not read."""
    every = tuple(conditions)
    if unread(every, rows, firsts):
        return None
    return {view.id: rows[view.id].digest for view in rendered(every, firsts)}


def looked_at(condition: Condition, rows: Mapping[str, Row], firsts: Firsts) -> Mapping[str, str]:
    """View id -> digest of what triggers the condition's task, or what stands for it. All its views
    were read."""
    found: dict[str, str] = {}
    for part in condition.parts:
        first = part.first_view
        own = {view.id: rows[view.id].triggers for view in _rendered(part, firsts)}
        found |= part.looked_at(own, firsts[first.id] if first else None)
    return found


def things(
    condition: Condition, firsts: Firsts, read: Mapping[str, Snapshot]
) -> dict[str, Things] | None:
    """View id -> what triggers the condition's task, of the views that were read; None if another
    version of the program has stored one of them."""
    try:
        return {
            view.id: part.things(view, read[view.id])
            for part in condition.parts
            for view in _rendered(part, firsts)
            if view.id in read
        }
    except (KeyError, TypeError):
        return None
