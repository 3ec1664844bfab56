"""Views that could not be read: since when, and what came instead of an answer.

A stale view keeps its last snapshot and triggers nothing.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from cts.events import MOST_LISTED, ViewFresh, ViewStale, iso

STALE_AFTER = 10.0
"""Seconds without an answer from which a view counts as stale: a connection may break."""
MOST_KEPT = 500
"""Views in the stored record. With the longest texts it takes 300 of an item's 400 KB."""
LONGEST_NAME, LONGEST_WHY = 100, 200
MOST_UNANNOUNCED = 10
MOST_WHYS = 5
"""Different reasons that an event tells."""


@dataclass(frozen=True, slots=True)
class Stale:
    view: str
    """As people read it."""
    since: float
    why: str


@dataclass(frozen=True, slots=True)
class StaleViews:
    """The record: stale views by id, and what has not been reported about them yet."""

    version: int = 0
    views: Mapping[str, Stale] = field(default_factory=dict)
    count: int = 0
    """Of all: of very many only `MOST_KEPT` are stored."""
    unannounced: tuple[ViewStale | ViewFresh, ...] = ()

    def to_store(self) -> "StaleViews":
        return replace(self, views=dict(islice(self.views.items(), MOST_KEPT)))


def recorded(
    former: StaleViews, stale: Mapping[str, Stale], tasks: Mapping[str, Collection[str]], now: float
) -> StaleViews:
    """The record that follows `former`, with the events that report the difference; `former`
    itself if nothing differs. `tasks`: view id -> those that look at it."""
    new = {view: each for view, each in stale.items() if view not in former.views}
    if former.count > len(former.views) and len(stale) <= former.count:
        new = {}  # the record doesn't name all, and was told of as many
    gone = {view: each for view, each in former.views.items() if view not in stale}
    events: list[ViewStale | ViewFresh] = []
    if new:
        events.append(_view_stale(f"{former.version + 1}/ViewStale", new, tasks, now))
    if gone:
        events.append(_view_fresh(f"{former.version + 1}/ViewFresh", gone, tasks, now))
    if not events:
        return former
    return StaleViews(
        version=former.version,
        views={view: _cut(each) for view, each in stale.items()},
        count=len(stale),
        unannounced=(*former.unannounced, *events)[-MOST_UNANNOUNCED:],
    )


def _view_stale(
    event_id: str, views: Mapping[str, Stale], tasks: Mapping[str, Collection[str]], now: float
) -> ViewStale:
    return ViewStale(
        id=event_id,
        why=list(dict.fromkeys(each.why[:LONGEST_WHY] for each in views.values()))[:MOST_WHYS],
        since=iso(min(each.since for each in views.values())),
        **_told(views, tasks, now),
    )


def _view_fresh(
    event_id: str, views: Mapping[str, Stale], tasks: Mapping[str, Collection[str]], now: float
) -> ViewFresh:
    return ViewFresh(id=event_id, **_told(views, tasks, now))


def _told(
    views: Mapping[str, Stale], tasks: Mapping[str, Collection[str]], now: float
) -> dict[str, Any]:
    names = _tasks(views, tasks)
    return {
        "views": _names(views),
        "view_count": len(views),
        "tasks": names[:MOST_LISTED],
        "task_count": len(names),
        "at": iso(now),
    }


def _names(views: Mapping[str, Stale]) -> list[str]:
    return sorted(_cut(each).view for each in views.values())[:MOST_LISTED]


def _cut(stale: Stale) -> Stale:
    return replace(stale, view=stale.view[:LONGEST_NAME], why=stale.why[:LONGEST_WHY])


def _tasks(views: Iterable[str], tasks: Mapping[str, Collection[str]]) -> list[str]:
    return sorted({task for view in views for task in tasks.get(view, ())})
