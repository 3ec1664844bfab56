"""Views that could not be read: since when, and what came instead of an answer.

A stale view keeps its last snapshot and triggers nothing.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from cts.events import MOST_LISTED, ViewFresh, ViewStale, iso
from cts.watch.query import View

STALE_AFTER = 10.0
"""Seconds without an answer from which a view counts as stale: a connection may break."""
MOST_KEPT = 500
"""Views in the record, of which each takes up to 300 bytes of an item's 400 KB."""
LONGEST_WHY = 200
MOST_WHYS = 5
"""Different reasons that an event tells."""


@dataclass(frozen=True, slots=True)
class Stale:
    since: float
    why: str


@dataclass(frozen=True, slots=True)
class StaleViews:
    """The record of the table: by view id, `MOST_KEPT` of them; `count` is of all."""

    version: int = 0
    views: Mapping[str, Stale] = field(default_factory=dict)
    count: int = 0
    unannounced: tuple[ViewStale | ViewFresh, ...] = ()


def recorded(
    former: StaleViews,
    stale: Mapping[View, Stale],
    fresh: Collection[View],
    tasks: Mapping[View, Collection[str]],
    now: float,
) -> StaleViews:
    """The record that follows `former`, with the events that tell of the difference.

    `fresh`: views of the former record that were read again, or that nothing needs any more.
    `tasks`: those that look at a view. The former record comes back if nothing differs.
    """
    new = [view for view in stale if view.id not in former.views]
    if not new and not fresh:
        return former
    kept = sorted(stale, key=lambda view: (stale[view].since, view))[:MOST_KEPT]
    version = former.version + 1
    events: list[ViewStale | ViewFresh] = []
    if new:
        events.append(_view_stale(f"{version}/ViewStale", new, stale, tasks, now))
    if fresh:
        names = _tasks(fresh, tasks)
        events.append(
            ViewFresh(
                id=f"{version}/ViewFresh",
                views=sorted(map(str, fresh))[:MOST_LISTED],
                view_count=len(fresh),
                tasks=names[:MOST_LISTED],
                task_count=len(names),
                at=iso(now),
            )
        )
    return replace(
        former,
        views={view.id: replace(stale[view], why=stale[view].why[:LONGEST_WHY]) for view in kept},
        count=len(stale),
        unannounced=(*former.unannounced, *events)[-MOST_LISTED:],
    )


def _view_stale(
    event_id: str,
    new: list[View],
    stale: Mapping[View, Stale],
    tasks: Mapping[View, Collection[str]],
    now: float,
) -> ViewStale:
    names = _tasks(new, tasks)
    whys = dict.fromkeys(stale[view].why[:LONGEST_WHY] for view in sorted(new))
    return ViewStale(
        id=event_id,
        views=sorted(map(str, new))[:MOST_LISTED],
        view_count=len(new),
        tasks=names[:MOST_LISTED],
        task_count=len(names),
        why=list(whys)[:MOST_WHYS],
        since=iso(min(stale[view].since for view in new)),
        at=iso(now),
    )


def _tasks(views: Iterable[View], tasks: Mapping[View, Collection[str]]) -> list[str]:
    return sorted({task for view in views for task in tasks.get(view, ())})
