"""The poller's waiting: blocking queries, heartbeats, hand-over. Time is virtual."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from cts.conditions import services
from cts.conditions.services import ServicesCondition
from cts.errors import Refused, Unavailable
from cts.events import CatalogChanged, TaskTriggered, ViewFresh, ViewStale
from cts.generation import BufferPeriod, Generation, TaskEntry
from cts.run.state import Done, Reason
from cts.run.state import Outcome as Ran
from cts.watch.lease import DEAD_AFTER, HEARTBEAT_EVERY, NOT_READ, RELIEVED_BEFORE, Lease
from cts.watch.query import View
from cts.watch.snapshot import EMPTY, Snapshot
from cts.watch.stale import Stale, StaleViews
from cts.watch.view import Chunk, Row, chunk_of
from cts.workflow import poll
from cts.workflow.live import live
from cts.workflow.once import once
from cts.workflow.passes import PASS_EVERY, REFUSED_WAIT
from cts.workflow.queries import MOST_HELD
from cts.workflow.watcher import Beat, LivePorts, PollOutcome
from tests.fake_consul import Asked, FakeConsul, instance
from tests.fakes import Counter, FakeBucket, FakeBus, FakeTable, before_next, failing
from tests.unit.virtual_time import Thread, VirtualTime, run

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


# ---- watching -----------------------------------------------------------------------------


def test_a_first_poller_reads_stores_announces_and_then_holds_its_queries() -> None:
    world = World(one=ONE)

    async def nothing() -> None:
        await world.consul.set("web", [instance("web")])

    assert world.during(nothing) is PollOutcome.LEFT
    assert world.names(WEB) == ["web-1"]
    assert world.triggered == ["one"]
    first, *held = world.consul.asked
    assert first == Asked(WEB, index=0, wait=WAIT)
    assert held[0] == Asked(WEB, index=11, wait=WAIT)
    assert {asked.index for asked in held} == {11}
    assert world.consul.closed


def test_a_change_is_stored_and_announced_at_once() -> None:
    world = World(one=ONE)
    seen_at: list[float] = []

    async def change() -> None:
        await asyncio.sleep(30)
        await world.consul.set("web", [instance("web"), instance("web", 2)])
        await asyncio.sleep(0.01)
        seen_at.append(len(world.names(WEB)))

    world.during(change)
    assert seen_at == [2]
    assert [change.views for change in world.changes] == [["service web"], ["service web"]]


def test_however_often_it_changes_a_view_is_asked_ten_times_a_second_at_most() -> None:
    """As in CTS."""
    world = World(one=ONE)

    async def changes() -> None:
        await asyncio.sleep(5)
        world.consul.asked.clear()
        for port in range(200):
            await world.consul.set("web", [instance("web", Port=port)])
            await asyncio.sleep(0.01)
        assert 10 < len(world.consul.asked) <= 21
        await asyncio.sleep(0.2)
        assert [each["port"] for each in stored(world, WEB).value] == [199]

    world.during(changes)


def test_nothing_changes_nothing_is_written_but_the_heartbeat() -> None:
    world = World(one=ONE)
    written: list[object] = []

    async def wait() -> None:
        await asyncio.sleep(5)
        for target, method in (
            (world.table, "commit"),
            (world.table, "take"),
            (world.bucket, "put_all"),
        ):
            before_next(target, method, partial(written.append, method))

    world.during(wait)
    assert written == []
    assert len(world.beats) >= 100 / HEARTBEAT_EVERY
    assert world.table.leased is not None
    assert world.table.leased.heartbeat_at >= BORN + 80


def test_no_query_is_held_beyond_the_pollers_end() -> None:
    world = World(one=ONE)

    async def change() -> None:
        for at in range(1, 10):
            await asyncio.sleep(9)
            await world.consul.set("web", [instance("web", at)])

    world.during(change)
    times = [asked for asked in world.consul.asked if asked.index]
    assert times
    assert all(asked.wait <= 80 for asked in times)
    assert world.loop.time() == BORN + 100


def test_a_service_that_appears_in_the_listing_is_watched_too() -> None:
    world = World(some=SOME)

    async def appears() -> None:
        await asyncio.sleep(5)
        await world.consul.set("w2", [instance("w2")])
        await world.consul.set("other", [instance("other")])
        await asyncio.sleep(5)
        await world.consul.set("w2", [instance("w2", 7)])

    world.during(appears)
    assert world.names(View(services.SERVICE, "w2")) == ["w2-7"]
    assert {asked.view for asked in world.consul.asked} == {LISTING, View(services.SERVICE, "w2")}


def test_an_agents_upgrade_is_stored_and_triggers_nothing() -> None:
    world = World(one=ONE)
    wanted: list[bool] = []

    def on(version: str, address: str = "10.0.0.1") -> dict[str, Any]:
        entry = instance("web", Address=address)
        entry["Node"]["Meta"] = {"consul-version": version}
        return entry

    def runs() -> None:
        """What is wanted is done; whether anything was."""
        wish = world.table.state("one").wanted.get(Reason.CHANGE)
        wanted.append(wish is not None)
        done = Done("one-1", wish.fingerprint or "", "") if wish else world.table.state("one").done
        assert world.table.put_state(replace(world.table.state("one"), wanted={}, done=done))

    async def upgraded() -> None:
        await world.consul.set("web", [on("1.18.1")])
        await asyncio.sleep(5)
        runs()
        await world.consul.set("web", [on("1.21.4")])
        await asyncio.sleep(5)
        assert b"1.21.4" in stored(world, WEB).body
        runs()
        await world.next_poller()
        runs()
        await world.consul.set("web", [on("1.21.4", "10.0.0.2")])
        await world.next_poller()
        runs()

    world.during(upgraded)
    assert wanted == [True, False, False, True]


def test_a_buffered_task_is_announced_when_its_wait_is_over() -> None:
    world = World(one=replace(ONE, buffer=BufferPeriod(5, 20)))
    before: list[int] = []

    async def burst() -> None:
        await asyncio.sleep(1)
        ran = replace(world.table.state("one"), wanted={}, recent=(Ran("one-1", True, 0.0),))
        assert world.table.put_state(ran)
        world.bus.events.clear()
        for number in range(3):
            await world.consul.set("web", [instance("web", number)])
            await asyncio.sleep(3)
        before.append(len(world.triggered))

    world.during(burst, stays=60)
    assert before == [0]
    assert world.triggered == ["one"]


# ---- what could not be read ---------------------------------------------------------------


def test_a_view_that_cannot_be_read_keeps_its_row_and_hinders_no_other() -> None:
    world = World(both=BOTH, one=ONE)
    stale: list[int] = []

    async def half_down() -> None:
        await world.consul.set("api", [instance("api")])
        await asyncio.sleep(5)
        world.consul.errors[API] = Unavailable("no route")
        await world.consul.set("api", [])
        await world.consul.set("web", [instance("web")])
        await asyncio.sleep(25)
        stale.append(world.beats[-1].stale)
        stale.append(len(world.names(API)))
        del world.consul.errors[API]
        await asyncio.sleep(25)
        stale.append(world.beats[-1].stale)

    world.during(half_down)
    assert stale == [1, 1, 0]
    assert world.names(WEB) == ["web-1"]
    assert world.row(API) is not None
    assert world.row(API).digest == EMPTY.digest  # type: ignore[union-attr]


def test_a_view_never_read_blocks_its_tasks_and_no_others() -> None:
    world = World(both=BOTH, one=ONE)
    world.consul.errors[API] = Refused("filtered by ACLs")

    async def wait() -> None:
        await asyncio.sleep(40)

    world.during(wait)
    assert set(world.triggered) == {"one"}
    assert len([asked for asked in world.consul.asked if asked.view == API]) == 100 // REFUSED_WAIT


def test_a_failed_query_is_asked_again_without_index() -> None:
    world = World(one=ONE)

    async def fails_once() -> None:
        await asyncio.sleep(5)
        world.consul.errors[WEB] = Unavailable("connection reset")
        await world.consul.set("web", [instance("web")])
        await asyncio.sleep(0.5)
        del world.consul.errors[WEB]

    world.during(fails_once)
    assert [asked.index for asked in world.consul.asked[:3]] == [0, 1, 0]
    assert world.names(WEB) == ["web-1"]


def test_an_answer_that_empties_a_view_is_read_again_consistently() -> None:
    world = World(one=ONE)

    async def empties() -> None:
        await world.consul.set("web", [instance("web")])
        await asyncio.sleep(5)
        await world.consul.set("web", [])

    world.during(empties)
    assert [asked.consistent for asked in world.consul.asked].count(True) == 1
    assert world.row(WEB) == Row(12, EMPTY.digest)


@pytest.mark.parametrize(
    ("before", "after", "believed"),
    [
        pytest.param(False, True, False, id="it-was-whole-and-comes-filtered"),
        pytest.param(True, True, True, id="it-was-filtered-all-along"),
        pytest.param(True, False, True, id="it-is-whole-again"),
    ],
)
def test_a_listing_of_which_a_part_is_hidden(*, before: bool, after: bool, believed: bool) -> None:
    world = World(some=SOME)

    async def hidden() -> None:
        world.consul.filtered = {LISTING} if before else set()
        await world.consul.set("w1", [instance("w1")])
        await asyncio.sleep(5)
        world.consul.filtered = {LISTING} if after else set()
        await world.consul.set("w1", None)

    world.during(hidden)
    assert (world.row(View(services.SERVICE, "w1")) is None) is believed
    assert world.beats[-1].stale == (0 if believed else 1)


@pytest.mark.parametrize(
    ("hidden", "believed"),
    [
        pytest.param(False, True, id="it-is-gone"),
        pytest.param(True, False, id="the-token-sees-less"),
    ],
)
def test_a_filtered_listing_that_loses_a_watched_name(*, hidden: bool, believed: bool) -> None:
    """A least-privilege token sees a filtered list all along."""
    world = World(some=SOME)
    w1 = View(services.SERVICE, "w1")

    async def loses_one() -> None:
        world.consul.token, world.consul.filtered = True, {LISTING}
        await world.consul.set("w1", [instance("w1")])
        await world.consul.set("w2", [instance("w2")])
        await asyncio.sleep(5)
        if hidden:
            world.consul.errors[w1] = Refused("filtered by ACLs")
        await world.consul.set("w1", None)
        await asyncio.sleep(30)

    world.during(loses_one)
    assert (world.row(w1) is None) is believed
    assert (world.beats[-1].stale == 0) is believed


def test_after_consul_lost_its_data_every_view_is_read_afresh() -> None:
    """Consul holds a query whose index is above its own for the whole wait, whatever changes."""
    world = World(one=ONE)
    seen: list[list[str]] = []

    async def lost() -> None:
        for number in range(50):
            await world.consul.set("web", [instance("web", number)])
        await asyncio.sleep(5)
        await world.consul.lose_everything()
        await world.consul.set("web", [instance("web", 99)])
        await asyncio.sleep(HEARTBEAT_EVERY)
        seen.append(world.names(WEB))

    world.during(lost, stays=400)
    assert seen == [["web-99"]]


def test_a_query_that_breaks_ends_the_poller_instead_of_blinding_a_view() -> None:
    world = World(one=ONE)
    world.consul.errors[WEB] = KeyError("Service")

    async def wait() -> None:
        await asyncio.sleep(1)

    with pytest.raises(KeyError):
        world.during(wait)
    assert world.consul.closed


def test_what_the_table_did_not_take_is_kept_and_tried_again() -> None:
    world = World(one=ONE)

    async def table_down() -> None:
        await asyncio.sleep(5)
        with failing(world.table, "commit", Unavailable("throttled")):
            await world.consul.set("web", [instance("web")])
            await asyncio.sleep(10)
        await asyncio.sleep(2)
        assert world.names(WEB) == ["web-1"]

    world.during(table_down)
    assert sum(beat.aws_errors for beat in world.beats) == 10


@pytest.mark.parametrize(
    ("of", "method"), [("table", "commit"), ("bucket", "put_all"), ("bus", "send")]
)
def test_what_aws_refuses_is_kept_and_counted_and_tried_again_less_often(
    of: str, method: str
) -> None:
    """As while a policy denies a call."""
    world = World(one=ONE)

    async def refused() -> None:
        await asyncio.sleep(5)
        with failing(getattr(world, of), method, Refused("access denied")):
            await world.consul.set("web", [instance("web")])
            await asyncio.sleep(2 * REFUSED_WAIT + 5)
        await asyncio.sleep(REFUSED_WAIT)
        assert world.names(WEB) == ["web-1"]

    assert world.during(refused, stays=200) is PollOutcome.LEFT
    assert sum(beat.aws_errors for beat in world.beats) == 3
    assert world.triggered == ["one", "one"]


def test_a_heartbeat_that_is_refused_ends_no_watch() -> None:
    world = World(one=ONE)

    async def refused() -> None:
        await asyncio.sleep(5)
        with failing(world.table, "beat", Refused("access denied")):
            await asyncio.sleep(HEARTBEAT_EVERY)
        await world.consul.set("web", [instance("web")])

    assert world.during(refused) is PollOutcome.LEFT
    assert sum(beat.aws_errors for beat in world.beats) == 1
    assert max(later - earlier for earlier, later in pairwise(world.beaten_at)) < DEAD_AFTER


def test_a_poller_that_aws_refuses_leaves_in_time() -> None:
    world = World(one=ONE)

    async def refused() -> None:
        await asyncio.sleep(95)
        await world.consul.set("web", [instance("web")])

    with failing(world.table, "commit", Refused("access denied")):
        assert world.during(refused) is PollOutcome.LEFT
    assert world.loop.time() <= BORN + 101


def test_a_row_that_a_runner_took_out_is_read_afresh() -> None:
    """The poller learns of it when a write of the view's chunk is refused."""
    names = (f"service-{n}" for n in range(9_999))
    beside = next(n for n in names if chunk_of(View(services.SERVICE, n).id) == chunk_of(WEB.id))
    world = World(both=replace(BOTH, condition=ServicesCondition(("web", beside))))

    async def dropped() -> None:
        await asyncio.sleep(5)
        world.table.drop_row(WEB.id, EMPTY.digest)
        await world.consul.set(beside, [instance(beside)])

    world.during(dropped)
    assert world.row(WEB) == Row(1, EMPTY.digest)
    asked = [asked.index for asked in world.consul.asked if asked.view == WEB]
    assert asked[:4] == [0, 1, 0, 1]
    assert 0 not in asked[4:]


