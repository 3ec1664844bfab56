"""Send what is unannounced of the live generation and of the last rejected push."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from itertools import accumulate
from typing import Protocol, TypeVar

from cts.events import MOST_LISTED, ConfigPublished, ConfigRejected, Event
from cts.terraform.definition import Current, Rejected

LARGEST_LIST = 150_000
"""Bytes of the problems in an event: EventBridge takes 256 KB."""

T = TypeVar("T")


class Published(Protocol):
    def put_current(self, read: Current | None, new: Current) -> bool: ...
    def put_rejected(self, read: Rejected | None, new: Rejected) -> bool: ...


class Bus(Protocol):
    def send(self, events: Collection[Event]) -> None: ...


def announce_current(published: Published, bus: Bus, current: Current) -> None:
    """Send what is unannounced of the live generation, then clear it."""
    bus.send(
        [
            ConfigPublished(
                id=event_id,
                number=current.number,
                source_version=version_of(current.sources),
                added=current.added[:MOST_LISTED],
                changed=current.changed[:MOST_LISTED],
                removed=current.removed[:MOST_LISTED],
            )
            for event_id in current.unannounced
        ]
    )
    published.put_current(current, replace(current, unannounced=[]))


def announce_rejected(published: Published, bus: Bus, rejected: Rejected) -> None:
    """Send what is unannounced of the last rejected push, then clear it."""
    bus.send(
        [
            ConfigRejected(
                id=event_id,
                source_version=version_of(rejected.sources),
                problem_count=rejected.problem_count,
                problems=fitting(rejected.problems[:MOST_LISTED], LARGEST_LIST),
            )
            for event_id in rejected.unannounced
        ]
    )
    published.put_rejected(rejected, replace(rejected, unannounced=[]))


def fitting(values: Iterable[T], size: int) -> list[T]:
    """The first of the values, as many as take no more bytes than that as JSON."""
    listed = list(values)
    sizes = accumulate(len(json.dumps(value)) + 2 for value in listed)
    return [value for value, end in zip(listed, sizes, strict=True) if end <= size]


def version_of(sources: Mapping[str, str]) -> str:
    """The pushed bundle's version id."""
    return next(iter(sources.values()))
