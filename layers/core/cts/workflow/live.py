"""Mode `live`: take over the watch, pass answers to `poll.py`, send heartbeats, leave."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from cts.errors import Upstream
from cts.events import CatalogChanged
from cts.run.place import StatePlace
from cts.watch.lease import (
    FRESH_EVERY,
    HEARTBEAT_EVERY,
    NOT_READ,
    Deposed,
    Lease,
    TakeOver,
    take_over,
)
from cts.watch.query import View, datacenters
from cts.watch.stale import STALE_AFTER
from cts.watch.view import Answer
from cts.workflow.watcher import LivePorts, PollOutcome, Thread, Watcher, opened

PLACES_EVERY = 30.0
"""Seconds between two tries to find states that CTS has left, where that can't be told."""


async def live(run: LivePorts) -> PollOutcome:
    """Hold the watch until another poller takes over or time is up (mode `live`)."""
    with run.thread() as first, run.thread() as second:
        aws, beats = Thread(first), Thread(second)
        found = await opened(run, aws)
        if found is None:
            return PollOutcome.NO_CONFIGURATION
        new = found.new
        verdict = take_over(found.read, new.generation, new.started_at, new.connection)
        if verdict is TakeOver.NO:
            return PollOutcome.NOT_NEEDED
        watch = _Live(run, found, aws)
        try:
            return await watch.hold(verdict, beats)
        except Deposed:
            return PollOutcome.OVERTAKEN
        finally:
            await watch.queries.close()


class _Live(Watcher):
    async def hold(self, verdict: TakeOver, beats: Thread) -> PollOutcome:
        poller, queries, read = self.poller, self.queries, self.opened.read
        await self.aws(poller.load)
        await self.find_places()
        trusted = await self._trusted(verdict)
        queries.watch(poller.views(), trusted=trusted)
        queries.inherit(poller.views(), poller.stale.loaded)
        lease = self.opened.new
        if read is not None and trusted:
            lease = replace(lease, fresh_at=read.fresh_at)
        all_trusted = datacenters(poller.views()) <= trusted
        raised = lease if all_trusted else replace(lease, fresh_at=NOT_READ)
        if not await self.aws(poller.raise_epoch, read, raised):
            return PollOutcome.OVERTAKEN
        return await self._until_relieved(lease, trusted, beats)

    async def _trusted(self, verdict: TakeOver) -> frozenset[str]:
        """The datacenters whose stored indices the first queries may block on."""
        read, now = self.opened.read, self.run.ports.now()
        fresh = read is not None and now - read.fresh_at < FRESH_EVERY
        rows = {view: self.poller.row(view) for view in self.poller.views()}
        trusted = await self.queries.newest.trusted(rows)
        return trusted if verdict is TakeOver.RELIEVE and fresh else frozenset()

    async def _settle_in(self, trusted: frozenset[str]) -> dict[View, Answer]:
        """Load what the former poller stored before the epoch was raised, and derive every task
        again. Returns the answers that arrived in the meantime."""
        await self.aws(self.poller.load)
        self.tell(await self.aws(self.poller.look, {}, derive_all=True))
        answers = self.queries.fence()
        self.queries.watch(self.poller.views(), trusted=trusted)
        self.queries.inherit(self.poller.views(), self.poller.stale.loaded)
        return answers

    # ---- the loops ------------------------------------------------------------------------

    async def _until_relieved(
        self, lease: Lease, trusted: frozenset[str], beats: Thread
    ) -> PollOutcome:
        """Run both loops. Heartbeats don't wait for writes, nor writes for heartbeats."""
        watching = asyncio.create_task(self._look_until_the_end(trusted))
        others = [
            asyncio.create_task(self._beat_for_ever(lease, beats)),
            asyncio.create_task(self._record_for_ever()),
            asyncio.create_task(self._find_places_for_ever()),
        ]
        try:
            await asyncio.wait({watching, *others}, return_when=asyncio.FIRST_COMPLETED)
            for ended in (task for task in others if task.done()):
                ended.result()  # they only end by raising
            return await watching
        finally:
            for task in (watching, *others):
                task.cancel()
            await asyncio.gather(watching, *others, return_exceptions=True)

    async def _look_until_the_end(self, trusted: frozenset[str]) -> PollOutcome:
        clock, poller = self.run.ports.now, self.poller
        answers: dict[View, Answer] | None = None
        while clock() < self.run.until:
            try:
                if answers is None:
                    answers = await self._settle_in(trusted)
                next_at = poller.next_due or self.run.until
                answers |= await self.queries.answers(clock() if answers else next_at)
                self.tell(await self.aws(self._store, answers))
                self.queries.inbox.stored(answers.keys())
                answers = {}
                await self.aws(poller.announce)
            except Upstream as error:  # AWS, not Consul: keep the answers
                await self.aws_failed(error)
            self.queries.watch(poller.views())
        await self.aws(poller.leave)
        return PollOutcome.LEFT

    def _store(self, answers: Mapping[View, Answer]) -> CatalogChanged | None:
        return self.poller.look(answers) if answers else None

    async def _beat_for_ever(self, lease: Lease, beats: Thread) -> None:
        passes, fresh_at = False, lease.fresh_at
        while True:
            views, passed = len(self.queries.views), len(self.queries.passed)
            lease = replace(
                lease,
                heartbeat_at=self.run.ports.now(),
                fresh_at=NOT_READ if self.queries.inbox.unread else fresh_at,
                views=views,
                passed=passed,
            )
            try:
                if not await beats(self.run.ports.leases.beat, lease):
                    raise Deposed
            except Upstream as error:
                await self.aws_failed(error)
                continue
            if passed and not passes:
                self.run.on_trouble(f"{passed} of {views} views are polled only once a second")
            passes = passed > 0
            self.beat(self.queries.inbox.stale(STALE_AFTER))
            self.queries.raise_what_broke()
            next_at = lease.heartbeat_at + HEARTBEAT_EVERY
            await asyncio.sleep(max(0.0, next_at - self.run.ports.now()))

    async def _record_for_ever(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_EVERY)
            try:
                await self.record_stale(STALE_AFTER)
            except Upstream as error:
                await self.aws_failed(error)

    async def _find_places_for_ever(self) -> None:
        while True:
            await asyncio.sleep(PLACES_EVERY)
            if all(isinstance(each, StatePlace) for each in self.poller.places.values()):
                continue
            try:
                await self.find_places()
                self.tell(await self.aws(self.poller.look, {}, derive_all=True))
                await self.aws(self.poller.announce)
            except Upstream as error:
                await self.aws_failed(error)
