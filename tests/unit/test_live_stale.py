"""Views that could not be read for a while are recorded and announced."""

import asyncio

from cts.errors import Refused, Unavailable
from cts.events import ViewFresh, ViewStale
from cts.watch.stale import Stale, StaleViews
from cts.workflow.watcher import PollOutcome
from tests.fakes import failing
from tests.unit.poller_world import ONE, WEB, World, lease, nobody_waits, stored_by_another
from tests.unit.virtual_time import run


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
