"""Record and announce what became stale and what could be read again."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Protocol

from cts.errors import Unavailable
from cts.events import ViewFresh, ViewStale
from cts.ports import Bus
from cts.watch.lease import Commit, Deposed
from cts.watch.stale import Stale, StaleViews, recorded


class StaleRecord(Protocol):
    def stale_views(self) -> StaleViews: ...
    def put_stale_views(self, epoch: int, stale: StaleViews) -> Commit:
        """Write the record, if the epoch stands and it has the version given here."""


class StaleRecorder:
    """`tasks` of its methods: view id -> those that look at it."""

    def __init__(self, port: StaleRecord, bus: Bus, now: Callable[[], float]) -> None:
        self._port, self._bus, self._now = port, bus, now
        self._stored: StaleViews | None = None
        """The record as it is stored; None: not known."""

    def load(self) -> None:
        self._stored = self._port.stale_views()

    @property
    def loaded(self) -> Mapping[str, Stale]:
        """What the record says that was loaded."""
        return self._stored.views if self._stored else {}

    def differs(self, stale: Mapping[str, Stale], tasks: Mapping[str, Collection[str]]) -> bool:
        """Whether there is anything to record or to announce."""
        if self._stored is None or self._stored.unannounced:
            return True
        return recorded(self._stored, stale, tasks, self._now()) is not self._stored

    def record(
        self, epoch: int, stale: Mapping[str, Stale], tasks: Mapping[str, Collection[str]]
    ) -> list[str]:
        """Record, announce, clear. Returns what was announced, in words. Raises Deposed, and
        Unavailable if another poller's write came in between."""
        if self._stored is None:
            self.load()
        assert self._stored is not None
        record = recorded(self._stored, stale, tasks, self._now())
        if record is self._stored and not record.unannounced:
            return []
        if record is not self._stored:
            record = self._put(epoch, record)
        self._bus.send(record.unannounced)
        self._put(epoch, replace(record, unannounced=()))
        return [_in_words(event) for event in record.unannounced]

    def _put(self, epoch: int, record: StaleViews) -> StaleViews:
        self._stored = None  # not known while a write may be lost
        match self._port.put_stale_views(epoch, record.to_store()):
            case Commit.DEPOSED:
                raise Deposed
            case Commit.STALE:
                raise Unavailable("recording stale views: another write came in between")
            case Commit.DONE:
                self._stored = replace(record, version=record.version + 1)
                return self._stored


def _in_words(event: ViewStale | ViewFresh) -> str:
    views = event.views[0] if event.view_count == 1 else f"{event.view_count} views"
    if event.view_count > 1:
        views += f", such as {', '.join(event.views[:3])},"
    if isinstance(event, ViewFresh):
        return f"{views} could be read again"
    return f"{views} could not be read: {event.why[0]}"
