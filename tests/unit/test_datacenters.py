"""Several datacenters and tables behind one address: each is judged by its own indices."""

import asyncio
from dataclasses import replace

import pytest

from cts.conditions import consul_kv, services
from cts.conditions.consul_kv import KvCondition
from cts.conditions.services import ServicesCondition
from cts.errors import Refused, Unavailable
from cts.generation import TaskEntry
from cts.watch.query import View
from cts.watch.stale import STALE_AFTER
from cts.watch.view import Answer, Chunk, chunk_of
from cts.workflow import queries
from cts.workflow.newest import LOOK_EVERY
from cts.workflow.passes import PASS_EVERY
from tests.fake_consul import FakeConsul, instance
from tests.unit.poller_world import World, lease, nobody_waits, stored

WEB, FAR = View(services.SERVICE, "web"), View(services.SERVICE, "web", "dc2")
KEY = View(consul_kv.KEY, "a/b")
HERE = TaskEntry("d-here", ServicesCondition(("web",)))
THERE = TaskEntry("d-there", ServicesCondition(("web",), datacenter="dc2"))
ONE_KEY = TaskEntry("d-key", KvCondition("a/b"))


def world(**tasks: TaskEntry) -> World:
    made = World(**tasks or {"here": HERE, "there": THERE})
    made.consul.datacenters["dc2"] = FakeConsul()
    return made


def afresh(consul: FakeConsul) -> list[View]:
    """What was read without index."""
    return sorted({asked.view for asked in consul.asked if not asked.index})


async def many_changes(consul: FakeConsul) -> None:
    for number in range(50):
        await consul.set("web", [instance("web", number)])


# ---- resets and restores ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "dc2"])
def test_a_reset_of_one_datacenter_is_seen_there_and_read_afresh_there_only(name: str) -> None:
    made = world()
    far = made.consul.datacenters["dc2"]
    lost, other = (far, made.consul) if name else (made.consul, far)
    view = FAR if name else WEB

    async def reset() -> None:
        await many_changes(lost)
        await asyncio.sleep(LOOK_EVERY + 5)
        for consul in (lost, other):
            consul.asked.clear()
        await lost.lose_everything()
        await lost.set("web", [instance("web", 99)])
        await asyncio.sleep(LOOK_EVERY + 1)
        assert made.names(view) == ["web-99"]
        assert (afresh(lost), afresh(other)) == ([view], [])

    made.during(reset)


@pytest.mark.parametrize("streams", [False, True])
def test_a_restore_of_another_datacenter_is_seen_at_once(*, streams: bool) -> None:
    made = world()
    far = made.consul.datacenters["dc2"]

    async def restored() -> None:
        far.streams = streams
        await many_changes(far)
        await asyncio.sleep(5)
        made.consul.asked.clear()
        await far.restore({"web": [instance("web", 99)]}, index=12)
        await asyncio.sleep(0.5)
        assert made.names(FAR) == ["web-99"]
        assert afresh(made.consul) == []

    made.during(restored)


def test_a_reset_shows_in_kv_alone() -> None:
    made = world(key=ONE_KEY)

    async def reset() -> None:
        for number in range(50):
            await made.consul.put("a/b", str(number))
        await asyncio.sleep(LOOK_EVERY + 5)
        index, checks_index = made.consul.index, made.consul.checks_index
        await made.consul.lose_everything()
        made.consul.index, made.consul.checks_index = index, checks_index
        await made.consul.put("a/b", "new")
        await asyncio.sleep(LOOK_EVERY + 1)
        assert stored(made, KEY).value == [{"key": "a/b", "value": "new"}]

    made.during(reset)


NO_KV_INDEX: dict[View | None, Exception] = {View(consul_kv.KV_INDEX): Refused("HTTP 403")}
"""As where ACLs only let keys be listed that a token may list."""


def test_a_reset_is_seen_though_the_index_of_another_table_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cts.workflow.queries.WAITS", (600, 600))  # no held query comes back
    made = world(here=HERE, key=ONE_KEY)
    made.consul.errors |= NO_KV_INDEX

    async def reset() -> None:
        await many_changes(made.consul)
        await asyncio.sleep(LOOK_EVERY + 5)
        await made.consul.lose_everything()
        await made.consul.set("web", [instance("web", 99)])
        await asyncio.sleep(LOOK_EVERY + 1)
        assert made.names(WEB) == ["web-99"]

    made.during(reset)


# ---- hand-over ----------------------------------------------------------------------------


def handed_over(made: World, indices: dict[View, int]) -> dict[View, int]:
    """A former poller stored the views at these indices. Returns the first index of each query."""
    for view, index in indices.items():
        consul = made.consul.datacenters.get(view.datacenter, made.consul)
        answer = Answer(index, consul.answer(view).snapshot)
        made.bucket.put(view.id, answer.snapshot)
        made.table.stored_chunks[chunk_of(view.id)] = Chunk(
            chunk_of(view.id), 1, {view.id: answer.row}
        )
    lease(made, generation=0)
    nobody_waits(made)
    asked = [*made.consul.asked, *made.consul.datacenters["dc2"].asked]
    return {view: next(each.index for each in asked if each.view == view) for view in indices}


