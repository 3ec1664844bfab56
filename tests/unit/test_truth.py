"""What is believed of Consul when it is away, behind, restored or lies: the table of docs/consul.md
with time that is virtual."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from cts.conditions import consul_kv, services
from cts.conditions.consul_kv import KvCondition
from cts.errors import Refused, Unavailable
from cts.generation import TaskEntry
from cts.watch.query import View
from cts.watch.snapshot import EMPTY
from cts.workflow.once import once
from cts.workflow.watcher import PollOutcome
from tests.fake_consul import instance
from tests.unit.poller_world import BOTH, ONE, WEB, World, stored
from tests.unit.virtual_time import run

KEY, KEYS = View(consul_kv.KEY, "a/b"), View(consul_kv.KEYS, "a/")
KV = TaskEntry("d-kv", KvCondition("a/b"), inputs=(KvCondition("a/", recurse=True),))
SEEN_WITHIN = 10.0


# ---- outages ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "error",
    [
        pytest.param(Unavailable("connection refused"), id="refused"),
        pytest.param(Unavailable("HTTP 500: No cluster leader"), id="no-leader"),
        pytest.param(Unavailable("HTTP 429: rate limit"), id="too-many-requests"),
        pytest.param(None, id="silent"),
    ],
)
@pytest.mark.parametrize("seconds", [1, 60, 1_200])
def test_a_change_during_an_outage_is_seen_soon_after_it(
    seconds: float, error: Exception | None
) -> None:
    """A silence of a second is not noticed: TCP sends again what was lost."""
    if error is None and seconds == 1:
        return
    world = World(one=ONE, kv=KV)

    async def outage() -> None:
        await world.consul.set("web", [instance("web"), instance("web", 2)])
        await world.consul.put("a/b", "before")
        await asyncio.sleep(33)
        await world.consul.goes_down(error)
        await asyncio.sleep(seconds)
        assert world.names(WEB) == ["web-1", "web-2"]
        await world.consul.set("web", [instance("web", 2), instance("web", 3)])
        await world.consul.put("a/b", "after")
        world.consul.returns()
        await asyncio.sleep(SEEN_WITHIN)
        assert world.names(WEB) == ["web-2", "web-3"]
        assert stored(world, KEY).value == [{"key": "a/b", "value": "after"}]

    world.during(outage, stays=seconds + 300)


@pytest.mark.parametrize("error", [Unavailable("refused"), Refused("HTTP 403: no right"), None])
def test_a_pass_of_mode_poll_after_an_outage_sees_what_changed(error: Exception | None) -> None:
    world = World(one=ONE, kv=KV)

    async def outage() -> list[PollOutcome]:
        await world.consul.set("web", [instance("web")])
        await world.consul.put("a/b", "before")
        outcomes = [await once(world.poller())]
        await world.consul.goes_down(error)
        outcomes += [await once(world.poller()) for _ in range(2)]
        assert (world.names(WEB), world.beats[-1].stale) == (["web-1"], 3)
        world.consul.returns()
        await world.consul.set("web", [instance("web", 2)])
        await world.consul.put("a/b", None)
        outcomes.append(await once(world.poller()))
        assert (world.names(WEB), world.beats[-1].stale) == (["web-2"], 0)
        assert stored(world, KEY) == EMPTY
        return outcomes

    written, nothing = PollOutcome.WRITTEN, PollOutcome.NOTHING_NEW
    assert run(world.loop, outage()) == [written, written, nothing, written]


def test_a_server_that_cuts_held_queries_makes_no_view_stale_and_hides_no_change() -> None:
    """From 2.1 `http_config` may have a time-out below the wait that was asked for."""
    world = World(one=ONE)

    async def cut() -> None:
        for number in range(8):
            await asyncio.sleep(10)
            await world.consul.goes_down(Unavailable("RemoteProtocolError"))
            world.consul.returns()
            await world.consul.set("web", [instance("web", number)])
            await asyncio.sleep(1.5)
            assert world.names(WEB) == [f"web-{number}"]

    world.during(cut, stays=150)
    assert {beat.stale for beat in world.beats} == {0}


# ---- emptiness ----------------------------------------------------------------------------


@pytest.mark.parametrize("slow", [False, True], ids=["stored", "not-stored-yet"])
@pytest.mark.parametrize("index", [0, 1, 99])
@pytest.mark.parametrize(
    "truth",
    [
        Unavailable("HTTP 500: No cluster leader"),
        Unavailable("HTTP 500: No path to datacenter"),
        Refused("HTTP 403: ACL not found"),
    ],
    ids=str,
)
def test_that_a_held_query_finds_nothing_is_not_believed(
    truth: Exception, index: int, *, slow: bool
) -> None:
    world = World(both=BOTH, kv=KV)
    lied_about = [WEB, View(services.SERVICE, "api"), KEY, KEYS]

    async def lies() -> None:
        await world.consul.set("api", [])
        await asyncio.sleep(5)
        world.thread_takes = 8.0 if slow else 0.0
        await world.consul.set("web", [instance("web")])
        await world.consul.set("api", [instance("api")])
        await world.consul.put("a/b", "1")
        await asyncio.sleep(1)
        world.consul.lies = dict.fromkeys(lied_about, index)
        world.consul.errors = dict.fromkeys(lied_about, truth)
        await world.consul.wake()
        await asyncio.sleep(50)
        assert [len(stored(world, view).value) for view in lied_about] == [1, 1, 1, 1]
        world.consul.lies, world.consul.errors = {}, {}

    world.during(lies, stays=200)
    assert [len(stored(world, view).value) for view in lied_about] == [1, 1, 1, 1]


@pytest.mark.parametrize("live", [True, False])
def test_an_agent_that_is_behind_is_not_believed(*, live: bool) -> None:
    world = World(one=ONE)

    async def behind() -> None:
        await world.consul.set("web", [instance("web", Port=80)])
        older = world.consul.answer(WEB)
        await world.consul.set("web", [instance("web", Port=81)])
        await (world.live(60) if live else once(world.poller()))
        world.changes.clear()
        world.consul.behind = {WEB: older}
        await asyncio.sleep(100)
        await (world.live(60) if live else once(world.poller()))

    run(world.loop, behind())
    assert world.changes == []
    assert stored(world, WEB).value[0]["port"] == 81


@pytest.mark.parametrize("live", [True, False])
def test_an_index_that_goes_back_with_other_data_is_believed_once_it_is_confirmed(
    *, live: bool
) -> None:
    world = World(one=ONE, kv=KV)

    async def reset() -> None:
        for number in range(50):
            await world.consul.set("web", [instance("web", number)])
            await world.consul.put("a/b", str(number))
        await (world.live(60) if live else once(world.poller()))
        await asyncio.sleep(100)
        await world.consul.lose_everything()
        await world.consul.set("web", [instance("web", 99)])
        await (world.live(60) if live else once(world.poller()))

    run(world.loop, reset())
    assert (world.names(WEB), stored(world, KEY)) == (["web-99"], EMPTY)


def test_an_index_that_jumps_says_nothing_and_hides_nothing() -> None:
    world = World(one=ONE)

    async def jumps() -> None:
        await world.consul.set("web", [instance("web")])
        await asyncio.sleep(5)
        world.changes.clear()
        world.consul.index = 2**63
        await world.consul.set("web", [instance("web")])
        await asyncio.sleep(5)
        assert world.changes == []
        await world.consul.set("web", [instance("web", 2)])
        await asyncio.sleep(1)
        assert world.names(WEB) == ["web-2"]

    world.during(jumps)


# ---- KV -----------------------------------------------------------------------------------


def delete(world: World) -> None:
    world.consul.kv_index += 1
    world.consul.kv["a/b"] = world.consul.kv_index, None


def forbid(world: World) -> None:
    world.consul.errors = dict.fromkeys((KEY, KEYS), Refused("HTTP 403: Permission denied"))


@pytest.mark.parametrize(
    ("first", "then", "value", "stale", "confirmed"),
    [
        pytest.param(None, None, None, 0, 0, id="never-there"),
        pytest.param("1", None, "1", 0, 0, id="there"),
        pytest.param("1", delete, None, 0, 2, id="deleted"),
        pytest.param("1", forbid, "1", 2, 0, id="forbidden"),
    ],
)
def test_a_key_that_is_deleted_was_never_there_or_may_not_be_read(
    first: str | None,
    then: Callable[[World], None] | None,
    value: str | None,
    stale: int,
    confirmed: int,
) -> None:
    world = World(kv=KV)

    async def happens() -> None:
        if first is not None:
            await world.consul.put("a/b", first)
        await asyncio.sleep(5)
        if then is not None:
            then(world)
        await world.consul.wake()
        await asyncio.sleep(40)

    world.during(happens)
    expected = [] if value is None else [{"key": "a/b", "value": value}]
    assert [stored(world, view).value for view in (KEY, KEYS)] == [expected, expected]
    assert world.beats[-1].stale == stale
    assert sum(asked.consistent for asked in world.consul.asked) == confirmed


def test_a_task_runs_without_a_key_that_was_never_there() -> None:
    world = World(kv=replace(KV, inputs=()))

    async def nothing() -> None: ...

    world.during(nothing)
    assert world.triggered == ["kv"]
