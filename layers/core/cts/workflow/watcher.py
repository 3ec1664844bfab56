"""What a poller in either mode starts with, and how it speaks to the entry point."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, Protocol, TypeVar

from cts.errors import Refused, Unavailable, Upstream
from cts.events import CatalogChanged
from cts.generation import Generation
from cts.ports import Consul
from cts.watch.lease import Lease
from cts.watch.stale import Stale
from cts.workflow import former_state
from cts.workflow.counting import Counted
from cts.workflow.passes import REFUSED_WAIT
from cts.workflow.poll import Poller, PollPorts, Tally
from cts.workflow.queries import Queries

CONNECTION_WITHIN = 5.0
AWS_WAIT = 1.0
"""Seconds to wait before calling AWS again after an error. After a refusal it is REFUSED_WAIT: each
try may store many snapshots before it is refused again."""

T = TypeVar("T")


class LiveGeneration(Protocol):
    def current(self) -> Generation | None: ...


@dataclass(frozen=True, slots=True)
class Beat:
    """What the entry point logs and counts at each heartbeat."""

    views: int
    stale: int
    tally: Tally
    was_stale: int = 0
    """At the heartbeat before."""
    consul_errors: int = 0
    aws_errors: int = 0

    @property
    def counted(self) -> list[Counted]:
        """Views always, whose number of samples is that of the heartbeats; of the others what
        there is, so that a quiet stack pays for none of them. When no view is stale any
        longer, one zero follows: a view that comes and goes must not look stale for long."""
        found: list[Counted] = [
            ("Changes", "Count", self.tally.changes),
            ("TasksTriggered", "Count", self.tally.triggered),
            ("ConsulErrors", "Count", self.consul_errors),
            ("AwsErrors", "Count", self.aws_errors),
        ]
        stale: list[Counted] = [("StaleViews", "Count", self.stale)]
        return [
            ("Views", "Count", self.views),
            *(stale if self.stale or self.was_stale else []),
            *(each for each in found if each[2]),
        ]


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
    has_state: Callable[[str], bool]
    """Whether the stack's state bucket has a state of a task."""
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


class Thread:
    """A dedicated thread for blocking calls, so that other slow calls don't delay them."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def __call__(self, call: Callable[..., T], *arguments: Any, **options: Any) -> T:
        work = partial(call, *arguments, **options)
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


@dataclass(frozen=True, slots=True)
class Opened:
    """What a poller finds when it starts, and the lease it would write."""

    generation: Generation
    read: Lease | None
    new: Lease


async def opened(run: LivePorts, aws: Thread) -> Opened | None:
    """None if no configuration has been published."""
    generation = await aws(run.generations.current)
    if generation is None:
        run.on_beat(NOTHING_TO_WATCH)
        return None
    connection = await _connection(run)
    read, now = await aws(run.ports.leases.lease), run.ports.now()
    epoch = read.epoch + 1 if read else 1
    new = Lease(epoch, run.owner, generation.number, now, now, now, connection, ends_at=run.until)
    return Opened(generation, read, new)


async def _connection(run: LivePorts) -> str:
    """Limits how long a tick waits for a secret that can't be read at the moment."""
    try:
        async with asyncio.timeout(CONNECTION_WITHIN):
            return await run.connection()
    except (Unavailable, Refused, TimeoutError):
        return ""


class Watcher:
    """A poller in either mode: what it knows, asks and says."""

    def __init__(self, run: LivePorts, opened: Opened, aws: Thread) -> None:
        self.run, self.opened, self.aws = run, opened, aws
        self.poller = Poller(run.ports, opened.generation)
        self.consul = run.consul()
        self.queries = Queries(self.consul, self.poller.row, run.ports.now, run.chance, run.until)
        self.stale = self.aws_errors = 0

    async def find_places(self) -> None:
        """Look for states that CTS has left, once for each task that has not run."""
        tasks = await self.aws(self.poller.not_placed)
        has_state = partial(self.aws, self.run.has_state)
        found = await former_state.look(self.consul, self.opened.generation, tasks, has_state)
        self.poller.places = found

    def tell(self, changed: CatalogChanged | None) -> None:
        told, self.poller.ignored.untold = self.poller.ignored.untold, []
        for text in told:
            self.run.on_trouble(text)
        if changed is not None:
            self.run.on_change(changed)

    def beat(self, stale: Mapping[str, Stale]) -> None:
        aws_errors, self.aws_errors = self.aws_errors, 0
        was_stale, self.stale = self.stale, len(stale)
        beat = Beat(
            views=len(self.queries.views),
            stale=self.stale,
            was_stale=was_stale,
            tally=self.poller.counted(),
            consul_errors=self.queries.inbox.counted_errors(),
            aws_errors=aws_errors,
        )
        self.run.on_beat(beat)

    def note(self, error: Upstream) -> None:
        """An error of AWS is told, and counted at the next heartbeat."""
        self.run.on_trouble(str(error))
        self.aws_errors += 1

    async def aws_failed(self, error: Upstream) -> None:
        """Wait until it may be tried again."""
        self.note(error)
        wait = REFUSED_WAIT if isinstance(error, Refused) else AWS_WAIT
        left = self.run.until - self.run.ports.now()
        await asyncio.sleep(min(wait, max(AWS_WAIT, left)))

    async def record_stale(self, after: float) -> None:
        for told in await self.aws(self.poller.record_stale, self.queries.inbox.stale(after)):
            self.run.on_trouble(told)
