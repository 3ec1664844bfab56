"""Ports shared by three or more workflows. Others are declared in the workflow that uses them."""

from collections.abc import Collection
from typing import Protocol

from cts.events import Event
from cts.generation import Current, Generation, Rejected


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