# ---- losses -------------------------------------------------------------------------------


def test_whatever_loses_an_instance_is_read_again_consistently() -> None:
    world = World(one=ONE)

    async def loses_one() -> None:
        await world.consul.set("web", [instance("web"), instance("web", 2)])
        await asyncio.sleep(5)
        await world.consul.set("web", [instance("web", 2), instance("web", 3)])
        await asyncio.sleep(5)
        await world.consul.set("web", [instance("web", n) for n in (2, 3, 4)])

    world.during(loses_one)
    assert [asked.consistent for asked in world.consul.asked].count(True) == 1
    assert world.names(WEB) == ["web-2", "web-3", "web-4"]


@pytest.mark.parametrize(
    ("token_before", "token_after", "default_deny", "believed"),
    [
        pytest.param(False, False, False, True, id="no-token-and-nothing-tells"),
        pytest.param(False, False, True, False, id="no-token-and-default-deny"),
        pytest.param(True, False, False, False, id="the-token-is-gone"),
        pytest.param(True, True, True, True, id="with-a-token"),
    ],
)
def test_a_loss_of_everything_without_a_token(
    *, token_before: bool, token_after: bool, default_deny: bool, believed: bool
) -> None:
    world = World(one=ONE)

    async def loses_all() -> None:
        world.consul.token, world.consul.default_deny = token_before, default_deny
        await world.consul.set("web", [instance("web")])
        await asyncio.sleep(5)
        world.consul.token = token_after
        await world.consul.set("web", [])
        await asyncio.sleep(30)

    world.during(loses_all)
    assert (world.names(WEB) == []) is believed
    assert world.beats[-1].stale == (0 if believed else 1)


