"""Ports shared by three or more workflows. Others are declared in the workflow that uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # a port's words are for type checkers: a cold start pays per import
    from collections.abc import Collection, Mapping

    from cts.events import Event
    from cts.generation import Current, Generation, Rejected
    from cts.run.model import End, Run
    from cts.run.news import Heard, News
    from cts.watch.query import View
    from cts.watch.view import Answer


class Bus(Protocol):
    def send(self, events: Collection[Event]) -> None:
        """Raises Unavailable if one of them may not have been sent."""


class Published(Protocol):
    """The results of the last pushes."""

    def current(self) -> Current | None: ...
    def put_current(self, read: Current | None, new: Current) -> bool:
        """False if another generation has gone live since `read`."""

    def rejected(self) -> Rejected | None: ...
    def put_rejected(self, read: Rejected | None, new: Rejected) -> bool: ...


class Generations(Protocol):
    def generation(self, current: Current) -> Generation: ...


class Driver(Protocol):
    """What executes runs. Each method raises Unavailable or Refused."""

    def start(self, run: Run, archive: bytes) -> str:
        """Returns the driver's id of what executes the run, whose session is open. A second start
        of a run whose news are `NotStarted` starts nothing twice."""

    def heard(self, event: Mapping[str, Any]) -> Heard | None:
        """None if the event is not from this driver, or not about one of our runs. Raises Forged
        if it only claims to be from it."""

    def news(self, run: Run, heard: Heard | None = None) -> News:
        """News of a run, from the event about it or by asking."""

    def stop(self, run: Run, end: End | None) -> bool:
        """Make sure that a run never begins, and record with which end it was given up (see
        `NeverBegan`). False if it has begun after all, or was stopped before."""


class Consul(Protocol):
    async def ask(
        self,
        view: View,
        *,
        index: int = 0,
        wait: int = 0,
        consistent: bool = False,
        from_leader: bool = False,
    ) -> Answer:
        """`from_leader`: no server that may be behind. Raises Unavailable or Refused; a partial
        answer is Refused, never an answer."""

    async def newest(self, probe: View) -> int:
        """The index of a probe (`watch/query.py`). Waits for no other query."""

    async def close(self) -> None: ...
