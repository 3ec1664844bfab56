"""Which poller holds the watch, and when the next one takes over."""

from dataclasses import dataclass, field
from enum import Enum

from cts.stored import LATER

HEARTBEAT_EVERY = 20.0
DEAD_AFTER = 60.0
"""Seconds without a heartbeat after which a poller counts as dead."""
RELIEVED_BEFORE = 160.0
"""Seconds before its end at which a poller is replaced: two ticks, and time to open all queries."""
FRESH_EVERY = 60 * 60.0
"""Seconds after which indices are not trusted: an old Consul doesn't move a service's index when
one of its instances is registered again under another name."""

NOT_READ = 0.0


@dataclass(frozen=True, slots=True)
class Lease:
    """Every write of a poller checks the epoch, so a deposed one can no longer write."""

    epoch: int
    owner: str
    generation: int
    started_at: float
    heartbeat_at: float
    fresh_at: float
    """When every view was last read without index; `NOT_READ` until all have been."""
    connection: str = field(default="", metadata=LATER)
    """What tells one Consul, authority and token from others; empty: not known."""
    views: int = field(default=0, metadata=LATER)
    passed: int = field(default=0, metadata=LATER)
    """Views without a held query: they are asked once a second."""
    ends_at: float = field(default=0.0, metadata=LATER)
    """The time by which its poller leaves; 0: not known."""


class TakeOver(Enum):
    NO = "another poller is alive and holds the watch"
    RELIEVE = "the poller that holds the watch is due to be replaced"
    REPLACE = "no poller is alive"
    """Its indices are not trusted: views are first read without one."""


class Deposed(Exception):
    """Another poller holds the watch: leave."""


class Commit(Enum):
    """The result of a poller's write."""

    DONE = "written"
    STALE = "something else was written in the meantime: load and decide again"
    DEPOSED = "another poller holds the watch"


def lives(lease: Lease, now: float) -> bool:
    """A heartbeat from the future does not count: the clock that wrote it was wrong."""
    return abs(now - lease.heartbeat_at) <= DEAD_AFTER


def take_over(lease: Lease | None, generation: int, now: float, connection: str = "") -> TakeOver:
    """Decide for a poller that has just started."""
    if lease is None or not lives(lease, now):
        return TakeOver.REPLACE
    if connection and lease.connection not in ("", connection):
        return TakeOver.REPLACE
    if now > lease.ends_at - RELIEVED_BEFORE or lease.generation < generation:
        return TakeOver.RELIEVE
    return TakeOver.NO