def test_that_there_was_a_token_is_known_to_the_next_poller() -> None:
    world = World(one=ONE)

    async def loses_all() -> None:
        world.consul.token = True
        await world.consul.set("web", [instance("web")])
        await world.next_poller()
        world.consul.token = False
        await world.consul.set("web", [])
        await world.next_poller()

    run(world.loop, loses_all())
    assert world.names(WEB) == ["web-1"]


# ---- restores -----------------------------------------------------------------------------


@pytest.mark.parametrize("streams", [False, True])
def test_a_restore_is_seen_at_once_even_if_the_next_write_lifts_the_index(*, streams: bool) -> None:
    """Newer servers wake a held listing only, and its index has not moved."""
    world = World(one=ONE)
    seen: list[list[str]] = []

    async def restored() -> None:
        world.consul.streams = streams
        for number in range(50):
            await world.consul.set("web", [instance("web", number)])
        await asyncio.sleep(5)
        await world.consul.restore({"web": [instance("web", 99)]}, index=12)
        await asyncio.sleep(0.01)
        for _ in range(60):
            await world.consul.set("other", [])
        await asyncio.sleep(0.5)
        seen.append(world.names(WEB))

    world.during(restored, stays=400)
    assert seen == [["web-99"]]


def test_each_of_consuls_indices_tells_of_a_reset() -> None:
    """A write may lift one of them past the former newest before anybody looks."""
    world = World(one=ONE)
    seen: list[list[str]] = []

    async def reset() -> None:
        world.consul.checks_index = 40
        for number in range(20):
            await world.consul.set("web", [instance("web", number)])
        await asyncio.sleep(HEARTBEAT_EVERY + 5)
        await world.consul.lose_everything()
        await world.consul.set("web", [instance("web", 99)])
        world.consul.index = 99
        await asyncio.sleep(HEARTBEAT_EVERY)
        seen.append(world.names(WEB))

    world.during(reset, stays=400)
    assert seen == [["web-99"]]


