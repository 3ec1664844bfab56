"""Keep asking Consul for views: a query held for each, as far as connections reach.

What is answered waits in an inbox; what can't be read is stale.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from cts.conditions.services import EMPTY_LISTING
from cts.errors import Refused, Unavailable, Upstream
from cts.watch.query import View
from cts.watch.snapshot import EMPTY, members
from cts.watch.stale import Stale
from cts.watch.view import Answer, Row, doubt, loses, wait_index, woken_by_restore

WAITS = (20, 30)
"""Seconds a query is held, at random: equal waits would come back in a wave. Short, because Consul
counts a connection until its query's wait ends, even when its client has gone."""
MOST_HELD = 64
"""Queries held at a time, each on a connection. Consul allows 200 an address, and pollers overlap
at a hand-over. Views beyond it are asked in passes."""
PASSED_AT_ONCE = 6
"""Queries of a pass at a time: fewer than are answered at once, so that what must be read again
before it is believed does not wait for a pass."""
PASS_EVERY = 1.0
"""Seconds from the start of one pass over the views without a query to the next."""
LEAST_INTERVAL = 0.1
"""Seconds from the start of one query to the next of the same view, as CTS keeps it."""
RETRY_WAITS = (1.0, 2.0, 5.0)
"""Seconds before a failed query is asked again; the last one stays."""
REFUSED_WAIT = 30.0
RESET_WITHIN = 5.0
"""Seconds in which Consul must say its newest indices, or is asked again at the next look."""
ENDS_BEFORE = 20.0
"""Seconds before the poller's end from which on no query is held open."""
AFRESH_EVERY = 20.0
"""Seconds between two reads of all views, at least."""

GUARD = EMPTY_LISTING
"""Held all the time: Consul wakes it when it is restored, and then its index has not moved. A
health query may sleep on."""


class Consul(Protocol):
    async def ask(
        self, view: View, *, index: int = 0, wait: int = 0, consistent: bool = False
    ) -> Answer:
        """Raises Unavailable or Refused; a partial answer is Refused, never an answer."""

    async def newest_indices(self) -> tuple[int, ...]:
        """Of the catalog's parts. One only goes back when Consul lost its data."""

    async def close(self) -> None: ...


