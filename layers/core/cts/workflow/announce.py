"""Send unannounced events of the live generation and of the last rejected push."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from itertools import accumulate
from typing import Any, TypeVar

from cts import keys
from cts.events import MOST_LISTED, ConfigPublished, ConfigRejected
from cts.generation import Current, Rejected
from cts.ports import Bus, Published
from cts.stored import load
from cts.workflow.counting import Metrics, count

LARGEST_OWED = 30_000
"""Maximum bytes of earlier announcements that keep their lists."""
MOST_OWED = 100

T = TypeVar("T")


def announce_pending(published: Published, bus: Bus, metrics: Metrics) -> None:
    """Send unannounced events. Once sent, they are counted and cleared."""
    current, rejected = published.current(), published.rejected()
    if current and (facts := owed_of(current)):
        bus.send([load(ConfigPublished, each) for each in facts])
        count(metrics, [("ConfigsPublished", "Count", len(facts))])
        published.put_current(current, replace(current, unannounced=[], owed=[]))
    if rejected and (facts := owed_of(rejected)):
        bus.send([load(ConfigRejected, each) for each in facts])
        count(metrics, [("ConfigsRejected", "Count", len(facts))])
        published.put_rejected(rejected, replace(rejected, unannounced=[], owed=[]))


def owed_of(answer: Current | Rejected | None) -> list[dict[str, Any]]:
    """The unannounced events, oldest first: inherited ones, then its own."""
    if answer is None:
        return []
    return [*answer.owed, *(asdict(_event(event_id, answer)) for event_id in answer.unannounced)]


def taken_over(answer: Current | Rejected | None) -> list[dict[str, Any]]:
    """The announcements of this push that the next one inherits. Rejections lose their problems;
    if not everything fits, the oldest ones lose their lists."""
    facts = [each | ({"problems": []} if "problems" in each else {}) for each in owed_of(answer)]
    facts = facts[-MOST_OWED:]
    older = len(facts) - len(fitting(reversed(facts), LARGEST_OWED))
    return [*map(_without_lists, facts[:older]), *facts[older:]]


def _without_lists(fact: Mapping[str, Any]) -> dict[str, Any]:
    return {name: [] if isinstance(value, list) else value for name, value in fact.items()}


def _event(event_id: str, answer: Current | Rejected) -> ConfigPublished | ConfigRejected:
    version = version_of(answer.sources)
    if isinstance(answer, Rejected):
        problems = answer.problems[:MOST_LISTED]
        return ConfigRejected(event_id, version, answer.problem_count, problems)
    return ConfigPublished(
        id=event_id,
        number=answer.number,
        source_version=version,
        added=answer.added[:MOST_LISTED],
        changed=answer.changed[:MOST_LISTED],
        removed=answer.removed[:MOST_LISTED],
        by=answer.by[:MOST_LISTED],
    )


def fitting(values: Iterable[T], size: int) -> list[T]:
    """As many of the first values as fit into that many bytes of JSON."""
    listed = list(values)
    sizes = accumulate(len(json.dumps(value)) + 2 for value in listed)
    return [value for value, end in zip(listed, sizes, strict=True) if end <= size]


def version_of(sources: Mapping[str, str]) -> str:
    """The pushed bundle's version ID; empty if nothing has been pushed."""
    return sources.get(keys.BUNDLE, "")