# ---- more views than connections ----------------------------------------------------------

MANY_NAMES = tuple(f"s{n:03}" for n in range(MOST_HELD + 40))
MANY = TaskEntry("d-many", ServicesCondition(MANY_NAMES))


@pytest.mark.slow
def test_more_views_than_queries_are_all_seen_within_a_second_or_two() -> None:
    world = World(many=MANY)
    late: list[str] = []

    async def change_each() -> None:
        await asyncio.sleep(5)
        for view in sorted(world.consul.views):
            await world.consul.set(view.name, [instance(view.name)])
        await asyncio.sleep(PASS_EVERY + 0.5)
        late.extend(view.name for view in world.consul.views if not world.names(view))

    world.during(change_each)
    assert late == []
    assert world.consul.most_held == MOST_HELD
    lease = world.table.leased
    assert lease is not None
    assert (lease.views, lease.passed) == (MOST_HELD + 40, 41)
    assert world.troubles == [f"41 of {MOST_HELD + 40} views are polled only once a second"]


@pytest.mark.slow
def test_a_pass_asks_no_view_while_nothing_moves() -> None:
    world = World(many=MANY)

    async def nothing() -> None:
        await asyncio.sleep(5)
        world.consul.asked.clear()
        await asyncio.sleep(60)
        assert [asked for asked in world.consul.asked if not asked.index] == []

    world.during(nothing)


FIRST = View(services.SERVICE, "s000")
LAST = View(services.SERVICE, f"s{MOST_HELD + 39:03}")
"""A view without a query of its own."""


def many_registered(world: World) -> dict[str, Any]:
    """All of them have one instance from the start."""
    return {name: (world.consul.index, [instance(name)]) for name in MANY_NAMES}


@pytest.mark.parametrize("takes", [4.5, 5.0, 5.5, 6.0], ids="{} s".format)
def test_a_slow_answer_of_a_pass_is_followed_by_what_changed_meanwhile(takes: float) -> None:
    """Whether a pass begins before the answer is stored, or only later."""
    world = World(many=MANY)
    stored: list[list[str]] = []

    async def changes() -> None:
        world.consul.services = many_registered(world)
        await asyncio.sleep(5)
        world.consul.delays[LAST] = takes
        await world.consul.set(LAST.name, [instance(LAST.name, 1), instance(LAST.name, 2)])
        await asyncio.sleep(2)
        world.consul.delays.clear()
        await world.consul.set(LAST.name, [instance(LAST.name, n) for n in (1, 2, 3)])
        await asyncio.sleep(takes + 5)
        stored.append(world.names(LAST))

    world.during(changes)
    assert stored == [[f"{LAST.name}-{n}" for n in (1, 2, 3)]]


@pytest.mark.slow
def test_a_pass_does_not_take_what_a_server_knows_that_is_behind() -> None:
    """In mode `stale`. The leader has told of the change, and nothing moves after it."""
    world = World(many=MANY)
    stored: list[list[str]] = []

    async def is_behind() -> None:
        world.consul.services = many_registered(world)
        await asyncio.sleep(5)
        world.consul.lagging = {LAST: world.consul.answer(LAST)}
        await world.consul.set(LAST.name, [instance(LAST.name, 1), instance(LAST.name, 2)])
        await asyncio.sleep(PASS_EVERY + 0.5)
        world.consul.lagging = {}
        await asyncio.sleep(30)
        stored.append(world.names(LAST))

    world.during(is_behind)
    assert stored == [[f"{LAST.name}-{n}" for n in (1, 2)]]


@pytest.mark.slow
def test_what_a_pass_asked_says_nothing_any_more_once_its_view_is_held() -> None:
    world = World(some=TaskEntry("d-some", ServicesCondition(regexp="^s")))
    names = [f"s{n:03}" for n in range(MOST_HELD + 10)]

    async def becomes_held() -> None:
        world.consul.services = {name: (world.consul.index, [instance(name)]) for name in names}
        await asyncio.sleep(5)
        held = {asked.view.name for asked in world.consul.asked if asked.index} - {LISTING.name}
        view = View(services.SERVICE, min(name for name in names if name not in held))
        world.consul.delays[view] = 5
        await world.consul.set(view.name, [instance(view.name, 1), instance(view.name, 2)])
        await asyncio.sleep(PASS_EVERY + 0.5)
        world.consul.delays.clear()
        await world.consul.set(view.name, [instance(view.name)])
        await world.consul.set(min(held), None)
        await asyncio.sleep(10)
        assert Asked(view, world.consul.services[view.name][0], WAIT) in world.consul.asked
        assert world.names(view) == [f"{view.name}-1"]

    world.during(becomes_held)


