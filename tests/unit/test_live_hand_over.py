"""Pollers take over from each other."""

import asyncio
from dataclasses import replace

import pytest

from cts.errors import Unavailable
from cts.watch.lease import DEAD_AFTER, HEARTBEAT_EVERY, NOT_READ, RELIEVED_BEFORE
from cts.watch.view import chunk_of
from cts.workflow.watcher import PollOutcome
from tests.fake_consul import Asked, instance
from tests.fakes import before_next
from tests.unit.poller_world import (
    API,
    BORN,
    BOTH,
    ONE,
    WAIT,
    WEB,
    World,
    lease,
    nobody_waits,
    stored_by_another,
)
from tests.unit.virtual_time import run


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
