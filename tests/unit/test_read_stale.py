"""The reader tells which views Consul does not tell, and whether a poller lives."""

from dataclasses import replace
from typing import Any

import pytest

from cts.conditions import services
from cts.errors import Unavailable
from cts.run.state import TaskState
from cts.watch.lease import Lease
from cts.watch.query import View
from cts.watch.snapshot import of
from cts.watch.stale import MOST_WHYS
from cts.workflow.shown import MOST_VIEWS
from functions.reader import app
from tests.fakes import failing
from tests.unit.reader_fakes import NOW, World, get, running, success, tick, wish

WEB, DB = View(services.SERVICE, "web"), View(services.SERVICE, "db")
LISTING = View(services.LISTING)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(app, "ports", lambda: made.ports)
    return made


def task(name: str) -> dict[str, Any]:
    found: dict[str, Any] = get(f"/v1/status/tasks/{name}")[name]
    return found


def regexp_task(world: World, *names: str) -> None:
    world.add(TaskState("all", recent=(success("all"),)), regexp="^app")
    world.read_view(LISTING, of([*names]))
    world.read_services(*names)


def test_without_stale_views_there_is_nothing_to_tell(world: World) -> None:
    world.add(TaskState("web"))
    world.read_services("web")
    assert get("/v1/poller")["stale_views"] == {
        "count": 0,
        "of": 1,
        "since": None,
        "why": [],
        "tasks": [],
        "unlisted": 0,
    }
    assert (task("web")["stale"], task("web")["stale_count"]) == ([], 0)


def test_the_poller_is_told_though_the_tasks_can_not_be_read(world: World) -> None:
    world.add(TaskState("web"))
    world.read_services("web")
    with failing(world.table, "all_states", Unavailable("throttled")):
        assert get("/v1/poller")["stale_views"]["of"] == 1


def test_before_the_first_push_there_are_no_views(world: World) -> None:
    assert get("/v1/poller")["stale_views"]["of"] == 0


def test_stale_views_are_told_with_their_number_since_when_why_and_for_whom(world: World) -> None:
    for name in ("web", "db", "lb"):
        world.add(TaskState(name))
    world.went_stale(WEB, since=NOW - 40, why="refused")
    world.went_stale(DB, View(services.SERVICE, "lb"), since=NOW - 30, why="no route")
    assert get("/v1/poller")["stale_views"] == {
        "count": 3,
        "of": 3,
        "since": "2027-01-15T07:59:20.000Z",
        "why": ["no route", "refused"],
        "tasks": ["db", "lb", "web"],
        "unlisted": 0,
    }


def test_of_very_many_reasons_the_first_are_told(world: World) -> None:
    for number in range(MOST_WHYS + 3):
        world.went_stale(View(services.SERVICE, f"s{number}"), why=f"no route to {number}")
    assert len(get("/v1/poller")["stale_views"]["why"]) == MOST_WHYS


def test_views_beyond_the_recorded_ones_are_counted(world: World) -> None:
    world.add(TaskState("web"))
    world.went_stale(WEB)
    world.table.stored_stale = replace(world.table.stored_stale, count=900)
    told = get("/v1/poller")["stale_views"]
    assert (told["count"], told["unlisted"]) == (900, 899)


@pytest.mark.parametrize(
    ("state", "enabled", "word"),
    [
        pytest.param(TaskState("web", recent=(success("web"),)), True, "stale", id="at-rest"),
        pytest.param(TaskState("web"), True, "stale", id="never-ran"),
        pytest.param(TaskState("web", wanted=tick(NOW + 9)), True, "stale", id="scheduled"),
        pytest.param(TaskState("web"), False, "idle", id="disabled"),
        pytest.param(TaskState("web", running=running("web")), True, "running", id="running"),
        pytest.param(TaskState("web", wanted=wish(NOW + 4)), True, "waiting", id="buffer"),
        pytest.param(TaskState("web", gave_up="why"), True, "gave_up", id="gave-up"),
    ],
)
def test_a_task_says_which_of_its_views_are_stale(
    world: World, state: TaskState, enabled: bool, word: str
) -> None:
    world.add(state, enabled=enabled)
    world.read_services("web")
    world.went_stale(WEB, since=NOW - 40, why="refused")
    assert task("web")["state"] == word
    assert task("web")["stale"] == [
        {"view": "service web", "since": "2027-01-15T07:59:20.000Z", "why": "refused"}
    ]


def test_a_stale_task_says_since_when(world: World) -> None:
    world.add(TaskState("web"))
    world.read_services("web")
    world.went_stale(WEB, since=NOW - 40)
    assert (task("web")["reason"], task("web")["at"]) == ("service web", "2027-01-15T07:59:20.000Z")


def test_views_of_other_tasks_do_not_make_a_task_stale(world: World) -> None:
    world.add(TaskState("web"))
    world.read_services("web")
    world.went_stale(DB)
    assert (task("web")["state"], task("web")["stale"]) == ("idle", [])


@pytest.mark.parametrize("view", [LISTING, View(services.SERVICE, "app-1")])
def test_a_regular_expression_looks_at_the_listing_and_at_what_it_matches(
    world: World, view: View
) -> None:
    regexp_task(world, "app-1", "app-2")
    world.went_stale(view, View(services.SERVICE, "other"))
    assert [each["view"] for each in task("all")["stale"]] == [str(view)]
    assert get("/v1/poller")["stale_views"]["of"] == 3


def test_a_view_that_was_never_read_may_be_stale_too(world: World) -> None:
    world.add(TaskState("web"))
    world.went_stale(WEB, why="refused")
    assert task("web")["state"] == "not_read"
    assert task("web")["stale"][0]["why"] == "refused"


def test_of_very_many_views_a_task_tells_the_oldest(world: World) -> None:
    names = [f"app-{number:02}" for number in range(MOST_VIEWS + 7)]
    regexp_task(world, *names)
    for age, name in enumerate(names):
        world.went_stale(View(services.SERVICE, name), since=NOW - age)
    told = task("all")
    oldest = [f"service {name}" for name in names[: -MOST_VIEWS - 1 : -1]]
    assert [each["view"] for each in told["stale"]] == oldest
    assert told["stale_count"] == len(names)
    assert told["reason"] == f"{', '.join(oldest)}, and 7 more"


@pytest.mark.parametrize(
    ("live", "age", "mode", "alive"),
    [
        (True, 60.0, "live", True),
        (True, 60.5, "live", False),
        (False, 9_999.0, "poll", None),
    ],
)
def test_only_a_poller_that_stays_gives_signs_of_life(
    world: World, live: bool, age: float, mode: str, alive: bool | None
) -> None:
    world.ports = replace(world.ports, live=live)
    world.table.leased = Lease(4, "owner", 3, NOW - 100, NOW - age, NOW - 100)
    poller = get("/v1/poller")["poller"]
    assert (poller["heartbeat_age"], poller["mode"], poller["alive"]) == (age, mode, alive)


def test_the_overview_holds_what_the_others_answer(world: World) -> None:
    regexp_task(world, "app-1", "app-2")
    world.add(TaskState("web"))
    world.went_stale(View(services.SERVICE, "app-1"), WEB)
    world.table.leased = Lease(4, "owner", 3, NOW - 100, NOW - 8, NOW - 100)
    assert get("/v1/overview") == {
        "tasks": get("/v1/status/tasks"),
        "configuration": get("/v1/configuration"),
        **get("/v1/poller"),
    }
    assert get("/v1/overview")["stale_views"]["tasks"] == ["all", "web"]