@pytest.mark.slow
def test_what_a_pass_asked_before_a_restore_is_not_believed_after_it() -> None:
    world = World(many=MANY)

    async def restored() -> None:
        world.consul.services = many_registered(world)
        await asyncio.sleep(5)
        world.consul.delays[LAST] = 5
        await world.consul.set(LAST.name, [instance(LAST.name, 1), instance(LAST.name, 2)])
        await asyncio.sleep(PASS_EVERY + 0.5)
        world.consul.delays.clear()
        saved = {name: found for name, (_, found) in many_registered(world).items()}
        await world.consul.restore(saved, world.consul.index - 1)
        world.changes.clear()
        await asyncio.sleep(10)
        assert world.changes == []

    world.during(restored)


@pytest.mark.slow
@pytest.mark.parametrize("view", [FIRST, LAST], ids=["held", "passed"])
def test_what_was_asked_before_a_hand_over_is_not_believed_if_older(view: View) -> None:
    world = World(many=MANY)

    def instances(*numbers: int) -> list[dict[str, Any]]:
        return [instance(view.name, number) for number in numbers]

    def former_stores_the_next_change() -> None:
        """The new poller has asked once more, and its answer is on its way."""
        assert Asked(view, consistent=True) in world.consul.asked
        world.consul.index, world.consul.services[view.name] = 13, (13, instances(1, 2, 3))
        name, answer = chunk_of(view.id), world.consul.answer(view)
        world.bucket.put(view.id, answer.snapshot)
        chunk = world.table.stored_chunks[name]
        rows = {**chunk.rows, view.id: answer.row}
        world.table.stored_chunks[name] = replace(chunk, rows=rows, version=chunk.version + 1)

    async def hands_over() -> None:
        world.consul.services = many_registered(world)
        world.consul.services[view.name] = 11, instances(1, 2)
        await world.live()
        lease(world, generation=0)
        world.consul.index, world.consul.services[view.name] = 12, (12, instances(1))
        world.consul.asked.clear()
        world.changes.clear()
        world.consul.delays[view] = 0.2
        before_next(world.table, "take", former_stores_the_next_change)
        world.thread_takes = 1.0
        watching = asyncio.create_task(world.live())
        while view not in world.consul.views:
            await asyncio.sleep(0.1)
        world.consul.delays[view] = 20
        await watching

    run(world.loop, hands_over())
    assert world.changes == []
    assert world.names(view) == [f"{view.name}-{number}" for number in (1, 2, 3)]


def test_a_view_that_fails_while_its_last_answer_is_stored_is_asked_again() -> None:
    world = World(many=MANY)

    async def fails() -> None:
        world.consul.services = many_registered(world)
        await asyncio.sleep(5)
        world.thread_takes = 3.0
        await world.consul.set(LAST.name, [instance(LAST.name, 2)])
        await asyncio.sleep(1.5)
        world.consul.errors[LAST] = Unavailable("connection reset")
        await world.consul.set(LAST.name, [instance(LAST.name, 3)])
        await asyncio.sleep(5)
        world.consul.errors.clear()
        await asyncio.sleep(20)
        assert world.names(LAST) == [f"{LAST.name}-3"]

    world.during(fails)


@pytest.mark.slow
def test_a_view_that_hangs_makes_no_other_late() -> None:
    world = World(many=MANY)
    other = View(services.SERVICE, f"s{MOST_HELD + 38:03}")

    async def hangs() -> None:
        world.consul.services = many_registered(world)
        await asyncio.sleep(5)
        world.consul.delays[LAST] = 15
        await world.consul.set(LAST.name, [instance(LAST.name, 2)])
        await asyncio.sleep(3)
        await world.consul.set(other.name, [instance(other.name, 2)])
        await asyncio.sleep(PASS_EVERY + 1)
        assert world.names(other) == [f"{other.name}-2"]

    world.during(hangs)


@pytest.mark.slow
def test_a_refused_view_is_not_asked_in_every_pass() -> None:
    world = World(many=MANY)
    world.consul.errors[LAST] = Refused("filtered by ACLs")

    async def wait() -> None:
        await asyncio.sleep(80)

    world.during(wait)
    assert len([asked for asked in world.consul.asked if asked.view == LAST]) <= 4


# ---- AWS is away --------------------------------------------------------------------------


def test_a_bus_that_is_away_keeps_no_poller_from_taking_over() -> None:
    world = World(one=ONE)
    outcomes: list[PollOutcome] = []

    async def away() -> None:
        with failing(world.bus, "send", Unavailable("no bus")):
            watching = asyncio.create_task(world.live(100))
            await asyncio.sleep(5)
            await world.consul.set("web", [instance("web")])
            await asyncio.sleep(5)
            assert world.names(WEB) == ["web-1"]
        await asyncio.sleep(5)
        outcomes.append(await watching)

    run(world.loop, away())
    assert outcomes == [PollOutcome.LEFT]
    assert world.triggered == ["one"]
    assert len(world.bus.of(CatalogChanged)) == 2


def test_a_table_that_is_away_after_the_epoch_was_raised_is_waited_for() -> None:
    world = World(one=ONE)

    async def away() -> None:
        with failing(world.table, "states", Unavailable("throttled")):
            watching = asyncio.create_task(world.live(100))
            await asyncio.sleep(30)
        assert await watching is PollOutcome.LEFT

    run(world.loop, away())
    assert world.triggered == ["one"]
    assert max(later - earlier for earlier, later in pairwise(world.beaten_at)) <= 21


