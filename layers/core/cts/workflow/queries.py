"""Keep asking Consul for views: a query held for each, as far as connections reach."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from functools import partial

from cts.conditions.services import CATALOG_INDEX
from cts.errors import Refused, Unavailable
from cts.ports import Consul
from cts.watch.query import View, datacenters
from cts.watch.stale import Stale
from cts.watch.view import Answer, Row, wait_index, woken_by_restore
from cts.workflow.inbox import Inbox
from cts.workflow.losses import Losses
from cts.workflow.newest import Newest
from cts.workflow.passes import LEAST_INTERVAL, Passes, pause

WAITS = (20, 30)
"""Seconds a query is held, at random: equal waits would come back in a wave. Short, because Consul
counts a connection until its query's wait ends, even when its client has gone."""
MOST_HELD = 64
"""Queries held at a time, each on a connection. Consul allows 200 an address, and pollers overlap
at a hand-over. Views beyond it are asked in passes."""
ENDS_BEFORE = 20.0
"""Seconds before the poller's end from which on no query is held open."""
AFRESH_EVERY = 20.0
"""Seconds between two reads of all views, at least."""


def guards(names: Iterable[str]) -> frozenset[View]:
    """Held all the time, one in each datacenter: Consul wakes it when it is restored, and then its
    index has not moved. A health query may sleep on."""
    return frozenset(View(CATALOG_INDEX, datacenter=name) for name in names)