@pytest.mark.parametrize(
    ("indices", "expected"),
    [
        pytest.param({WEB: 10, FAR: 10}, {WEB: 10, FAR: 10}, id="all-are-living-ones"),
        pytest.param({WEB: 10, FAR: 11}, {WEB: 10, FAR: 0}, id="above-its-own-datacenters"),
        pytest.param({WEB: 31, FAR: 10}, {WEB: 0, FAR: 10}, id="the-local-one-lost-its-data"),
    ],
)
def test_stored_indices_are_trusted_by_datacenter(
    indices: dict[View, int], expected: dict[View, int]
) -> None:
    made = world()
    made.consul.index = 30
    assert handed_over(made, indices) == expected


@pytest.mark.parametrize(
    ("kv_index", "expected"),
    [pytest.param(500, 500, id="kv-has-come-further"), pytest.param(20, 0, id="kv-lost-its-data")],
)
def test_stored_indices_are_trusted_by_table(kv_index: int, expected: int) -> None:
    made = world(here=HERE, key=ONE_KEY)
    made.consul.index, made.consul.kv_index = 30, kv_index
    index = 500 if kv_index == 500 else 25
    assert handed_over(made, {KEY: index}) == {KEY: expected}


def test_a_stored_index_is_not_trusted_if_the_index_of_its_table_is_refused() -> None:
    made = world(key=ONE_KEY)
    made.consul.errors |= NO_KV_INDEX
    assert handed_over(made, {KEY: 10}) == {KEY: 0}


def test_a_datacenter_that_does_not_answer_leaves_the_others_trusted() -> None:
    made = world()
    made.consul.datacenters["dc2"].errors[None] = Unavailable("No path to datacenter")
    assert handed_over(made, {WEB: 10, FAR: 10}) == {WEB: 10, FAR: 0}


# ---- passes -------------------------------------------------------------------------------

HELD = 12
NAMES = tuple(f"s{number:03}" for number in range(HELD + 10))
MANY = TaskEntry("d-many", ServicesCondition(NAMES, datacenter="dc2"))


@pytest.fixture(autouse=True)
def _few_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "MOST_HELD", HELD)


def test_a_pass_asks_only_where_something_moved() -> None:
    """The last services by name are not held."""
    made = world(many=MANY, here=replace(HERE, condition=ServicesCondition(("zzz",))))
    last, here = View(services.SERVICE, NAMES[-1], "dc2"), View(services.SERVICE, "zzz")
    far = made.consul.datacenters["dc2"]

    async def changes() -> None:
        await asyncio.sleep(5)
        made.consul.asked.clear()
        far.asked.clear()
        await far.set(last.name, [instance(last.name)])
        await asyncio.sleep(PASS_EVERY + 1)
        assert made.names(last) == [f"{last.name}-1"]
        assert here not in made.consul.views

    made.during(changes)


def test_a_write_of_kv_has_no_service_asked() -> None:
    keys = tuple(KvCondition(f"k{number:03}") for number in range(HELD + 10))
    made = world(here=replace(HERE, inputs=keys))
    last = View(consul_kv.KEY, keys[-1].path)

    async def changes() -> None:
        await asyncio.sleep(5)
        made.consul.asked.clear()
        await made.consul.put(last.name, "1")
        await asyncio.sleep(PASS_EVERY + 1)
        assert stored(made, last).value == [{"key": last.name, "value": "1"}]
        assert WEB not in made.consul.views

    made.during(changes)


@pytest.mark.slow
def test_passes_go_on_though_the_index_of_a_table_is_refused() -> None:
    """Where no index tells whether a view has moved, it is asked in each pass."""
    keys = tuple(KvCondition(f"k{number:03}") for number in range(HELD + 10))
    names = tuple(f"z{number:03}" for number in range(HELD + 10))
    made = world(here=replace(HERE, condition=ServicesCondition(names), inputs=keys))
    made.consul.errors |= NO_KV_INDEX
    key, service = View(consul_kv.KEY, keys[-1].path), View(services.SERVICE, names[-1])

    async def changes() -> None:
        await asyncio.sleep(5)
        await made.consul.put(key.name, "1")
        await made.consul.set(service.name, [instance(service.name)])
        await asyncio.sleep(2 * PASS_EVERY + 1)
        assert stored(made, key).value == [{"key": key.name, "value": "1"}]
        assert made.names(service) == [f"{service.name}-1"]
        await asyncio.sleep(STALE_AFTER + 5)

    made.during(changes)
    assert made.table.stale_views().count == 0


def test_a_datacenter_that_is_silent_makes_no_other_late() -> None:
    made = world(many=MANY, here=replace(HERE, condition=ServicesCondition(("zzz",))))
    here = View(services.SERVICE, "zzz")

    async def silent() -> None:
        await asyncio.sleep(5)
        made.consul.datacenters["dc2"].silent = True
        await asyncio.sleep(3)
        await made.consul.set("zzz", [instance("zzz")])
        await asyncio.sleep(PASS_EVERY + 1)
        assert made.names(here) == ["zzz-1"]

    made.during(silent)