def test_a_pass_of_mode_poll_stores_what_it_read_though_the_bus_is_away() -> None:
    world = World(one=ONE)
    with failing(world.bus, "send", Unavailable("no bus")):
        assert run(world.loop, once(world.poller())) is PollOutcome.WRITTEN
    assert world.row(WEB) is not None
    assert world.troubles == ["no bus"]


# ---- stale views --------------------------------------------------------------------------


def test_an_inherited_view_is_read_at_once() -> None:
    world = World(one=ONE)
    stored_by_another(world)
    lease(world, generation=0)
    world.table.stored_stale = StaleViews(1, {WEB.id: Stale("service web", 1.0, "no route")}, 1)
    nobody_waits(world)
    assert world.consul.asked[0].index == 0
    assert world.table.stored_stale.views == {}
    assert {beat.stale for beat in world.beats[1:]} == {0}


def test_a_record_that_is_refused_ends_no_watch() -> None:
    world = World(one=ONE)
    world.consul.errors[WEB] = Unavailable("no route")

    async def refused() -> None:
        with failing(world.table, "put_stale_views", Refused("item too large")):
            await asyncio.sleep(60)

    assert world.during(refused) is PollOutcome.LEFT
    assert "item too large" in world.troubles


def test_stale_views_are_recorded_and_told_and_then_told_to_be_fresh() -> None:
    world = World(one=ONE)
    recorded: list[list[str]] = []

    async def away() -> None:
        await asyncio.sleep(5)
        world.consul.errors[WEB] = Unavailable("no route")
        await world.consul.set("web", [])
        await asyncio.sleep(45)
        recorded.append([each.why for each in world.table.stored_stale.views.values()])
        del world.consul.errors[WEB]
        await asyncio.sleep(45)
        recorded.append([each.why for each in world.table.stored_stale.views.values()])

    world.during(away)
    assert recorded == [["no route"], []]
    [stale], [fresh] = world.bus.of(ViewStale), world.bus.of(ViewFresh)
    assert (stale.views, stale.tasks, stale.since) == (
        ["service web"],
        ["one"],
        "1970-01-01T00:16:45.000Z",
    )
    assert fresh.views == ["service web"]
    assert len(world.troubles) == 2


def test_a_connection_that_broke_for_a_moment_makes_no_view_stale() -> None:
    world = World(one=ONE)

    async def breaks() -> None:
        for _ in range(4):
            await asyncio.sleep(17)
            world.consul.errors[WEB] = Unavailable("connection reset")
            await world.consul.set("web", [])
            await asyncio.sleep(2)
            world.consul.errors.clear()

    world.during(breaks)
    assert {beat.stale for beat in world.beats} == {0}
    assert world.bus.of(ViewStale) == []


def test_views_stay_stale_through_a_hand_over() -> None:
    world = World(one=ONE)

    async def away() -> None:
        await world.next_poller()
        world.consul.errors[WEB] = Unavailable("no route")
        for _ in range(3):
            await world.next_poller()

    run(world.loop, away())
    assert [event.id for event in world.bus.of(ViewStale)] == ["1/ViewStale"]
    assert world.bus.of(ViewFresh) == []
    first = next(n for n, beat in enumerate(world.beats) if beat.stale)
    assert {beat.stale for beat in world.beats[first:]} == {1}


# ---- what is slow hinders nothing else ----------------------------------------------------


def test_a_slow_write_does_not_hold_up_the_heartbeat() -> None:
    world = World(one=ONE)

    async def slow() -> None:
        await asyncio.sleep(5)
        world.thread_takes = 50
        await world.consul.set("web", [instance("web")])

    world.during(slow, stays=200)
    ages = [later - earlier for earlier, later in pairwise(world.beaten_at)]
    assert max(ages) <= HEARTBEAT_EVERY + 1


def test_asyncios_own_threads_are_left_to_name_resolution() -> None:
    """There are six, and a slow resolver takes them all."""
    world = World(one=ONE)

    async def resolves_for_ever() -> None:
        busy = ThreadPoolExecutor(1)
        busy.submit = lambda *_, **__: Future()  # type: ignore[method-assign]
        asyncio.get_running_loop().set_default_executor(busy)
        await world.consul.set("web", [instance("web")])

    assert world.during(resolves_for_ever) is PollOutcome.LEFT
    assert world.names(WEB) == ["web-1"]


# ---- hand-over ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("connection", "outcome"),
    [
        ("b", PollOutcome.LEFT),
        ("a", PollOutcome.NOT_NEEDED),
        (Unavailable("reading the secret: time-out"), PollOutcome.NOT_NEEDED),
    ],
)
def test_another_address_authority_or_token_takes_over_at_once(
    connection: str | Unavailable, outcome: PollOutcome
) -> None:
    world = World(one=ONE)
    lease(world, connection="a")
    world.connection = connection
    assert nobody_waits(world) is outcome
    assert world.loop.time() < BORN + 10 or outcome is PollOutcome.LEFT
    if outcome is PollOutcome.LEFT:
        assert world.consul.asked[0].index == 0
        assert world.table.leased is not None
        assert world.table.leased.connection == "b"


def nobody_waits(world: World, stays: float = 100.0) -> PollOutcome:
    return run(world.loop, world.live(stays))


def test_without_a_configuration_it_says_so_and_beats() -> None:
    world = World()
    assert nobody_waits(world) is PollOutcome.NO_CONFIGURATION
    assert len(world.beats) == 1


def test_while_another_poller_lives_it_leaves_at_once() -> None:
    world = World(one=ONE)
    held = lease(world)
    assert nobody_waits(world) is PollOutcome.NOT_NEEDED
    assert world.table.leased == held
    assert world.consul.asked == []


