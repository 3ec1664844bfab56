"""Asking the views without a held query, again and again, whenever something moved in Consul."""

import asyncio
from collections.abc import Awaitable, Callable

from cts.errors import Refused, Unavailable
from cts.ports import Consul
from cts.watch.query import View, datacenters, probes
from cts.watch.view import Answer
from cts.workflow.inbox import Inbox
from cts.workflow.newest import newest_of

PASSED_AT_ONCE = 6
"""Queries of a pass at a time: fewer than are answered at once, so that what must be read again
before it is believed does not wait for a pass."""
PASS_EVERY = 1.0
"""Seconds from the start of one pass to the next."""
LEAST_INTERVAL = 0.1
"""Seconds from the start of one query to the next of the same view, as CTS keeps it."""
RETRY_WAITS = (1.0, 2.0, 5.0)
"""Seconds before a failed query is asked again; the last one stays."""
REFUSED_WAIT = 30.0


def pause(error: Exception, failures: int) -> float:
    """Seconds before what failed that often before this error is asked again."""
    if isinstance(error, Refused):
        return REFUSED_WAIT
    return RETRY_WAITS[min(failures, len(RETRY_WAITS) - 1)]


class Passes:
    """`ask` gives an answer that is believed; it raises Unavailable or Refused. No pass begins once
    `goes_on` is false."""

    def __init__(
        self,
        consul: Consul,
        ask: Callable[[View], Awaitable[Answer]],
        inbox: Inbox,
        goes_on: Callable[[], bool],
    ) -> None:
        self._consul, self._ask, self._inbox, self._goes_on = consul, ask, inbox, goes_on
        self.views: frozenset[View] = frozenset()
        self._running: dict[str, asyncio.Task[None]] = {}
        """By datacenter: one that is silent makes no other late."""
        self._moved: set[View] = set()
        """Something has moved since they were asked last: an answer on its way may be older."""
        self._asking: dict[View, asyncio.Task[None]] = {}
        self._turns = asyncio.Semaphore(PASSED_AT_ONCE)
        self._failures: dict[View, tuple[int, float]] = {}
        """How often in a row, and when to ask again."""

    def watch(self, views: frozenset[View]) -> None:
        """Ask these from now on, and no others."""
        self.views = views
        for view in self._asking.keys() - views:
            self._asking.pop(view).cancel()  # its answer would come after those of a held query
        self._moved &= views
        self._failures = {view: each for view, each in self._failures.items() if view in views}
        for name in datacenters(views) - self._running.keys():
            self._running[name] = asyncio.create_task(self._pass_for_ever(name))

    def cancel(self, datacenter: str) -> None:
        """Give up what is being asked there just now."""
        for view in [view for view in self._asking if view.datacenter == datacenter]:
            self._asking.pop(view).cancel()

    def tasks(self) -> list[asyncio.Task[None]]:
        return [*self._asking.values(), *self._running.values()]

    def _views_of(self, datacenter: str) -> frozenset[View]:
        return frozenset(view for view in self.views if view.datacenter == datacenter)

    async def _pass_for_ever(self, datacenter: str) -> None:
        loop = asyncio.get_running_loop()
        seen: dict[View, int] = {}
        while self._goes_on():
            began = loop.time()
            try:
                newest = await newest_of(self._consul, self._views_of(datacenter))
            except Unavailable as error:
                for view in self._views_of(datacenter):
                    self._inbox.failed(view, error)
            else:
                views = self._views_of(datacenter)
                still = {probe for probe, index in newest.items() if seen.get(probe) == index}
                self._moved |= {view for view in views if not probes([view]) <= still}
                self._inbox.unread |= self._moved & views
                self._ask_unread(views)
                seen = newest
            await asyncio.sleep(max(LEAST_INTERVAL, began + PASS_EVERY - loop.time()))

    def _ask_unread(self, views: frozenset[View]) -> None:
        """But what is being asked, waits to be taken, or has just failed."""
        now = asyncio.get_running_loop().time()
        busy = self._asking.keys() | self._inbox.waiting
        for view in sorted((views & self._inbox.unread) - busy):
            if self._failures.get(view, (0, now))[1] <= now:
                self._asking[view] = asyncio.create_task(self._pass(view))

    async def _pass(self, view: View) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with self._turns:
                began = loop.time()
                self._moved.discard(view)
                answer = await self._ask(view)
        except (Unavailable, Refused) as error:
            self._inbox.failed(view, error)
            failures = self._failures.get(view, (0, 0.0))[0]
            self._failures[view] = failures + 1, loop.time() + pause(error, failures)
        else:
            self._failures.pop(view, None)
            if not self._inbox.is_superseded(view, answer, began):
                self._inbox.put(view, answer)
        finally:
            if self._asking.get(view) is asyncio.current_task():
                del self._asking[view]
