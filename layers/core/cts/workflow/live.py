"""The life of a poller: take over the watch, pass answers to `poll.py`, send heartbeats, leave."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any, Protocol, TypeVar

from cts.errors import Refused, Unavailable, Upstream
from cts.events import CatalogChanged
from cts.generation import Generation
from cts.watch.lease import FRESH_EVERY, HEARTBEAT_EVERY, NOT_READ, Lease, TakeOver, take_over
from cts.watch.query import View
from cts.watch.stale import STALE_AFTER, Stale
from cts.watch.view import Answer
from cts.workflow.poll import Deposed, Poller, PollPorts, Tally
from cts.workflow.queries import Consul, Queries

CONNECTION_WITHIN = 5.0
AWS_WAIT = 1.0
"""Seconds to wait before calling AWS again after an error."""

T = TypeVar("T")


class LiveGeneration(Protocol):
    def current(self) -> Generation | None: ...


@dataclass(frozen=True, slots=True)
class Beat:
    """What the entry point logs and counts at each heartbeat."""

    views: int
    stale: int
    tally: Tally
    consul_errors: int = 0
    aws_errors: int = 0

    @property
    def metrics(self) -> dict[str, int]:
        return {
            "Heartbeats": 1,
            "Views": self.views,
            "StaleViews": self.stale,
            "Changes": self.tally.changes,
            "TasksTriggered": self.tally.triggered,
            "ConsulErrors": self.consul_errors,
            "AwsErrors": self.aws_errors,
        }


NOTHING_TO_WATCH = Beat(views=0, stale=0, tally=Tally())
"""The heartbeat of a poller without a configuration: it is alive, so no alarm is raised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePorts:
    """A poller's dependencies and settings."""

    ports: PollPorts
    generations: LiveGeneration
    consul: Callable[[], Consul]
    connection: Callable[[], Awaitable[str]]
    """Identifies the Consul address, CA and token in use; empty if unknown. May raise Unavailable
    or Refused."""
    thread: Callable[[], Executor]
    """Creates a dedicated thread for blocking calls."""
    chance: Callable[[], float]
    """Random, uniform in [0, 1)."""
    owner: str
    until: float
    """The time by which this poller must have left."""
    on_beat: Callable[[Beat], None]
    on_change: Callable[[CatalogChanged], None]
    on_trouble: Callable[[str], None]
    """Called with a message when views become stale, or when AWS can't be reached."""


class PollOutcome(StrEnum):
    NO_CONFIGURATION = "no configuration has been published yet"
    NOT_NEEDED = "another poller is alive and holds the watch"
    OVERTAKEN = "another poller took over the watch"
    LEFT = "the poller's time was up"
    NOTHING_NEW = "nothing changed"
    WRITTEN = "changes were written"


class _Thread:
    """A dedicated thread for blocking calls, so that other slow calls don't delay them."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def __call__(self, call: Callable[..., T], *arguments: Any, **options: Any) -> T:
        work = partial(call, *arguments, **options)
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


@dataclass(frozen=True, slots=True)
class _Opened:
    """What a poller finds when it starts, and the lease it would write."""

    generation: Generation
    read: Lease | None
    new: Lease


async def _opened(run: LivePorts, aws: _Thread) -> _Opened | None:
    """None if no configuration has been published."""
    generation = await aws(run.generations.current)
    if generation is None:
        run.on_beat(NOTHING_TO_WATCH)
        return None
    connection = await _connection(run)
    read, now = await aws(run.ports.leases.lease), run.ports.now()
    epoch = read.epoch + 1 if read else 1
    new = Lease(epoch, run.owner, generation.number, now, now, now, connection)
    return _Opened(generation, read, new)


async def _connection(run: LivePorts) -> str:
    """Limits how long a tick waits for a secret that can't be read at the moment."""
    try:
        async with asyncio.timeout(CONNECTION_WITHIN):
            return await run.connection()
    except (Unavailable, Refused, TimeoutError):
        return ""