@pytest.mark.slow
@pytest.mark.parametrize("stays", [280.0, 880.0, 1_780.0])
def test_a_poller_is_relieved_shortly_before_its_own_end_whatever_lambda_allows(
    stays: float,
) -> None:
    world = World(one=ONE)
    ticks: list[PollOutcome] = []

    async def tick() -> None:
        ticks.append(await world.live(stays))

    async def main() -> PollOutcome:
        watching = asyncio.create_task(world.live(stays))
        relieved_at = BORN + stays - RELIEVED_BEFORE
        await asyncio.sleep(relieved_at - 1 - world.loop.time())
        await tick()
        await asyncio.sleep(2)
        following = asyncio.create_task(tick())
        outcome = await watching
        assert world.loop.time() < BORN + stays
        await following
        return outcome

    assert run(world.loop, main()) is PollOutcome.OVERTAKEN
    assert ticks == [PollOutcome.NOT_NEEDED, PollOutcome.LEFT]


def stored_by_another(world: World) -> None:
    """A former poller stored the view at Consul's index 11."""
    run_once = World(one=ONE)

    async def before() -> None:
        await run_once.consul.set("web", [instance("web")])

    run_once.during(before)
    world.table.stored_chunks = run_once.table.stored_chunks
    world.bucket.objects = run_once.bucket.objects
    world.consul.index, world.consul.services = 11, run_once.consul.services


@pytest.mark.parametrize(
    ("other", "first_index"),
    [
        pytest.param({"ends_at": BORN + RELIEVED_BEFORE - 1}, 11, id="relieved"),
        pytest.param({"generation": 0}, 11, id="of-an-older-generation"),
        pytest.param({"heartbeat_at": BORN - DEAD_AFTER - 1}, 0, id="dead"),
        pytest.param({"generation": 0, "fresh_at": BORN - 3601}, 0, id="not-fresh-for-an-hour"),
    ],
)
def test_stored_indices_are_trusted_only_from_a_poller_that_lived(
    other: dict[str, float], first_index: int
) -> None:
    world = World(one=ONE)
    stored_by_another(world)
    former = lease(world, **other)
    assert nobody_waits(world) is PollOutcome.LEFT
    assert world.consul.asked[0] == Asked(WEB, index=first_index, wait=WAIT)
    assert world.table.leased is not None
    assert world.table.leased.epoch == former.epoch + 1
    fresh = former.fresh_at if first_index else BORN
    assert world.table.leased.fresh_at == fresh


@pytest.mark.parametrize("newest", [5, None])
def test_stored_indices_above_consuls_newest_are_worth_nothing(newest: int | None) -> None:
    world = World(one=ONE)
    stored_by_another(world)
    lease(world, generation=0)
    if newest is None:
        world.consul.errors[None] = Unavailable("no answer")
    else:
        world.consul.index = newest
    nobody_waits(world)
    assert world.consul.asked[0].index == 0


def test_a_poller_relieved_before_it_has_read_everything_leaves_no_index_to_trust() -> None:
    """What it could not read is stored as it was before Consul lost its data."""
    world = World(both=BOTH)
    fresh: list[float] = []

    async def read_in_part() -> None:
        world.consul.errors[API] = Unavailable("no route")
        watching = asyncio.create_task(world.live(100))
        for _ in range(2):
            await asyncio.sleep(HEARTBEAT_EVERY + 5)
            assert world.table.leased is not None
            fresh.append(world.table.leased.fresh_at)
            world.consul.errors.clear()
        await watching

    run(world.loop, read_in_part())
    assert fresh == [NOT_READ, BORN]


def test_an_answer_older_than_what_the_former_poller_stored_is_not_believed() -> None:
    world = World(one=ONE)
    stored_by_another(world)
    lease(world, generation=0)
    world.consul.index, world.consul.services = 12, {"web": (12, [instance("web", 2)])}

    def stores_the_next_change() -> None:
        """After the new poller was answered, before it raises the epoch."""
        assert [asked.consistent for asked in world.consul.asked] == [False, True]
        world.consul.index, world.consul.services = 13, {"web": (13, [instance("web", 3)])}
        answer = world.consul.answer(WEB)
        world.bucket.put(WEB.id, answer.snapshot)
        name = chunk_of(WEB.id)
        chunk = replace(world.table.stored_chunks[name], rows={WEB.id: answer.row})
        world.table.stored_chunks[name] = replace(chunk, version=chunk.version + 1)

    before_next(world.table, "take", stores_the_next_change)
    world.thread_takes = 0.05
    run(world.loop, world.live())
    assert world.changes == []
    assert world.names(WEB) == ["web-3"]


def test_who_is_overtaken_leaves() -> None:
    world = World(one=ONE)

    async def overtaken() -> None:
        await asyncio.sleep(30)
        assert world.table.leased is not None
        world.table.leased = replace(world.table.leased, epoch=9)

    assert world.during(overtaken) is PollOutcome.OVERTAKEN
    assert world.loop.time() == BORN + 2 * HEARTBEAT_EVERY
    assert world.consul.closed


def test_who_is_overtaken_before_a_write_leaves_without_writing() -> None:
    world = World(one=ONE)

    async def overtaken() -> None:
        await asyncio.sleep(5)
        assert world.table.leased is not None
        world.table.leased = replace(world.table.leased, epoch=9)
        await world.consul.set("web", [instance("web")])

    assert world.during(overtaken) is PollOutcome.OVERTAKEN
    assert world.names(WEB) == []


def test_only_one_of_two_that_start_together_watches() -> None:
    world = World(one=ONE)

    async def both() -> set[PollOutcome]:
        return set(await asyncio.gather(world.live(), world.live()))

    assert run(world.loop, both()) == {PollOutcome.LEFT, PollOutcome.OVERTAKEN}


