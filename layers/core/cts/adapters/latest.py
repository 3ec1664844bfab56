"""A value from elsewhere that is read now and then, beside all else that goes on."""

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")

RETRY = 10.0
"""Least seconds from the start of one read to the next."""


class Latest(Generic[T]):
    """Read in a thread of its own, by one read at a time that all share.

    Once there is a value, nobody waits: the former one serves until the next one is there.
    """

    def __init__(
        self,
        read: Callable[[], T],
        *,
        kept: float = math.inf,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`kept`: seconds after which it is read again."""
        self._read = read
        self._kept = kept
        self._now = now
        self._thread = ThreadPoolExecutor(1)
        self._reading: asyncio.Task[None] | None = None
        self._began = -math.inf
        self._due_at = -math.inf
        self.last: T | None = None

    async def get(self) -> T:
        """Raises what the read raised, as long as none has succeeded."""
        self._read_if_due()
        while self.last is None:
            assert self._reading is not None
            await asyncio.shield(self._reading)
        return self.last

    def renew(self) -> None:
        """Read again, as soon as that may be."""
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
    """asyncio writes to the log what nobody asked for, whatever it holds."""
    if not task.cancelled():
        task.exception()
