"""A change of views in Consul, to be announced once its tasks were triggered."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from cts.events import CatalogChanged, iso
from cts.watch.delta import Difference, differences, first_texts, told
from cts.watch.query import View
from cts.watch.snapshot import EMPTY, Snapshot
from cts.watch.view import Answer, Row
from cts.workflow.deltas import FormerSnapshots


@dataclass(frozen=True, slots=True)
class CatalogChange:
    event: CatalogChanged
    """Without the delta."""
    before: Mapping[View, Row | None]
    """What was stored of the views that changed."""
    after: Mapping[View, Answer]

    def with_delta(self, get: Callable[[str, str], Snapshot | None]) -> CatalogChanged:
        """`get`: of what is stored, by view ID and digest."""
        former = FormerSnapshots(get)
        found: list[Difference] = []
        for view, row in self.before.items():
            before = former(view.id, row.digest) if row else EMPTY
            found += differences(str(view), view.kind, before, self.after[view].snapshot)
        return replace(self.event, delta=told(found))


def catalog_change(
    changed: Mapping[View, Answer],
    before: Mapping[View, Row | None],
    tasks: Collection[str],
    correlation: str,
    now: float,
) -> CatalogChange:
    event = CatalogChanged(
        views=first_texts(map(str, changed)),
        view_count=len(changed),
        tasks=first_texts(tasks),
        task_count=len(tasks),
        correlation_id=correlation,
        at=iso(now),
    )
    return CatalogChange(event, before, changed)