def test_who_leaves_stores_where_the_next_may_ask_from() -> None:
    world = World(one=ONE)

    async def moved() -> None:
        await world.consul.set("web", [instance("web")])
        await asyncio.sleep(5)
        await world.consul.set("web", [instance("web")])

    world.during(moved)
    row = world.row(WEB)
    assert row is not None
    assert row.index == 12


# ---- mode poll ----------------------------------------------------------------------------


def test_one_pass_stores_and_announces_and_the_next_writes_nothing() -> None:
    world = World(one=ONE, some=SOME)

    async def two_passes() -> list[PollOutcome]:
        await world.consul.set("web", [instance("web")])
        first = await once(world.poller())
        epoch = world.table.leased
        second = await once(world.poller())
        assert world.table.leased == epoch
        return [first, second]

    assert run(world.loop, two_passes()) == [PollOutcome.WRITTEN, PollOutcome.NOTHING_NEW]
    assert world.names(WEB) == ["web-1"]
    assert sorted(world.triggered) == ["one", "some"]
    counted = [(beat.tally.changes, beat.tally.triggered) for beat in world.beats]
    assert counted == [(2, 2), (0, 0)]


@pytest.mark.parametrize(
    ("of", "method", "outcomes"),
    [
        ("table", "commit", ["failed", PollOutcome.WRITTEN]),
        ("bus", "send", [PollOutcome.WRITTEN, PollOutcome.NOTHING_NEW]),
    ],
)
def test_one_pass_counts_what_aws_did_not_take(
    of: str, method: str, outcomes: list[PollOutcome | str]
) -> None:
    world = World(one=ONE)

    async def one_pass() -> PollOutcome | str:
        try:
            return await once(world.poller())
        except Unavailable:
            return "failed"

    async def passes() -> list[PollOutcome | str]:
        await world.consul.set("web", [instance("web")])
        with failing(getattr(world, of), method, Unavailable("throttled")):
            first = await one_pass()
        return [first, await one_pass()]

    assert run(world.loop, passes()) == outcomes
    assert [beat.aws_errors for beat in world.beats] == [1, 0]
    assert world.troubles == ["throttled"]


def test_one_pass_also_asks_for_the_services_that_a_listing_adds() -> None:
    world = World(some=SOME)
    world.consul.index, world.consul.services = 12, {"web": (12, [instance("web")])}

    assert run(world.loop, once(world.poller())) is PollOutcome.WRITTEN
    assert world.names(WEB) == ["web-1"]
    assert world.triggered == ["some"]


def test_one_pass_goes_on_without_what_it_could_not_read() -> None:
    world = World(both=BOTH, one=ONE)
    world.consul.errors[API] = Unavailable("no route")

    assert run(world.loop, once(world.poller())) is PollOutcome.WRITTEN
    assert world.triggered == ["one"]
    assert world.beats[0].stale == 1


def test_one_pass_without_a_configuration_says_so() -> None:
    world = World()
    assert run(world.loop, once(world.poller())) is PollOutcome.NO_CONFIGURATION


def test_one_pass_asks_again_where_another_stored_something_newer() -> None:
    world = World(one=ONE)
    world.consul.index, world.consul.services = 12, {"web": (12, [instance("web", 2)])}

    def stores_the_next_change() -> None:
        world.consul.index, world.consul.services = 13, {"web": (13, [instance("web", 3)])}
        answer = world.consul.answer(WEB)
        world.bucket.put(WEB.id, answer.snapshot)
        world.table.stored_chunks[chunk_of(WEB.id)] = Chunk(
            chunk_of(WEB.id), 1, {WEB.id: answer.row}
        )

    before_next(world.table, "take", stores_the_next_change)
    assert run(world.loop, once(world.poller())) is PollOutcome.WRITTEN
    assert world.names(WEB) == ["web-3"]
    assert world.changes == []


def test_one_pass_records_what_it_could_not_read() -> None:
    world = World(both=BOTH, one=ONE)

    async def passes() -> list[PollOutcome]:
        await once(world.poller())
        world.consul.errors[API] = Unavailable("no route")
        outcomes = [await once(world.poller()) for _ in range(2)]
        del world.consul.errors[API]
        return [*outcomes, await once(world.poller())]

    outcomes = [PollOutcome.WRITTEN, PollOutcome.NOTHING_NEW, PollOutcome.WRITTEN]
    assert run(world.loop, passes()) == outcomes
    assert [event.id for event in world.bus.of(ViewStale)] == ["1/ViewStale"]
    assert [event.id for event in world.bus.of(ViewFresh)] == ["3/ViewFresh"]
    assert [beat.stale for beat in world.beats] == [0, 1, 1, 0]


def test_stale_views_are_counted_once_more_when_there_are_none_any_longer() -> None:
    world = World(both=BOTH, one=ONE)

    async def comes_back() -> None:
        world.consul.errors[API] = Unavailable("no route")
        poller = asyncio.create_task(live(world.poller(stays=200)))
        await asyncio.sleep(70)
        del world.consul.errors[API]
        await poller

    run(world.loop, comes_back())
    counted = [
        [value for name, _, value in beat.counted if name == "StaleViews"] for beat in world.beats
    ]
    assert [1] in counted
    back = counted.index([0])
    assert all(each == [1] for each in counted[1:back])
    assert counted[back + 1 :]
    assert not any(counted[back + 1 :])


@pytest.mark.parametrize("method", ["take", "commit"])
def test_one_pass_that_is_overtaken_writes_nothing(method: str) -> None:
    world = World(one=ONE)
    before_next(world.table, method, lambda: lease(world))
    assert run(world.loop, once(world.poller())) is PollOutcome.OVERTAKEN
    assert world.row(WEB) is None
