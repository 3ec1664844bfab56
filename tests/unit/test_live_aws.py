"""AWS is away, or refuses what a poller asks: nothing that was seen is lost."""

import asyncio
from itertools import pairwise

import pytest

from cts.errors import Refused, Unavailable
from cts.events import CatalogChanged
from cts.watch.lease import DEAD_AFTER, HEARTBEAT_EVERY
from cts.workflow.once import once
from cts.workflow.passes import REFUSED_WAIT
from cts.workflow.watcher import PollOutcome
from tests.fake_consul import instance
from tests.fakes import failing
from tests.unit.poller_world import BORN, ONE, WEB, World
from tests.unit.virtual_time import run


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
