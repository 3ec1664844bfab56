"""The poller's waiting: blocking queries, heartbeats, changes. Time is virtual."""

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

from cts.conditions import services
from cts.generation import BufferPeriod
from cts.run.state import Done, Reason
from cts.run.state import Outcome as Ran
from cts.watch.lease import HEARTBEAT_EVERY
from cts.watch.query import View
from cts.workflow.watcher import PollOutcome
from tests.fake_consul import Asked, instance
from tests.fakes import before_next
from tests.unit.poller_world import BORN, LISTING, ONE, SOME, WAIT, WEB, World, stored


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
