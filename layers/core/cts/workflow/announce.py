"""Send what is unannounced of the live generation and of the last rejected push."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Protocol

from cts.events import MOST_LISTED, ConfigPublished, ConfigRejected, Event
from cts.terraform.definition import Current, Rejected


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
                problems=rejected.problems[:MOST_LISTED],
            )
            for event_id in rejected.unannounced
        ]
    )
    published.put_rejected(rejected, replace(rejected, unannounced=[]))


def version_of(sources: Mapping[str, str]) -> str:
    """The pushed bundle's version id."""
    return next(iter(sources.values()))
