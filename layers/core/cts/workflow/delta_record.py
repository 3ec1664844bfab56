"""What differed in a run's input, as it is recorded in the run's folder."""

import json
from dataclasses import dataclass
from typing import Any, Protocol

from cts.run.model import Run
from cts.stored import load
from cts.watch.delta import Difference, first

OBJECT = "delta.json"
"""Counts, the first differences, and the names of what the run was fed with."""


class DeltaObjects(Protocol):
    def run_object(self, task: str, run: str, name: str) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class Delta:
    former: str
    """The last successful run; empty if there was none or if it is no longer known."""
    came: int
    left: int
    changed: int
    """How many instances, keys and so on."""
    unknown: int
    """How many views can't be compared, because what they were is gone."""
    first: tuple[Difference, ...]


def recorded(objects: DeltaObjects, run: Run) -> dict[str, Any] | None:
    """A `Delta` as JSON values. None if there is no valid record: the run's module may write to
    its folder, too."""
    body = objects.run_object(run.task, run.id, OBJECT)
    try:
        delta = load(Delta, json.loads(body or b"null"))
    except (ValueError, RecursionError):
        return None
    return {
        "former": delta.former,
        "came": delta.came,
        "left": delta.left,
        "changed": delta.changed,
        "unknown": delta.unknown,
        "first": first(delta.first),
    }
