"""What a poller believes of Consul's answers: errors, losses, restores."""

import asyncio
from dataclasses import replace

import pytest

from cts.conditions import services
from cts.conditions.services import ServicesCondition
from cts.errors import Refused, Unavailable
from cts.watch.lease import HEARTBEAT_EVERY
from cts.watch.query import View
from cts.watch.snapshot import EMPTY
from cts.watch.view import Row, chunk_of
from cts.workflow.passes import REFUSED_WAIT
from tests.fake_consul import instance
from tests.unit.poller_world import API, BOTH, LISTING, ONE, SOME, WEB, World
from tests.unit.virtual_time import run


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
