"""Changes through the API that meet others: none is lost, and none undoes another."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from cts import keys
from cts.errors import Missing
from tests.fakes import before_next
from tests.unit.api_fakes import BOB
from tests.unit.test_edit import NEW, PUSHED, World, ask, create, error, pushed

if TYPE_CHECKING:
    from collections.abc import Callable

EDGE = PUSHED.replace('"pushed"', '"edge"')
OTHER = {**NEW, "module": "acme/other/acmefw"}
FAILED = {"status": "errored", "error": "Error: no route", "step": "apply"}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return pushed(monkeypatch)


def meanwhile(world: World, does: Callable[[], Any]) -> list[Any]:
    """What is answered to something that happens once, while a request waits for its run."""
    passes, found = world.ports.sleep, list[Any]()

    def sleeps(seconds: float) -> None:
        if not found:
            found.append(does())
        passes(seconds)

    world.ports = replace(world.ports, sleep=sleeps)
    return found


# ---- a first run that fails ---------------------------------------------------------------


def test_what_was_pushed_meanwhile_stays_when_the_run_fails(world: World) -> None:
    world.result = FAILED
    meanwhile(world, lambda: world.push(PUSHED, EDGE))
    assert create(query="?run=now")[0] == 500
    assert world.tasks == ["edge", "pushed"]
    world.push(PUSHED)
    assert world.tasks == ["pushed"]  # what was created is not there


def test_what_somebody_changed_meanwhile_stays_when_the_run_fails(world: World) -> None:
    world.result = FAILED
    meanwhile(world, lambda: ask("PATCH", "/v1/tasks/edge", {"description": "kept"}, BOB))
    assert create(query="?run=now")[0] == 500
    assert world.object("edge")["description"] == "kept"


def test_what_somebody_created_anew_meanwhile_stays_when_the_run_fails(world: World) -> None:
    def anew() -> None:
        world.system.clock.now += 1
        ask("DELETE", "/v1/tasks/edge", None, BOB)
        create()

    world.result = FAILED
    meanwhile(world, anew)
    create(query="?run=now")
    assert world.tasks == ["edge", "pushed"]


# ---- two drafts ---------------------------------------------------------------------------


def test_a_plan_is_that_of_the_task_that_was_sent(world: World) -> None:
    world.result = {"status": "planned"}
    seen = meanwhile(world, lambda: ask("POST", "/v1/tasks?run=inspect", {"task": OTHER}, BOB))
    assert create(query="?run=inspect")[0] == 200
    code, what = error(seen[0])
    assert code == 400
    assert what.startswith("task edge is being inspected by arn:aws:sts::")
    assert ask("POST", "/v1/tasks?run=inspect", {"task": OTHER}, BOB)[0] == 200


def test_how_long_a_draft_is_in_the_way_of_another_is_told(world: World) -> None:
    create(query="?run=inspect", prefer="respond-async")
    world.system.clock.now += 330
    asked = "/v1/tasks?run=inspect"
    code, what = error(ask("POST", asked, {"task": OTHER}, BOB, prefer="respond-async"))
    assert code == 400
    assert what.endswith("try again in 15 minutes at the latest, or create the task")
    world.system.clock.now += 15 * 60
    assert ask("POST", asked, {"task": OTHER}, BOB, prefer="respond-async")[0] == 202


def test_a_draft_is_in_nobodys_way_once_it_is_planned(world: World) -> None:
    """Whoever asked does not wait for the plan, so the draft stays."""
    world.result = {"status": "planned"}

    def inspects(task: Any) -> int:
        world.system.clock.now += 1
        asked = ask("POST", "/v1/tasks?run=inspect", {"task": task}, prefer="respond-async")
        return int(asked[0])

    assert (inspects(NEW), inspects(OTHER)) == (202, 400)  # its run has not begun
    assert world.system.start("edge") == "started"
    assert inspects(OTHER) == 400
    world.system.clock.now += 1
    world.ends(world.system.running("edge"))
    assert (inspects(OTHER), inspects(NEW)) == (202, 400)
    world.passes(1.0)
    assert (inspects(OTHER), inspects(NEW)) == (202, 400)  # the same again is planned again


@pytest.mark.parametrize("is_over_pushed", [False, True])
def test_a_draft_whose_module_is_gone_keeps_nothing_out(world: World, is_over_pushed: bool) -> None:
    world.push(PUSHED.replace("acme/edge/acmefw", "./modules/m"), m='variable "services" {}')
    name = "pushed" if is_over_pushed else "edge"
    if is_over_pushed:
        ask("DELETE", "/v1/tasks/pushed")
    task = {**NEW, "name": name, "module": "./modules/m"}
    asked = "/v1/tasks?run=inspect"
    assert ask("POST", asked, {"task": task}, prefer="respond-async")[0] == 202
    world.push(PUSHED.replace("as pushed", "without the folder"))
    assert world.system.table.rejected() is None
    assert world.object("pushed")["description"] == "without the folder"
    assert ask("PATCH", "/v1/tasks/pushed", {"description": "by hand"})[0] == 200
    task["name"] = "other"
    assert error(ask("POST", asked, {"task": task}, prefer="respond-async"))[0] == 400


def test_who_asks_twice_for_one_plan_gets_it_twice(world: World) -> None:
    world.result = {"status": "planned"}
    seen = meanwhile(world, lambda: create(query="?run=inspect", prefer="respond-async"))
    code, found = create(query="?run=inspect")
    assert (code, seen[0][0], found["task"]["name"]) == (200, 202, "edge")


def test_a_task_that_is_created_while_it_is_inspected_stays(world: World) -> None:
    world.result = {"status": "planned"}
    meanwhile(world, lambda: ask("POST", "/v1/tasks", {"task": OTHER}, BOB))
    assert create(query="?run=inspect")[0] == 200
    assert world.object("edge")["module"] == "acme/other/acmefw"


# ---- two changes --------------------------------------------------------------------------


def test_who_takes_a_change_back_does_not_take_back_another(world: World) -> None:
    ask("PATCH", "/v1/tasks/pushed", {"enabled": False})
    before_next(
        world.publisher.ports.api_tasks,
        "delete",
        lambda: ask("PATCH", "/v1/tasks/pushed", {"description": "first"}, BOB),
    )
    assert ask("PATCH", "/v1/tasks/pushed", {"enabled": True})[0] == 200
    found = world.object("pushed")
    assert (found["description"], found["enabled"]) == ("first", True)


def test_a_change_that_a_push_has_ended_can_be_made_again(world: World) -> None:
    create()
    world.push(PUSHED, EDGE)
    for _ in range(2):
        world.system.clock.now += 1
        assert ask("PATCH", "/v1/tasks/edge", {"enabled": False})[0] == 200
        assert world.object("edge")["enabled"] is False
        world.push(PUSHED, EDGE.replace("module ", "enabled = false\n  module "))
        world.push(PUSHED, EDGE)
        assert world.object("edge")["enabled"] is True


def test_what_changes_nothing_publishes_nothing(world: World) -> None:
    ask("PATCH", "/v1/tasks/pushed", {"enabled": False})
    before = world.system.table.live
    world.system.clock.now += 1
    assert ask("PATCH", "/v1/tasks/pushed", {"enabled": False}, BOB)[0] == 200
    assert world.system.table.live == before


# ---- a bundle that is gone ----------------------------------------------------------------


def test_no_task_is_lost_with_the_bundle_that_is_live(world: World) -> None:
    """Behind a rejected push it expires, like all earlier versions."""
    world.push("task {")
    world.system.bucket.gone = {(keys.BUNDLE, "1")}
    assert world.publish() == "KNOWN"
    code, what = error(create())
    assert (code, "config.hcl" not in what) == (500, True)
    assert world.tasks == ["pushed"]


def test_a_deleted_bundle_is_read_where_it_is_still_kept(world: World) -> None:
    world.system.bucket.gone = {(keys.BUNDLE, "")}
    assert create()[0] == 201
    assert world.tasks == ["edge", "pushed"]


def test_a_deleted_bundle_is_missed(world: World) -> None:
    world.system.bucket.gone = {(keys.BUNDLE, ""), (keys.BUNDLE, "1")}
    with pytest.raises(Missing, match=r"config/bundle\.zip"):
        world.publish()
    assert world.tasks == ["pushed"]
