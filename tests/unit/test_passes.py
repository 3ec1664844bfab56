"""More views than connections: those without a held query are asked in passes."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from cts.conditions import services
from cts.conditions.services import ServicesCondition
from cts.errors import Refused, Unavailable
from cts.generation import TaskEntry
from cts.watch.query import View
from cts.watch.view import chunk_of
from cts.workflow import queries
from cts.workflow.passes import PASS_EVERY
from tests.fake_consul import Asked, instance
from tests.fakes import before_next
from tests.unit.poller_world import LISTING, WAIT, World, lease
from tests.unit.virtual_time import run

HELD, PASSED = 12, 12
"""Fewer than a poller holds: the fewer, the faster is the test."""
MANY_NAMES = tuple(f"s{n:03}" for n in range(HELD + PASSED))
MANY = TaskEntry("d-many", ServicesCondition(MANY_NAMES))


@pytest.fixture(autouse=True)
def _few_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "MOST_HELD", HELD)


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
    assert world.consul.most_held == HELD
    lease = world.table.leased
    assert lease is not None
    assert (lease.views, lease.passed) == (HELD + PASSED, PASSED + 1)
    assert world.troubles == [
        f"{PASSED + 1} of {HELD + PASSED} views are polled only once a second"
    ]


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
LAST = View(services.SERVICE, f"s{HELD + PASSED - 1:03}")
"""A view without a query of its own."""


def many_registered(world: World) -> dict[str, Any]:
    """All of them have one instance from the start."""
    return {name: (world.consul.index, [instance(name)]) for name in MANY_NAMES}


@pytest.mark.slow
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
    names = [f"s{n:03}" for n in range(HELD + 10)]

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
    other = View(services.SERVICE, f"s{HELD + PASSED - 2:03}")

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