class Queries:
    """`row` gives what is stored of a view. Until `until` (seconds since the epoch) at the most;
    `chance` is uniform in [0, 1)."""

    def __init__(
        self,
        consul: Consul,
        row: Callable[[View], Row | None],
        now: Callable[[], float],
        chance: Callable[[], float],
        until: float,
    ) -> None:
        self._consul, self._row = consul, row
        self._now, self._chance, self._until = now, chance, until
        self.inbox = Inbox(row, now)
        self._losses = Losses(consul, row)
        self._held: dict[View, asyncio.Task[None]] = {}
        # A pass follows a move of the leader's indices: what another server knows may be older.
        ask = partial(self._ask, from_leader=True)
        self._passes = Passes(consul, ask, self.inbox, lambda: self._wait() > 0)
        self._had_row: frozenset[View] = frozenset()
        self._guards: frozenset[View] = frozenset()
        self.newest = Newest(consul, lambda: self.views, self.read_afresh)
        self._afresh_at: dict[str, float] = {}

    @property
    def views(self) -> frozenset[View]:
        return self.inbox.watched

    @property
    def passed(self) -> frozenset[View]:
        """Views without a held query."""
        return self._passes.views

    # ---- which views ----------------------------------------------------------------------

    def watch(self, views: Iterable[View], *, trusted: Collection[str] = ()) -> None:
        """Start the queries that are missing, stop those that are no longer needed. In `trusted`
        datacenters, new ones block on the stored indices."""
        self.raise_what_broke()
        watched = frozenset(views)
        has_row = frozenset(view for view in watched if self._row(view))
        lost = self._had_row - has_row  # a runner took it out: read again
        self._had_row = has_row
        self._guards = guards(datacenters(watched))
        self.newest.watch(datacenters(watched))
        for view in self._held.keys() & lost | self._held.keys() - watched - self._guards:
            self._held.pop(view).cancel()
        self.inbox.watch(watched)
        self._losses.keep(watched - lost)
        known = {view for view in has_row if view.datacenter in trusted}
        missing = (*sorted(self._guards - self._held.keys()), *sorted(watched - self._held.keys()))
        room = MOST_HELD - len(self._held)
        for view in missing[:room]:
            row = self._row(view) if view in known else None
            self._hold(view, row.index if row else 0)
        passed = frozenset(missing[room:])
        self.inbox.unread |= (passed - self.passed - known | passed & lost) & watched
        self._passes.watch(passed)

    def raise_what_broke(self) -> None:
        """A query that ended by a bug of ours must not leave its view blind."""
        for task in self._tasks():
            if task.done() and not task.cancelled():
                task.result()

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [*self._held.values(), *self._passes.tasks(), *self.newest.tasks()]

    def read_afresh(self, datacenter: str) -> None:
        """Its Consul lost its data or was restored: no index is worth anything."""
        self._afresh_at[datacenter] = _time()
        for view in [view for view in self._held if view.datacenter == datacenter]:
            self._held.pop(view).cancel()
        self._passes.cancel(datacenter)
        self.inbox.unread |= {view for view in self.views if view.datacenter == datacenter}
        self.watch(self.views)

    async def close(self) -> None:
        tasks = self._tasks()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._consul.close()

    # ---- what came ------------------------------------------------------------------------

    async def answers(self, until: float) -> dict[View, Answer]:
        """All answers there are; while there are none, wait for the first one until then."""
        return await self.inbox.take(min(until, self._until))

    def fence(self) -> dict[View, Answer]:
        """The epoch was raised: what was asked before may be older than what the former poller
        has stored meanwhile. Returns the answers that are not; the other views are asked again."""
        return self.drop_older(self.inbox.fence())

    def drop_older(self, answers: Mapping[View, Answer]) -> dict[View, Answer]:
        """The answers at least as new as what is stored. The other views are asked again."""
        kept = self.inbox.newer(answers)
        for view in answers.keys() - kept.keys():
            self._ask_again(view)
        return kept

    def inherit(self, views: Set[View], stale: Mapping[str, Stale]) -> None:
        """Views that a former poller could not read are stale until they were read."""
        for view in views - self._losses.views:
            if view.id in stale:
                self.inbox.was_failing(view, stale[view.id])
                if view not in self.inbox.unread:
                    self._ask_again(view)

    def _ask_again(self, view: View) -> None:
        if view in self._held:
            self._held.pop(view).cancel()
            self._hold(view, 0)
        else:
            self.inbox.unread.add(view)

    # ---- asking ---------------------------------------------------------------------------

    async def ask_each(self, views: Iterable[View]) -> dict[View, Answer]:
        """Ask each once, without waiting for news. What could not be read is left out."""
        asked = sorted(views)
        self.inbox.watched |= frozenset(asked)
        found = await asyncio.gather(*map(self._ask_once, asked))
        return {view: answer for view, answer in zip(asked, found, strict=True) if answer}

    async def _ask_once(self, view: View) -> Answer | None:
        try:
            return await self._ask(view)
        except (Unavailable, Refused) as error:
            self.inbox.failed(view, error)
            return None

    async def _ask(self, view: View, *, from_leader: bool = False) -> Answer:
        return await self._believed(view, await self._consul.ask(view, from_leader=from_leader))

    async def _believed(self, view: View, answer: Answer) -> Answer:
        answer = await self._losses.confirmed(view, answer, self.views)
        self.inbox.read(view)
        return answer

    def _hold(self, view: View, index: int) -> None:
        if not index and view in self.views:
            self.inbox.unread.add(view)
        self._held[view] = asyncio.create_task(self._ask_for_ever(view, index))

    async def _ask_for_ever(self, view: View, index: int) -> None:
        failures = 0
        while (wait := self._wait()) > 0:
            began = _time()
            try:
                answer = await self._consul.ask(view, index=index, wait=wait)
                if woken_by_restore(index, answer.index, wait, _time() - began):
                    self._restored(view.datacenter)
                    index = 0
                    await asyncio.sleep(LEAST_INTERVAL)
                    continue
                answer = await self._believed(view, answer)
            except (Unavailable, Refused) as error:
                self.inbox.failed(view, error)
                index = 0
                await asyncio.sleep(pause(error, failures))
                failures += 1
                continue
            failures = 0
            if self.inbox.is_superseded(view, answer, began):
                index = 0
                continue
            if view not in self._guards:
                self.inbox.put(view, answer)
            index = wait_index(index, answer.index)
            await asyncio.sleep(max(0.0, LEAST_INTERVAL - (_time() - began)))

    def _wait(self) -> int:
        """Never past our own end: Consul keeps a query until its wait ends, client or not."""
        low, high = WAITS
        left = self._until - self._now() - ENDS_BEFORE
        return int(min(low + (high - low) * self._chance(), left))

    def _restored(self, datacenter: str) -> None:
        """All its queries are woken then; the first one speaks for all."""
        if _time() - self._afresh_at.get(datacenter, float("-inf")) > AFRESH_EVERY:
            self.read_afresh(datacenter)


def _time() -> float:
    return asyncio.get_running_loop().time()
