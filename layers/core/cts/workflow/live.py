"""Wait on Consul and feed the poller: one blocking query per view, held until something moves."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from cts.errors import Refused, Unavailable, Upstream
from cts.events import CatalogChanged
from cts.terraform.definition import Generation
from cts.watch.lease import FRESH_EVERY, HEARTBEAT_EVERY, Lease, TakeOver, take_over
from cts.watch.query import Kind, View
from cts.watch.snapshot import EMPTY
from cts.watch.view import Answer, Row, wait_index
from cts.workflow.poll import Deposed, Poller, Ports, Tally

WAITS = (240, 360)
"""Seconds a query is held, at random: equal waits would come back in a wave."""
LEAST_INTERVAL = 0.1
"""Seconds from the start of one query to the next of the same view, as CTS keeps it."""
RETRY_WAITS = (1.0, 2.0, 5.0)
"""Seconds before a failed query is asked again; the last one stays."""
REFUSED_WAIT = 30.0
RESET_WITHIN = 5.0
"""Seconds in which Consul must say its newest index, or is asked again at the next heartbeat."""


class Consul(Protocol):
    async def ask(
        self, view: View, *, index: int = 0, wait: int = 0, consistent: bool = False
    ) -> Answer:
        """Raises Unavailable or Refused; a partial answer is Refused, never an answer."""

    async def newest_index(self) -> int:
        """The newest index of the catalog: it only goes back when Consul lost its data."""

    async def close(self) -> None: ...


class Generations(Protocol):
    def current(self) -> Generation | None: ...


@dataclass(frozen=True, slots=True)
class Beat:
    """What the entry point logs and counts at every heartbeat."""

    views: int
    stale: int
    tally: Tally

    @property
    def metrics(self) -> dict[str, int]:
        return {
            "Heartbeats": 1,
            "Views": self.views,
            "StaleViews": self.stale,
            "Changes": self.tally.changes,
            "TasksTriggered": self.tally.triggered,
            "ConsulErrors": self.tally.consul_errors,
            "AwsErrors": self.tally.aws_errors,
        }


NOTHING_TO_WATCH = Beat(views=0, stale=0, tally=Tally())
"""The heartbeat of a poller without a configuration: alive, so no reason for an alarm."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a poller is started with."""

    ports: Ports
    generations: Generations
    consul: Callable[[], Consul]
    chance: Callable[[], float]
    """Uniform in [0, 1)."""
    owner: str
    until: float
    """When this poller must have left."""
    on_beat: Callable[[Beat], None]
    on_change: Callable[[CatalogChanged], None]
    on_trouble: Callable[[str], None]
    """Told when a view becomes stale, and when AWS could not be reached."""


class Outcome(StrEnum):
    NO_CONFIGURATION = "no configuration was published yet"
    NOT_NEEDED = "a living poller holds the watch"
    OVERTAKEN = "another poller took the watch over"
    LEFT = "the poller's time was up"
    NOTHING_NEW = "nothing changed"
    WRITTEN = "changes were written"


async def live(run: Run) -> Outcome:
    """Hold the watch until relieved or until the time is up (mode `live`)."""
    generation = run.generations.current()
    if generation is None:
        run.on_beat(NOTHING_TO_WATCH)
        return Outcome.NO_CONFIGURATION
    now = run.ports.now()
    lease = run.ports.leases.lease()
    verdict = take_over(lease, generation.number, now)
    if verdict is TakeOver.NO:
        return Outcome.NOT_NEEDED
    poller = Poller(run.ports, generation)
    await asyncio.to_thread(poller.load)
    watch = _Watch(run, poller, run.consul())
    trusted = await watch.trusts_indices(lease, verdict)
    try:
        watch.hold_all(trusted)
        raised = replace(
            _raised(lease, run, generation, now),
            fresh_at=lease.fresh_at if lease and trusted else now,
        )
        if not await asyncio.to_thread(poller.raise_epoch, lease, raised):
            return Outcome.OVERTAKEN
        watch.tell(await asyncio.to_thread(poller.take_over, {}))
        watch.drop_older()
        watch.hold_all(trusted)
        return await watch.until_relieved(raised)
    except Deposed:
        return Outcome.OVERTAKEN
    finally:
        await watch.close()


async def once(run: Run) -> Outcome:
    """Ask every view once (mode `poll`). Nothing changed: nothing is written."""
    generation = run.generations.current()
    if generation is None:
        run.on_beat(NOTHING_TO_WATCH)
        return Outcome.NO_CONFIGURATION
    now = run.ports.now()
    lease = run.ports.leases.lease()
    poller = Poller(run.ports, generation)
    poller.load()
    watch = _Watch(run, poller, run.consul())
    answers = await watch.ask_all()
    await watch.close()
    run.on_beat(watch.beat())
    if not poller.differs(answers):
        return Outcome.NOTHING_NEW
    if not poller.raise_epoch(lease, _raised(lease, run, generation, now)):
        return Outcome.OVERTAKEN
    try:
        watch.tell(poller.take_over(answers))
    except Deposed:
        return Outcome.OVERTAKEN
    return Outcome.WRITTEN


