"""Pollers in mode `live` or `poll`, with Consul and a table in memory. Time is virtual."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from cts.conditions import services
from cts.conditions.services import ServicesCondition
from cts.events import CatalogChanged, TaskTriggered
from cts.generation import Generation, TaskEntry
from cts.watch.lease import DEAD_AFTER, Lease
from cts.watch.query import View
from cts.watch.snapshot import Snapshot
from cts.watch.view import Row, chunk_of
from cts.workflow import poll
from cts.workflow.live import live
from cts.workflow.watcher import Beat, LivePorts, PollOutcome
from tests.fake_consul import FakeConsul, instance
from tests.fakes import Counter, FakeBucket, FakeBus, FakeTable
from tests.unit.virtual_time import Thread, VirtualTime, run

if TYPE_CHECKING:
    from cts.errors import Unavailable

WEB, API, LISTING = (
    View(services.SERVICE, "web"),
    View(services.SERVICE, "api"),
    View(services.LISTING),
)
ONE = TaskEntry("d-one", ServicesCondition(("web",)))
BOTH = TaskEntry("d-both", ServicesCondition(("web", "api")))
SOME = TaskEntry("d-some", ServicesCondition(regexp="^w"))
BORN = 1_000.0
WAIT = 25
"""Seconds a query is held, if chance is in the middle."""


class World:
    """Consul, a table, and the pollers that one after the other watch."""

    def __init__(self, **tasks: TaskEntry) -> None:
        self.loop = VirtualTime(BORN)
        self.table, self.bucket, self.bus = FakeTable(), FakeBucket(), FakeBus()
        self.consul, self.ids = FakeConsul(), Counter()
        self.generation: Generation | None = Generation(1, 1, {}, tasks) if tasks else None
        self.ports = poll.PollPorts(
            leases=self.table,
            watch=self.table,
            stale=self.table,
            snapshots=self.bucket,
            bus=self.bus,
            now=self.loop.time,
            new_id=self.ids.new_id,
        )
        self.connection: str | Unavailable = ""
        self.thread_takes, self.threads = 0.0, 0
        self.timed_beats: list[tuple[float, Beat]] = []
        self.changes: list[CatalogChanged] = []
        self.troubles: list[str] = []

    def current(self) -> Generation | None:
        return self.generation

    @property
    def beaten_at(self) -> list[float]:
        return [at for at, _ in self.timed_beats]

    @property
    def beats(self) -> list[Beat]:
        return [beat for _, beat in self.timed_beats]

    def beat(self, beat: Beat) -> None:
        self.timed_beats.append((self.loop.time(), beat))

    async def connects(self) -> str:
        if isinstance(self.connection, str):
            return self.connection
        await asyncio.sleep(60)
        raise self.connection

    def poller(self, stays: float = 100.0) -> LivePorts:
        return LivePorts(
            ports=self.ports,
            generations=self,
            consul=lambda: self.consul,
            has_state=lambda _task: False,
            connection=self.connects,
            thread=self.thread,
            chance=lambda: 0.5,
            owner=self.ids.new_id(),
            until=self.loop.time() + stays,
            on_beat=self.beat,
            on_change=self.changes.append,
            on_trouble=self.troubles.append,
        )

    def thread(self) -> Thread:
        """Of the two threads of a poller the first one writes, and the second one beats."""
        self.threads += 1
        writes = self.threads % 2
        return Thread(self.loop, lambda: self.thread_takes if writes else 0.0)

    async def live(self, stays: float = 100.0) -> PollOutcome:
        return await live(self.poller(stays))

    async def next_poller(self) -> None:
        """The former one is dead."""
        await asyncio.sleep(DEAD_AFTER + 1)
        assert await self.live(60) is PollOutcome.LEFT

    def during(self, happens: Callable[[], Awaitable[None]], stays: float = 100.0) -> PollOutcome:
        """A poller watches while something happens."""

        async def main() -> PollOutcome:
            watching = asyncio.create_task(self.live(stays))
            await happens()
            return await watching

        return run(self.loop, main())

    def row(self, view: View) -> Row | None:
        chunk = self.table.stored_chunks.get(chunk_of(view.id))
        return chunk.rows.get(view.id) if chunk else None

    def names(self, view: View) -> list[str]:
        """The ids of the stored instances."""
        return [each["id"] for each in stored(self, view).value]

    @property
    def triggered(self) -> list[str]:
        return [event.task for event in self.bus.of(TaskTriggered)]


def stored(world: World, view: View) -> Snapshot:
    row = world.row(view)
    assert row is not None
    found = world.bucket.get(view.id, row.digest)
    assert found is not None
    return found


def lease(world: World, **other: float | str) -> Lease:
    made = Lease(7, "another", 1, BORN - 60, BORN - 10, BORN - 60, ends_at=BORN + 820)
    world.table.leased = replace(made, **other)  # type: ignore[arg-type]
    return world.table.leased


def nobody_waits(world: World, stays: float = 100.0) -> PollOutcome:
    return run(world.loop, world.live(stays))


def stored_by_another(world: World) -> None:
    """A former poller stored the view at Consul's index 11."""
    run_once = World(one=ONE)

    async def before() -> None:
        await run_once.consul.set("web", [instance("web")])

    run_once.during(before)
    world.table.stored_chunks = run_once.table.stored_chunks
    world.bucket.objects = run_once.bucket.objects
    world.consul.index, world.consul.services = 11, run_once.consul.services