@dataclass(slots=True)
class Queries:
    """`row` gives what is stored of a view. Until `until` (seconds since the epoch) at the most."""

    consul: Consul
    row: Callable[[View], Row | None]
    now: Callable[[], float]
    chance: Callable[[], float]
    """Uniform in [0, 1)."""
    until: float
    inbox: dict[View, Answer] = field(default_factory=dict)
    """The newest answer of each view that was not taken yet."""
    failing: dict[View, Stale] = field(default_factory=dict)
    views: frozenset[View] = frozenset()
    held: dict[View, asyncio.Task[None]] = field(default_factory=dict)
    passed: frozenset[View] = frozenset()
    """Views without a held query."""
    unread: set[View] = field(default_factory=set)
    """Views that must be read without index: until what came is stored, no stored index of them is
    to be trusted."""
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _passes: asyncio.Task[None] | None = None
    _asking: dict[View, asyncio.Task[None]] = field(default_factory=dict)
    """What a pass asks just now."""
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PASSED_AT_ONCE))
    _failures: dict[View, tuple[int, float]] = field(default_factory=dict)
    """Of passed views: how often in a row, and when to ask again."""
    _fenced_at: float = float("-inf")
    """When the epoch was raised."""
    _members: dict[View, tuple[str, frozenset[str]]] = field(default_factory=dict)
    """What the last answer that was believed had, in addition to its digest."""
    _had_row: frozenset[View] = frozenset()
    _newest: tuple[int, ...] = ()
    _errors: int = 0
    _afresh_at: float = float("-inf")

    # ---- which views ----------------------------------------------------------------------

    async def trusts(self, indices: Collection[int]) -> bool:
        """Whether the first queries may block on these. Consul holds a query whose index is above
        its own for the whole wait, so an index must be known to be a living one."""
        try:
            self._newest = await self.consul.newest_indices()
        except (Unavailable, Refused):
            return False
        return max(indices, default=0) <= max(self._newest)

    def watch(self, views: Iterable[View], *, trusted: bool = False) -> None:
        """Start the queries that are missing, stop those that are no longer needed. With
        `trusted`, new ones block on the stored indices."""
        self.raise_what_broke()
        self.views = frozenset(views)
        has_row = frozenset(view for view in self.views if self.row(view))
        lost = self._had_row - has_row  # a runner took it out: read again
        for view in self.held.keys() & lost | self.held.keys() - self.views - {GUARD}:
            self.held.pop(view).cancel()
        for view in self._asking.keys() - self.views:
            self._asking.pop(view).cancel()
        for kept in (self.inbox, self._failures):
            for view in kept.keys() - self.views:
                del kept[view]
        self.failing = {v: each for v, each in self.failing.items() if v in self.views}
        self._members = {v: each for v, each in self._members.items() if v in self.views - lost}
        self._had_row = has_row
        missing = sorted({GUARD, *self.views} - self.held.keys(), key=lambda v: (v != GUARD, v))
        room = MOST_HELD - len(self.held)
        for view in missing[:room]:
            row = self.row(view) if trusted else None
            self._start(view, row.index if row else 0)
        passed = frozenset(missing[room:])
        self.unread |= passed & lost | (passed - has_row if trusted else passed - self.passed)
        self.unread &= self.views
        self.passed = passed
        if self._passes is None:
            self._passes = asyncio.create_task(self._pass_for_ever())

    def _start(self, view: View, index: int) -> None:
        if asking := self._asking.pop(view, None):
            asking.cancel()  # its answer would come after newer ones
        if not index:
            self.unread.add(view)
        self.held[view] = asyncio.create_task(self._hold(view, index))

    def stored(self, views: Set[View]) -> None:
        """What was answered of these is stored."""
        self.unread -= views - self.failing.keys()

    def raise_what_broke(self) -> None:
        """A query that ended by a bug of ours must not leave its view blind."""
        for task in self._tasks():
            if task.done() and not task.cancelled():
                task.result()

    def _tasks(self) -> list[asyncio.Task[None]]:
        passes = [self._passes] if self._passes else []
        return [*self.held.values(), *self._asking.values(), *passes]

    def read_afresh(self) -> None:
        """Consul lost its data or was restored: no index is worth anything."""
        self._afresh_at = self._time()
        for asked in (self.held, self._asking):
            for task in asked.values():
                task.cancel()
            asked.clear()
        self.unread |= self.views
        self.watch(self.views)

    async def look_for_reset(self) -> None:
        try:
            async with asyncio.timeout(RESET_WITHIN):  # the next heartbeat must not be late
                newest = await self.consul.newest_indices()
        except (Unavailable, Refused, TimeoutError):
            return
        if any(index < former for index, former in zip(newest, self._newest, strict=False)):
            self.read_afresh()
        self._newest = newest

    async def close(self) -> None:
        tasks = self._tasks()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.consul.close()

    # ---- what came ------------------------------------------------------------------------

    async def answers(self, until: float) -> dict[View, Answer]:
        """All answers there are; while there are none, wait for the first one until then."""
        timeout = min(until, self.until) - self.now()
        if not self.inbox and timeout > 0:
            self._arrived.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._arrived.wait()
        answers, self.inbox = self.inbox, {}
        return {view: each for view, each in answers.items() if view in self.views}

    def _put(self, view: View, answer: Answer) -> None:
        self.inbox[view] = answer
        self._arrived.set()

    def fence(self) -> dict[View, Answer]:
        """The epoch was raised: what was asked before may be older than what the former poller
        has stored meanwhile. Returns the answers that are not; the other views are asked again."""
        self._fenced_at = self._time()
        answers, self.inbox = self.inbox, {}
        return self.drop_older(answers)

    def drop_older(self, answers: Mapping[View, Answer]) -> dict[View, Answer]:
        """The answers at least as new as what is stored. The other views are asked again."""
        kept = {view: each for view, each in answers.items() if not self._is_older(view, each)}
        for view in answers.keys() - kept.keys():
            self._ask_again(view)
        return kept

    def _is_older(self, view: View, answer: Answer) -> bool:
        row = self.row(view)
        return row is not None and answer.index < row.index

    def _ask_again(self, view: View) -> None:
        if view in self.held:
            self.held.pop(view).cancel()
            self._start(view, 0)
        else:
            self.unread.add(view)

    def stale(self, after: float) -> dict[str, Stale]:
        """By view id: what could not be read for that many seconds."""
        now = self.now()
        return {
            view.id: each
            for view, each in self.failing.items()
            if view in self.views and now - each.since >= after
        }

    def counted_errors(self) -> int:
        """Failed queries since this was asked last."""
        errors, self._errors = self._errors, 0
        return errors

    def inherit(self, views: Set[View], stale: Mapping[str, Stale]) -> None:
        """Views that a former poller could not read are stale until they were read."""
        for view in views - self._members.keys():
            if view.id in stale:
                self.failing[view] = stale[view.id]
                if view not in self.unread:
                    self._ask_again(view)

    # ---- asking ---------------------------------------------------------------------------

    async def ask_each(self, views: Iterable[View]) -> dict[View, Answer]:
        """Ask each once, without waiting for news. What could not be read is left out."""
        self.views |= frozenset(views)
        asked = sorted(views)
        found = await asyncio.gather(*map(self._ask_once, asked))
        return {view: answer for view, answer in zip(asked, found, strict=True) if answer}

    async def _ask_once(self, view: View) -> Answer | None:
        try:
            return await self._believed(view, await self.consul.ask(view))
        except (Unavailable, Refused) as error:
            self._failed(view, error)
            return None

    async def _hold(self, view: View, index: int) -> None:
        failures = 0
        while (wait := self._wait()) > 0:
            began = self._time()
            try:
                answer = await self.consul.ask(view, index=index, wait=wait)
                if woken_by_restore(index, answer.index, wait, self._time() - began):
                    self._restored()
                    index = 0
                    await asyncio.sleep(LEAST_INTERVAL)
                    continue
                answer = await self._believed(view, answer)
            except (Unavailable, Refused) as error:
                self._failed(view, error)
                index = 0
                await asyncio.sleep(_pause(error, failures))
                failures += 1
                continue
            failures = 0
            if began < self._fenced_at and self._is_older(view, answer):
                index = 0
                continue
            if view != GUARD:
                self._put(view, answer)
            index = wait_index(index, answer.index)
            await asyncio.sleep(max(0.0, LEAST_INTERVAL - (self._time() - began)))

    def _wait(self) -> int:
        """Never past our own end: Consul keeps a query until its wait ends, client or not."""
        low, high = WAITS
        left = self.until - self.now() - ENDS_BEFORE
        return int(min(low + (high - low) * self.chance(), left))

    def _restored(self) -> None:
        """All queries are woken then; the first one speaks for all."""
        if self._time() - self._afresh_at > AFRESH_EVERY:
            self.read_afresh()

    async def _pass_for_ever(self) -> None:
        """Ask the views that have no query whenever something moved, and those that
        could not be read."""
        seen: tuple[int, ...] = ()
        while self._wait() > 0:
            began = self._time()
            if self.passed:
                try:
                    newest = await self.consul.newest_indices()
                except (Unavailable, Refused) as error:
                    for view in self.passed:
                        self._failed(view, error)
                else:
                    if newest != seen:
                        self.unread |= self.passed
                    self._ask_unread()
                    seen = newest
            await asyncio.sleep(max(LEAST_INTERVAL, began + PASS_EVERY - self._time()))

    def _ask_unread(self) -> None:
        """But what is being asked, waits to be taken, or has just failed."""
        now = self._time()
        busy = self._asking.keys() | self.inbox.keys()
        for view in sorted(self.passed & self.unread - busy):
            if self._failures.get(view, (0, now))[1] <= now:
                self._asking[view] = asyncio.create_task(self._pass(view))

    async def _pass(self, view: View) -> None:
        try:
            async with self._turns:
                began = self._time()
                answer = await self._believed(view, await self.consul.ask(view))
        except (Unavailable, Refused) as error:
            self._failed(view, error)
            failures = self._failures.get(view, (0, 0.0))[0]
            self._failures[view] = failures + 1, self._time() + _pause(error, failures)
        else:
            self._failures.pop(view, None)
            if not (began < self._fenced_at and self._is_older(view, answer)):
                self._put(view, answer)
        finally:
            if self._asking.get(view) is asyncio.current_task():
                del self._asking[view]

    async def _believed(self, view: View, answer: Answer) -> Answer:
        """An answer that loses something is read again with `consistent` before it is believed.
        Raises Refused if it can't be."""
        row = self.row(view)
        digest, known = self._members.get(view, ("", None))
        if row is not None and loses(row, known, view, answer):
            answer = await self.consul.ask(view, consistent=True)
            if why := doubt(row, known, view, answer):
                raise Refused(f"asking Consul for {view}: {why}")
            await self._look_for_hidden(view, known, answer)
        elif row is not None and (why := doubt(row, known, view, answer)):
            raise Refused(f"asking Consul for {view}: {why}")
        if answer.snapshot.digest != digest:
            self._members[view] = answer.snapshot.digest, members(view, answer.snapshot)
        self.failing.pop(view, None)
        return answer

    async def _look_for_hidden(
        self, listing: View, known: frozenset[str] | None, answer: Answer
    ) -> None:
        """A listing of which ACLs hide a part may lose names because rights shrank: a name that is
        watched is gone only if all its instances are. Raises Refused if some are not."""
        if not listing.kind.lists or not answer.filtered:
            return
        listed = members(listing, answer.snapshot)
        place = listing.datacenter, listing.namespace
        for view in sorted(self.views):
            lost = view.name not in listed and (known is None or view.name in known)
            here = (view.datacenter, view.namespace) == place
            if view.kind == listing.kind.lists and here and lost:
                found = await self.consul.ask(view, consistent=True)
                if found.snapshot != EMPTY:
                    raise Refused(f"asking Consul for {listing}: it hides {view}, which is there")

    def _failed(self, view: View, error: Upstream) -> None:
        former = self.failing.get(view)
        since = former.since if former else self.now()
        self.failing[view] = Stale(str(view), since, str(error))
        self.unread.add(view)
        self._errors += 1

    def _time(self) -> float:
        return asyncio.get_running_loop().time()


def _pause(error: Exception, failures: int) -> float:
    if isinstance(error, Refused):
        return REFUSED_WAIT
    return RETRY_WAITS[min(failures, len(RETRY_WAITS) - 1)]