def _raised(lease: Lease | None, run: Run, generation: Generation, now: float) -> Lease:
    epoch = lease.epoch + 1 if lease else 1
    return Lease(epoch, run.owner, generation.number, now, heartbeat_at=now, fresh_at=now)


@dataclass(slots=True)
class _Watch:
    run: Run
    poller: Poller
    consul: Consul
    held: dict[View, asyncio.Task[None]] = field(default_factory=dict)
    inbox: asyncio.Queue[tuple[View, Answer]] = field(default_factory=asyncio.Queue)
    stale: set[View] = field(default_factory=set)
    known: set[View] = field(default_factory=set)
    """Views that had a row when last looked at; one that lost it is read afresh."""
    newest: int = 0

    # ---- queries --------------------------------------------------------------------------

    async def trusts_indices(self, lease: Lease | None, verdict: TakeOver) -> bool:
        """Whether the first queries may block on the stored indices. Consul holds a query whose
        index is above its own for the whole wait, so an index must be known to be a living one."""
        highest = max((row.index for row in self.poller.rows.values()), default=0)
        try:
            self.newest = await self.consul.newest_index()
        except (Unavailable, Refused):
            return False
        fresh = lease is not None and self.run.ports.now() - lease.fresh_at < FRESH_EVERY
        return verdict is TakeOver.RELIEVE and fresh and highest <= self.newest

    def hold_all(self, trusted: bool) -> None:
        """Start the queries that are missing, stop those that nothing needs any more."""
        self.raise_what_broke()
        views = self.poller.views()
        has_row = {view for view in views if view.id in self.poller.rows}
        for view in self.held.keys() & (self.known - has_row) | self.held.keys() - views:
            self.held.pop(view).cancel()
            self.stale.discard(view)
        self.known = has_row
        for view in views - self.held.keys():
            row = self.poller.rows.get(view.id) if trusted else None
            self.held[view] = asyncio.create_task(self._hold(view, row.index if row else 0))

    def raise_what_broke(self) -> None:
        """A query that ended by a bug of ours must not leave its view blind."""
        for task in self.held.values():
            if task.done() and not task.cancelled():
                task.result()

    def drop_older(self) -> None:
        """What was answered before the epoch was raised may be older than what the former poller
        stored meanwhile: ask such views again."""
        answers = [self.inbox.get_nowait() for _ in range(self.inbox.qsize())]
        for view, answer in answers:
            row = self.poller.rows.get(view.id)
            if row is None or answer.index >= row.index or view not in self.held:
                self.inbox.put_nowait((view, answer))
            else:
                self.held.pop(view).cancel()
                self.held[view] = asyncio.create_task(self._hold(view, 0))

    def read_afresh(self) -> None:
        """Consul lost its data or its connection was lost: no index is worth anything."""
        for task in self.held.values():
            task.cancel()
        self.held.clear()
        self.hold_all(trusted=False)

    async def _hold(self, view: View, index: int) -> None:
        failures = 0
        while (wait := self._wait()) > 0:
            began = asyncio.get_running_loop().time()
            try:
                answer = await self._confirmed(view, index, wait)
            except (Unavailable, Refused) as error:
                self._failed(view, error)
                index = 0
                await asyncio.sleep(_pause(error, failures))
                failures += 1
                continue
            failures = 0
            self.stale.discard(view)
            await self.inbox.put((view, answer))
            index = wait_index(index, answer.index)
            elapsed = asyncio.get_running_loop().time() - began
            await asyncio.sleep(max(0.0, LEAST_INTERVAL - elapsed))

    def _wait(self) -> int:
        """Never past our own end: Consul keeps a query until its wait ends, client or not."""
        low, high = WAITS
        left = self.run.until - self.run.ports.now() - HEARTBEAT_EVERY
        return int(min(low + (high - low) * self.run.chance(), left))

    async def _confirmed(self, view: View, index: int, wait: int) -> Answer:
        """An answer that empties a view is read again with `consistent` before it is believed."""
        answer = await self.consul.ask(view, index=index, wait=wait)
        row = self.poller.rows.get(view.id)
        if row is not None and self._loses(view, row, answer):
            answer = await self.consul.ask(view, consistent=True)
        if answer.filtered and row is not None and not row.filtered:
            raise Refused(f"asking Consul for {view}: it was whole, and ACLs now hide a part of it")
        return answer

    def _loses(self, view: View, row: Row, answer: Answer) -> bool:
        """Whether all instances of a service are gone, or a name from the listing."""
        if view.kind is Kind.LISTING:
            return not set(self.poller.names or ()) <= set(answer.snapshot.names)
        return row.digest != answer.row.digest == EMPTY.digest

    def _failed(self, view: View, error: Upstream) -> None:
        if view not in self.stale:
            self.run.on_trouble(str(error))
        self.stale.add(view)
        self.poller.tally.consul_errors += 1

    async def ask_all(self) -> dict[View, Answer]:
        """Ask every view once; those that the catalog's listing adds in a second round."""
        answers: dict[View, Answer] = {}
        for _ in range(2):
            missing = sorted(self._needed(answers) - answers.keys())
            found = await asyncio.gather(*map(self._ask_once, missing))
            answers |= {view: answer for view, answer in zip(missing, found, strict=True) if answer}
        return answers

    def _needed(self, answers: Mapping[View, Answer]) -> set[View]:
        names = next((a.snapshot.names for v, a in answers.items() if v.kind is Kind.LISTING), None)
        return self.poller.views() if names is None else self.poller.views(names)

    async def _ask_once(self, view: View) -> Answer | None:
        try:
            return await self._confirmed(view, 0, 0)
        except (Unavailable, Refused) as error:
            self._failed(view, error)
            return None

    # ---- the loop -------------------------------------------------------------------------

    async def until_relieved(self, lease: Lease) -> Outcome:
        """Heartbeats don't wait for what is being written, nor the other way round."""
        beating = asyncio.create_task(self._beat_for_ever(lease))
        watching = asyncio.create_task(self._look_until_the_end())
        try:
            await asyncio.wait({beating, watching}, return_when=asyncio.FIRST_COMPLETED)
            if beating.done():
                beating.result()  # it ends only by raising
            return await watching
        finally:
            beating.cancel()
            watching.cancel()
            await asyncio.gather(beating, watching, return_exceptions=True)

    async def _look_until_the_end(self) -> Outcome:
        clock = self.run.ports.now
        answers: dict[View, Answer] = {}
        while clock() < self.run.until:
            try:
                next_at = self.poller.next_due or self.run.until
                answers |= await self._answers(clock() if answers else next_at)
                self.tell(await asyncio.to_thread(self._step, answers))
                answers = {}
            except Unavailable as error:  # AWS, not Consul: what was answered is kept
                self.run.on_trouble(str(error))
                self.poller.tally.aws_errors += 1
                await asyncio.sleep(RETRY_WAITS[0])
            self.hold_all(trusted=False)
        await asyncio.to_thread(self.poller.leave)
        return Outcome.LEFT

    async def _beat_for_ever(self, lease: Lease) -> None:
        while True:
            lease = replace(lease, heartbeat_at=self.run.ports.now())
            try:
                if not await asyncio.to_thread(self.run.ports.leases.beat, lease):
                    raise Deposed
            except Unavailable as error:
                self.run.on_trouble(str(error))
                self.poller.tally.aws_errors += 1
                await asyncio.sleep(RETRY_WAITS[0])
                continue
            self.run.on_beat(self.beat())
            self.raise_what_broke()
            await self._look_for_reset()
            next_at = lease.heartbeat_at + HEARTBEAT_EVERY
            await asyncio.sleep(max(0.0, next_at - self.run.ports.now()))

    def _step(self, answers: Mapping[View, Answer]) -> CatalogChanged | None:
        changed = self.poller.look(answers) if answers else None
        self.poller.announce()
        return changed

    def tell(self, changed: CatalogChanged | None) -> None:
        if changed is not None:
            self.run.on_change(changed)

    async def _answers(self, until: float) -> dict[View, Answer]:
        """All answers there are; while there are none, wait for the first one until then."""
        answers: dict[View, Answer] = {}
        timeout = min(until, self.run.until) - self.run.ports.now()
        if self.inbox.empty() and timeout > 0:
            with suppress(TimeoutError):
                view, answer = await asyncio.wait_for(self.inbox.get(), timeout)
                answers[view] = answer
        while not self.inbox.empty():
            view, answer = self.inbox.get_nowait()
            answers[view] = answer
        return {view: each for view, each in answers.items() if view in self.held}

    async def _look_for_reset(self) -> None:
        try:
            async with asyncio.timeout(RESET_WITHIN):  # the next heartbeat must not be late
                newest = await self.consul.newest_index()
        except (Unavailable, Refused, TimeoutError):
            return
        if newest < self.newest:
            self.read_afresh()
        self.newest = newest

    def beat(self) -> Beat:
        tally, self.poller.tally = self.poller.tally, Tally()
        return Beat(views=len(self.poller.views()), stale=len(self.stale), tally=tally)

    async def close(self) -> None:
        for task in self.held.values():
            task.cancel()
        await asyncio.gather(*self.held.values(), return_exceptions=True)
        await self.consul.close()


def _pause(error: Exception, failures: int) -> float:
    if isinstance(error, Refused):
        return REFUSED_WAIT
    return RETRY_WAITS[min(failures, len(RETRY_WAITS) - 1)]
