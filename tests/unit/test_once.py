"""Mode `poll`: a poller looks at Consul once."""

import asyncio

import pytest

from cts.errors import Unavailable
from cts.events import ViewFresh, ViewStale
from cts.watch.view import Chunk, chunk_of
from cts.workflow.live import live
from cts.workflow.once import once
from cts.workflow.watcher import PollOutcome
from tests.fake_consul import instance
from tests.fakes import before_next, failing
from tests.unit.poller_world import API, BOTH, ONE, SOME, WEB, World, lease
from tests.unit.virtual_time import run


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
