"""A value that is refreshed now and then in the background."""

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")

RETRY = 10.0
"""Minimum number of seconds between the starts of two reads."""


class Latest(Generic[T]):
    """Read in its own thread, with one shared read at a time.

    Once there is a value, callers never wait: they get the old one until the new one has arrived.
    """

    def __init__(
        self,
        read: Callable[[], T],
        *,
        kept: float = math.inf,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`kept`: seconds after which the value is read again."""
        self._read = read
        self._kept = kept
        self._now = now
        self._thread = ThreadPoolExecutor(1)
        self._reading: asyncio.Task[None] | None = None
        self._began = -math.inf
        self._due_at = -math.inf
        self.last: T | None = None

    async def get(self) -> T:
        """Raises the read's error if none has succeeded yet."""
        self._read_if_due()
        while self.last is None:
            assert self._reading is not None
            await asyncio.shield(self._reading)
        return self.last

    def renew(self) -> None:
        """Read again as soon as possible."""
        self._due_at = self._began + RETRY
        self._read_if_due()

    def _read_if_due(self) -> None:
        idle = self._reading is None or self._reading.done()
        if idle and self._now() >= self._due_at:
            self._began = self._now()
            self._due_at = self._began + RETRY
            self._reading = asyncio.create_task(self._store())
            self._reading.add_done_callback(_seen)

    async def _store(self) -> None:
        loop = asyncio.get_running_loop()
        self.last = await loop.run_in_executor(self._thread, self._read)
        self._due_at = self._began + self._kept


def _seen(task: asyncio.Task[None]) -> None:
    """Mark the error as retrieved, or else asyncio logs it, secrets included."""
    if not task.cancelled():
        task.exception()