async def live(run: LivePorts) -> PollOutcome:
    """Hold the watch until another poller takes over or time is up (mode `live`)."""
    with run.thread() as first, run.thread() as second:
        aws, beats = _Thread(first), _Thread(second)
        opened = await _opened(run, aws)
        if opened is None:
            return PollOutcome.NO_CONFIGURATION
        new = opened.new
        verdict = take_over(opened.read, new.generation, new.started_at, new.connection)
        if verdict is TakeOver.NO:
            return PollOutcome.NOT_NEEDED
        watch = _Watch(run, opened, aws)
        try:
            return await watch.hold(verdict, beats)
        except Deposed:
            return PollOutcome.OVERTAKEN
        finally:
            await watch.queries.close()


async def once(run: LivePorts) -> PollOutcome:
    """Query every view once (mode `poll`). Writes nothing if nothing has changed."""
    with run.thread() as thread:
        aws = _Thread(thread)
        opened = await _opened(run, aws)
        if opened is None:
            return PollOutcome.NO_CONFIGURATION
        watch = _Watch(run, opened, aws)
        try:
            return await watch.look_once()
        except Deposed:
            return PollOutcome.OVERTAKEN
        finally:
            await watch.queries.close()


class _Watch:
    def __init__(self, run: LivePorts, opened: _Opened, aws: _Thread) -> None:
        self.run, self.opened, self.aws = run, opened, aws
        self.poller = Poller(run.ports, opened.generation)
        self.queries = Queries(run.consul(), self.poller.row, run.ports.now, run.chance, run.until)
        self.aws_errors = 0

    # ---- taking over ----------------------------------------------------------------------

    async def hold(self, verdict: TakeOver, beats: _Thread) -> PollOutcome:
        poller, queries, read = self.poller, self.queries, self.opened.read
        await self.aws(poller.load)
        trusted = await self._trusts_indices(verdict)
        queries.watch(poller.views(), trusted=trusted)
        queries.inherit(poller.views(), poller.stale_before)
        lease = self.opened.new
        if read is not None and trusted:
            lease = replace(lease, fresh_at=read.fresh_at)
        raised = lease if trusted else replace(lease, fresh_at=NOT_READ)
        if not await self.aws(poller.raise_epoch, read, raised):
            return PollOutcome.OVERTAKEN
        return await self._until_relieved(lease, trusted, beats)

    async def _trusts_indices(self, verdict: TakeOver) -> bool:
        read, now = self.opened.read, self.run.ports.now()
        fresh = read is not None and now - read.fresh_at < FRESH_EVERY
        indices = [row.index for row in self.poller.stored.rows.values()]
        return await self.queries.trusts(indices) and verdict is TakeOver.RELIEVE and fresh

    async def _settle_in(self, *, trusted: bool) -> dict[View, Answer]:
        """Load what the former poller stored before the epoch was raised, and derive every task
        again. Returns the answers that arrived in the meantime."""
        await self.aws(self.poller.load)
        self._tell(await self.aws(self.poller.look, {}, derive_all=True))
        answers = self.queries.fence()
        self.queries.watch(self.poller.views(), trusted=trusted)
        self.queries.inherit(self.poller.views(), self.poller.stale_before)
        return answers

    # ---- mode poll ------------------------------------------------------------------------

    async def look_once(self) -> PollOutcome:
        poller, queries = self.poller, self.queries
        await self.aws(poller.load)
        queries.inherit(poller.views(), poller.stale_before)
        answers = await self._ask_all()
        self._beat(queries.stale(0))
        if not await self.aws(poller.differs, answers, queries.stale(0)):
            return PollOutcome.NOTHING_NEW
        if not await self.aws(poller.raise_epoch, self.opened.read, self.opened.new):
            return PollOutcome.OVERTAKEN
        await self.aws(poller.load)
        kept = queries.drop_older(answers)
        kept |= await queries.ask_each(answers.keys() - kept.keys())
        self._tell(await self.aws(poller.look, kept, derive_all=True))
        try:
            await self._record_stale(0)
            await self.aws(poller.announce)
        except Unavailable as error:  # the sweep announces what is due
            self.run.on_trouble(str(error))
        return PollOutcome.WRITTEN

    async def _ask_all(self) -> dict[View, Answer]:
        """Query every view once, then the views that the answers add."""
        answers = await self.queries.ask_each(self.poller.views())
        return answers | await self.queries.ask_each(self.poller.added_by(answers))

    # ---- the loops ------------------------------------------------------------------------

    async def _until_relieved(self, lease: Lease, trusted: bool, beats: _Thread) -> PollOutcome:
        """Run both loops. Heartbeats don't wait for writes, nor writes for heartbeats."""
        watching = asyncio.create_task(self._look_until_the_end(trusted=trusted))
        others = [
            asyncio.create_task(self._beat_for_ever(lease, beats)),
            asyncio.create_task(self._record_for_ever()),
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

    async def _look_until_the_end(self, *, trusted: bool) -> PollOutcome:
        clock, poller = self.run.ports.now, self.poller
        answers: dict[View, Answer] | None = None
        while clock() < self.run.until:
            try:
                if answers is None:
                    answers = await self._settle_in(trusted=trusted)
                next_at = poller.next_due or self.run.until
                answers |= await self.queries.answers(clock() if answers else next_at)
                self._tell(await self.aws(self._store, answers))
                self.queries.stored(answers.keys())
                answers = {}
                await self.aws(poller.announce)
            except Unavailable as error:  # AWS, not Consul: keep the answers
                await self._aws_failed(error)
            self.queries.watch(poller.views())
        await self.aws(poller.leave)
        return PollOutcome.LEFT

    def _store(self, answers: Mapping[View, Answer]) -> CatalogChanged | None:
        return self.poller.look(answers) if answers else None

    async def _beat_for_ever(self, lease: Lease, beats: _Thread) -> None:
        passes, fresh_at = False, lease.fresh_at
        while True:
            views, passed = len(self.queries.views), len(self.queries.passed)
            lease = replace(
                lease,
                heartbeat_at=self.run.ports.now(),
                fresh_at=NOT_READ if self.queries.unread else fresh_at,
                views=views,
                passed=passed,
            )
            try:
                if not await beats(self.run.ports.leases.beat, lease):
                    raise Deposed
            except Unavailable as error:
                await self._aws_failed(error)
                continue
            if passed and not passes:
                self.run.on_trouble(f"{passed} of {views} views are polled only once a second")
            passes = passed > 0
            self._beat(self.queries.stale(STALE_AFTER))
            self.queries.raise_what_broke()
            await self.queries.look_for_reset()
            next_at = lease.heartbeat_at + HEARTBEAT_EVERY
            await asyncio.sleep(max(0.0, next_at - self.run.ports.now()))

    async def _record_for_ever(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_EVERY)
            try:
                await self._record_stale(STALE_AFTER)
            except (Unavailable, Refused) as error:
                await self._aws_failed(error)

    async def _record_stale(self, after: float) -> None:
        for told in await self.aws(self.poller.record_stale, self.queries.stale(after)):
            self.run.on_trouble(told)

    # ---- telling --------------------------------------------------------------------------

    def _tell(self, changed: CatalogChanged | None) -> None:
        if changed is not None:
            self.run.on_change(changed)

    def _beat(self, stale: Mapping[str, Stale]) -> None:
        aws_errors, self.aws_errors = self.aws_errors, 0
        beat = Beat(
            views=len(self.queries.views),
            stale=len(stale),
            tally=self.poller.counted(),
            consul_errors=self.queries.counted_errors(),
            aws_errors=aws_errors,
        )
        self.run.on_beat(beat)

    async def _aws_failed(self, error: Upstream) -> None:
        self.run.on_trouble(str(error))
        self.aws_errors += 1
        await asyncio.sleep(AWS_WAIT)
